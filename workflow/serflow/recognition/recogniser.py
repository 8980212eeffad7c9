"""What a trained system, or several together, hear in audio of any length: segments, and in each an emotion.

A segment is what the pipeline calls an utterance: its probabilities are those that predictions.parquet has of it.
"""

import itertools
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from serflow import audio, registry
from serflow.artifacts import FINAL
from serflow.audio import RATE, AudioFault
from serflow.batches import Inputs
from serflow.errors import UserError
from serflow.features import HOP, WIDTHS, extracted
from serflow.heads.classifier import load_classifier
from serflow.heads.prompts import further_prompts
from serflow.inference import predict
from serflow.models import of_type, token_times
from serflow.normalisation import moments_over
from serflow.padding import batch_seconds
from serflow.progress import track

LONGEST, SEGMENT = 60.0, 10.0  # s: what is longer is cut, into segments of about so much
SHORTEST = 0.1  # s: nothing shorter is in a corpus


@dataclass(frozen=True)
class Segment:
    """From `start` to `end` in s; `probabilities`: {emotion: float}; where they are asked for, of every frame the
    time of its centre in s, `times` `[T]`, its share in the decision, `weights` `[T]`, and the posteriors of the half
    second around it, `posteriors` `[T, classes]`, in the order of `probabilities`."""

    start: float
    end: float
    probabilities: dict[str, float]
    times: np.ndarray | None = None
    weights: np.ndarray | None = None
    posteriors: np.ndarray | None = None

    @property
    def emotion(self) -> str:
        """The most probable one."""
        return max(self.probabilities, key=self.probabilities.get)


class _Part(NamedTuple):
    """A stretch of a recording, in s, and its samples, or why they cannot be heard."""

    recording: object
    start: float
    end: float
    samples: np.ndarray | AudioFault


class Recogniser:
    """The model of a folder, or all those below it, whose probabilities are averaged.

    `classes`: the emotions it tells apart, all that it was trained on or those that are asked for.
    """

    def __init__(self, folder: str | Path, classes: Collection[str] | None = None) -> None:
        """`folder`: results/<corpus>/systems/<system> for all its folds and seeds together, or one model in it, or a
        copy of one elsewhere. `classes`: names of emotions; for a head that reads prompts any, for others of those
        that it was trained on. Raises UserError."""
        folders = model_folders(folder)
        self.folder, self.models = Path(folder), [load_classifier(path) for path in folders]
        for path, model in zip(folders, self.models, strict=True):
            if _kind(model) != _kind(self.models[0]):
                raise UserError(f"{path} and {folders[0]} are of different systems: give the folder of one system.")
        config = self.models[0].config
        self.encoder, self.normalisation = of_type(config.encoder["model_type"]), config.inputs["normalisation"]
        self.classes, self.choices = config.names(), None
        if classes is not None:
            self._choose(list(classes), folders)

    def __call__(
        self,
        waveform: ArrayLike,
        rate: int,
        frames: bool = False,
        segment: float | None = None,
        speaker: Iterable[ArrayLike] = (),
    ) -> list[Segment]:
        """The segments of a waveform `[N]` or `[N, channels]` (or the other way round) of `rate` Hz.

        Floats between -1 and 1, or signed integers; array or tensor. Up to a minute is one segment; longer ones are
        cut into segments of about 10 s, or of `segment` seconds whatever the length. Silent ones are left out.
        `speaker`: other waveforms of the speaker, of the same rate, for a system whose input is normalised by
        speaker. Raises AudioFault, a ValueError, where nothing can be heard.
        """
        audio.check_rate(rate)
        own, parts = None, list(_cut(0, _samples(waveform), rate, segment))
        if self.normalisation == "speaker":
            others = [_samples(other) for other in speaker]
            if not others:
                raise UserError(
                    f"{self.folder} normalises what it hears by all recordings of a speaker: give others of this "
                    "one, as speaker=[waveform, ...]."
                )
            own = {0: self._moments([*parts, *(part for other in others for part in _cut(0, other, rate, segment))])}
        return _heard(self._segments(parts, frames, own))

    def files(
        self, paths: Iterable[str | Path], frames: bool = False, segment: float | None = None
    ) -> Iterator[tuple[str | Path, list[Segment] | AudioFault]]:
        """(path, its segments as a call gives them, or why it cannot be heard) of every file that soundfile reads, in
        their order, in bounded memory, with progress.

        A system whose input is normalised by speaker takes the files of a folder as those of one speaker, and none
        that is alone there.
        """
        paths = list(paths)
        plans, faults = {}, {}
        for number, path in enumerate(paths):
            try:
                plans[number] = _spans(audio.seconds(path), segment)
            except AudioFault as fault:
                faults[number] = fault
        own = self._speakers(paths, plans, faults) if self.normalisation == "speaker" else None
        count = sum(map(len, plans.values()))
        parts = track((part for one in plans for part in _decoded(one, paths[one], plans[one])), count, "segments")
        told = itertools.groupby(self._segments(parts, frames, own), key=lambda found: found[0].recording)
        following = next(told, None)
        for number, path in enumerate(paths):
            if number in faults:
                yield path, faults[number]
                continue
            try:
                yield path, _heard(following[1])
            except AudioFault as fault:
                yield path, fault
            following = next(told, None)

    def _segments(self, parts, frames, own):
        """(part, its Segment or AudioFault), in batches that are the fastest here; `own`: {recording: moments}."""
        batch, waiting = [], 0.0
        for part in parts:
            batch.append(part)
            waiting += part.end - part.start
            if waiting >= batch_seconds():
                yield from self._batch(batch, frames, own)
                batch, waiting = [], 0.0
        yield from self._batch(batch, frames, own)

    def _batch(self, parts, frames, own):
        audible = [part for part in parts if not isinstance(part.samples, AudioFault)]
        store = _Memory([self._read(part) for part in audible], self.encoder.reads)
        asked, chosen = (store.utterances, batch_seconds(), self.choices), self.choices or range(len(self.classes))
        scores, shown = [], defaultdict(list)
        for model in self.models if audible else ():
            shared = self._shared(model, audible, own)
            keep = (lambda row, told: shown[row].append(told)) if frames else None
            scores.append(predict(model, Inputs(store, self.encoder.stack, shared), *asked, keep=keep)[0])
        found = iter(np.mean(scores, 0)[:, chosen].tolist() if audible else ())
        row = itertools.count()
        for part in parts:
            if isinstance(part.samples, AudioFault):
                yield part, part.samples
                continue
            told, number = {}, next(row)
            if frames:
                values = np.mean(shown[number], 0)
                config, seconds = self.models[0].encoder.config, part.end - part.start
                times = part.start + token_times(config, len(values), seconds)
                told = {"times": times, "weights": values[:, 0], "posteriors": values[:, 1:][:, chosen]}
            yield part, Segment(part.start, part.end, dict(zip(self.classes, next(found), strict=True)), **told)

    def _read(self, part):
        """What a store of the pipeline would hold of a part."""
        if self.encoder.reads == "audio":
            return audio.to_int16(part.samples)
        return extracted(self.encoder.reads, part.samples)

    def _shared(self, model, parts, own):
        """See `serflow.normalisation.shared_moments`."""
        if self.normalisation == "utterance":
            return None
        if self.normalisation == "speaker":
            return {row: own[part.recording] for row, part in enumerate(parts)}
        kept = tuple(np.asarray(model.config.inputs[name], np.float32) for name in ("mean", "deviation"))
        return dict.fromkeys(range(len(parts)), kept)

    def _moments(self, parts):
        arrays = (self._read(part) for part in parts if not isinstance(part.samples, AudioFault))
        return moments_over(arrays, waveforms=self.encoder.reads == "audio")

    def _speakers(self, paths, plans, faults):
        """{number of a file: moments of its folder's}; those that are alone there go from `plans` to `faults`."""
        folders = defaultdict(list)
        for number in plans:
            folders[Path(paths[number]).absolute().parent].append(number)
        own = {}
        for numbers in folders.values():
            parts = (part for number in numbers for part in _decoded(number, paths[number], plans[number]))
            if len(numbers) > 1:
                count = sum(len(plans[number]) for number in numbers)
                own |= dict.fromkeys(numbers, self._moments(track(parts, count, "segments of a speaker")))
                continue
            del plans[numbers[0]]
            faults[numbers[0]] = AudioFault(
                "alone: the model normalises what it hears by all recordings of a speaker, a folder's; put others of "
                "this speaker into its folder"
            )
        return own

    def _choose(self, classes, folders):
        """Tell only `classes` apart, of which a head that reads prompts may be new to some."""
        if len(set(classes)) < max(2, len(classes)):
            raise UserError(f"The classes {', '.join(classes) or 'given'} are no two or more different ones.")
        new = [name for name in classes if name not in self.classes]
        if new and not hasattr(self.models[0].head, "class_vectors"):
            known = dict.fromkeys(self.classes)
            registry.chosen(new[0], known, f"{self.folder} reads no prompts, and was not trained on the class")
        for path, model in zip(folders, self.models, strict=True) if new else ():
            further_prompts(model.head, path, new)
        every = [*self.classes, *new]
        self.classes, self.choices = classes, [every.index(name) for name in classes]


class _Memory:
    """What `serflow.frames.FrameStore` would read, of a few utterances, called by their numbers."""

    def __init__(self, arrays: list[np.ndarray], reads: str) -> None:
        self.arrays, self.utterances = arrays, range(len(arrays))
        self.width, self.hop = (0, 1 / RATE) if reads == "audio" else (WIDTHS[reads], HOP)
        self.lengths = np.array([len(array) for array in arrays], dtype=np.int64)

    def __getitem__(self, row: int) -> np.ndarray:
        return self.arrays[row]

    def rows(self, utterances: Iterable[int]) -> np.ndarray:
        return np.array(utterances, dtype=np.int64)


def model_folders(folder: str | Path) -> list[Path]:
    """The model in a folder, else all below it, a system's folds and seeds; its final model where there is no other.
    UserError where there is none."""
    folder = Path(folder)
    for own in (folder, folder / "model"):
        if (own / "config.json").is_file():
            return [own]
    found = sorted(path.parent for path in folder.glob("**/model/config.json"))
    scored = [path for path in found if f"fold-{FINAL}" not in path.parts]
    if not found:
        raise UserError(f"{folder} holds no model: give results/<corpus>/systems/<system>, or a model folder in it.")
    return scored or found


def _kind(model):
    config = model.config
    return config.names(), config.head, config.encoder["model_type"], config.inputs["normalisation"]


def _spans(seconds, segment):
    """(start, end) in s of every segment: all of it up to LONGEST, else at multiples of SEGMENT, or of `segment`; the
    last may be half as long again. Raises AudioFault."""
    if seconds < SHORTEST:
        raise AudioFault(f"too short: {seconds:.3f} s, at least {SHORTEST:g} s is needed")
    length = segment or (seconds if seconds <= LONGEST else SEGMENT)
    starts = [number * length for number in range(max(1, int(seconds / length + 0.5)))]
    return list(itertools.pairwise([*starts, seconds]))


def _decoded(number, path, spans):
    """The `_Part`s of a file."""
    try:
        parts = audio.parts(path, [*spans[:-1], (spans[-1][0], None)])
        for (start, end), samples in zip(spans, parts, strict=True):
            yield _Part(number, start, end, samples)
    except AudioFault as fault:  # whatever has happened to it since its header was read
        yield _Part(number, *spans[0], fault)


def _cut(number, samples, rate, segment):
    """The `_Part`s of samples `[N, channels]`."""
    for start, end in _spans(len(samples) / rate, segment):
        part = samples[round(start * rate) : round(end * rate)]
        try:
            audio.check_samples(part)
            yield _Part(number, start, end, audio.standard(part, rate))
        except AudioFault as fault:
            yield _Part(number, start, end, fault)


def _samples(waveform):
    """`[N, channels]` float32. Raises UserError."""
    samples = np.asarray(waveform)
    if np.issubdtype(samples.dtype, np.signedinteger):
        samples = samples / np.float32(-np.iinfo(samples.dtype).min)
    if samples.ndim not in (1, 2) or not np.issubdtype(samples.dtype, np.floating):
        raise UserError(
            f"A waveform of shape {samples.shape} and type {samples.dtype} is none: give floats between -1 and 1, or "
            "signed integers, as [samples] or [samples, channels]."
        )
    samples = np.atleast_2d(samples).astype(np.float32)
    return samples if samples.shape[0] > samples.shape[1] else samples.T


def _heard(found):
    """The Segments of a recording, silence left out. Raises AudioFault where there is nothing else, and any other."""
    told = [segment for _, segment in found]
    faults = [one for one in told if isinstance(one, AudioFault)]
    heard = [one for one in told if not isinstance(one, AudioFault)]
    for fault in faults:
        if not heard or not str(fault).startswith("silent"):
            raise fault
    return heard
