"""What intensities, systems and units say of the frames of splices, measured against where the emotion is (ours)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from serflow.audio import RATE, from_int16
from serflow.classical import logistic
from serflow.clustering import Clustering, fit_kmeans, unit_quality
from serflow.evaluation.frames import (
    Segment,
    boundary_error,
    emotions_at,
    filled,
    seconds_of,
    segments_of,
    separation,
)
from serflow.features import extracted
from serflow.frames import FrameStore
from serflow.recognition.recogniser import Recogniser
from serflow.splices import NEUTRAL, SEAM

if TYPE_CHECKING:
    import pandas as pd

WINDOW, STEP = 25, 10  # frames of 10 ms: half of what the reference hears around a moment, and from one to the next
PHONE_LIKE, MOST_FRAMES = 50, 100_000  # clusters of MFCCs, for want of phones, and of layers; of how many frames
SHOWN, WAVEFORM = ("nen", "nenen"), 400  # patterns that are drawn, and points of their waveforms


class Splices:
    """Splices in a frame store of audio, and their `pieces`, see `serflow.splices.write_splices`."""

    def __init__(self, audio: FrameStore, pieces: pd.DataFrame) -> None:
        self.audio, self.pieces = audio, pieces
        self._of = dict(list(pieces.groupby("splice", sort=False)))
        self.names = list(self._of)

    def __len__(self) -> int:
        return len(self.names)

    def without(self, pattern: str) -> Splices:
        """Those of other patterns."""
        return Splices(self.audio, self.pieces[self.pieces["pattern"] != pattern])

    def of(self, pattern: str) -> Splices:
        """Those of a pattern."""
        return Splices(self.audio, self.pieces[self.pieces["pattern"] == pattern])

    def pattern(self, name: str) -> str:
        return self._of[name]["pattern"].iloc[0]

    def speaker(self, name: str) -> str:
        return self._of[name]["speaker"].iloc[0]

    def waveform(self, name: str) -> np.ndarray:
        """`[N]` at 16 kHz."""
        return from_int16(self.audio[name])

    def duration(self, name: str) -> float:
        return len(self.audio[name]) / RATE

    def seams(self, name: str) -> list[float]:
        """Where in s a piece ends and the next begins."""
        return self._of[name]["end"].tolist()[:-1]

    def emotional(self, name: str) -> list[Segment]:
        """The segments that are not neutral."""
        told = self._of[name]
        segments = [Segment(*row) for row in zip(told["start"], told["end"], told["emotion"], strict=True)]
        return [segment for segment in segments if segment.emotion != NEUTRAL]

    def truth(self, name: str) -> list[Segment]:
        """All of a splice; neighbours of one emotion are one segment."""
        merged = []
        for segment in filled(self.emotional(name), self.duration(name), NEUTRAL):
            start = merged.pop().start if merged and merged[-1].emotion == segment.emotion else segment.start
            merged.append(Segment(start, segment.end, segment.emotion))
        return merged


def times_of(count: int, duration: float) -> np.ndarray:
    """The centres of `count` frames that share a splice alike, in s."""
    return (np.arange(count) + 0.5) * duration / count


def told_by_scores(splices: Splices, curves: Iterable[tuple[str, np.ndarray]], named: dict) -> Iterator[dict]:
    """`named`, splice, speaker, auc and precision: how well scores `[T]` of each splice tell its emotional frames."""
    for name, curve in curves:
        times = times_of(len(curve), splices.duration(name))
        inside = emotions_at(times, splices.emotional(name), NEUTRAL) != NEUTRAL
        auc, precision = separation(np.asarray(curve, dtype=np.float64), inside)
        yield named | {"splice": name, "speaker": splices.speaker(name), "auc": auc, "precision": precision}


def told_by_emotions(splices: Splices, found: Iterable[tuple[str, list[str], str]], named: dict) -> Iterator[dict]:
    """`named`, splice, speaker, boundary (error in s) and, a row for each emotion that is true somewhere, emotion,
    seconds, right, and right_everywhere.

    `found`: (splice, emotions of its frames `[T]`, the emotion of the whole of it, which is right_everywhere's).
    """
    for name, emotions, everywhere in found:
        duration, truth = splices.duration(name), splices.truth(name)
        segments, whole = segments_of(emotions, duration / len(emotions)), [Segment(0.0, duration, everywhere)]
        told = {"splice": name, "speaker": splices.speaker(name), "boundary": boundary_error(segments, truth)}
        of_whole = seconds_of(whole, truth)
        for emotion, (seconds, right) in seconds_of(segments, truth).items():
            own = {"emotion": emotion, "seconds": seconds, "right": right, "right_everywhere": of_whole[emotion][1]}
            yield named | told | own


class Recognised(NamedTuple):
    """`posteriors` `[T, classes]` and `weights` `[T]` of a splice's frames, and the emotion of the whole."""

    splice: str
    classes: list[str]
    posteriors: np.ndarray
    weights: np.ndarray
    emotion: str


def recognised(splices: Splices, folder: str | Path) -> Iterator[Recognised]:
    """What the trained system in a folder says of each splice."""
    model = Recogniser(folder)
    for name in splices.names:
        others = [one for one in splices.names if one != name and splices.speaker(one) == splices.speaker(name)]
        speaker = [splices.waveform(other) for other in others] if model.normalisation == "speaker" else ()
        (segment,) = model(splices.waveform(name), RATE, frames=True, segment=splices.duration(name), speaker=speaker)
        yield Recognised(name, model.classes, segment.posteriors, segment.weights, segment.emotion)


def reference(train: Splices, test: Splices, classes: list[str]) -> Iterator[tuple[str, np.ndarray]]:
    """(splice, posteriors `[T, classes]`) by logistic regression of log-mel windows, fitted to the truth about the
    frames of training speakers' splices: what can be heard within half a second by the simplest means."""
    heard = {name: _windows(extracted("fbank", train.waveform(name))) for name in train.names}
    emotions = [
        emotions_at(times_of(len(heard[name]), train.duration(name)), train.emotional(name), NEUTRAL)
        for name in train.names
    ]
    numbers = np.array([classes.index(emotion) for emotion in np.concatenate(emotions)])
    asked = [_windows(extracted("fbank", test.waveform(name))) for name in test.names]
    found = logistic(np.concatenate(list(heard.values())), numbers, np.concatenate(asked), len(classes), C=0.01)
    yield from zip(test.names, np.split(found, np.cumsum([len(one) for one in asked])[:-1]), strict=True)


def seam_control(train: Splices, test: Splices) -> float:
    """AUC of a detector that is trained to find the seams of neutral + neutral; .5 is chance, NaN without any.

    What it is shown of a moment: how much log-mel energies differ between before and after, over 30 and 250 ms; the
    moments that are none are at least half a second from seam and edges.
    """
    from sklearn.metrics import roc_auc_score

    (heard, seams), (asked, truth) = map(_moments, (train.of(SEAM), test.of(SEAM)))
    if not (0 < sum(seams) < len(seams) and 0 < sum(truth) < len(truth)):
        return np.nan
    return float(roc_auc_score(truth, logistic(heard, seams, asked, 2, C=0.01)[:, 1]))


def told_by_units(
    splices: Splices, frames: FrameStore, phones: dict[str, np.ndarray], kmeans: Clustering, seed: int, named: dict
) -> Iterator[dict]:
    """`named`, speaker, k and, of what a frame's unit tells of the emotion in it, emotion_purity, emotion_pnmi and
    chance_pnmi, which units have that are moved along the speaker's speech; phone_pnmi: of `phone_like` units."""
    k, rng = len(kmeans.centroids), np.random.default_rng(seed)
    speakers = sorted({splices.speaker(name) for name in splices.names})
    for speaker in speakers:
        names = [name for name in splices.names if splices.speaker(name) == speaker]
        units = [kmeans.assign(frames[name]) for name in names]
        times = [times_of(len(one), splices.duration(name)) for one, name in zip(units, names, strict=True)]
        emotions = [
            emotions_at(own, splices.emotional(name), NEUTRAL) for own, name in zip(times, names, strict=True)
        ]
        numbers = np.unique(np.concatenate(emotions).astype(str), return_inverse=True)[1]
        like = [_nearest(phones[name], len(own)) for own, name in zip(units, names, strict=True)]
        units = np.concatenate(units)
        moved = np.roll(units, int(rng.integers(len(units) // 4, 3 * len(units) // 4)))
        quality = unit_quality(units, numbers, k)
        yield named | {
            "speaker": speaker, "k": k, "emotion_purity": quality["purity"], "emotion_pnmi": quality["pnmi"],
            "chance_pnmi": unit_quality(moved, numbers, k)["pnmi"],
            "phone_pnmi": unit_quality(units, np.concatenate(like), k)["pnmi"],
        }  # fmt: skip


def phone_like(train: Splices, test: Splices, seed: int) -> dict[str, np.ndarray]:
    """{splice: unit `[T]` of every 10 ms} of `test`, by k-means on the MFCCs of `train`."""
    kmeans = fit_kmeans(
        np.concatenate([extracted("mfcc", train.waveform(name)) for name in train.names]), PHONE_LIKE, seed
    )
    return {name: kmeans.assign(extracted("mfcc", test.waveform(name))) for name in test.names}


def _windows(frames):
    """Mean and deviation of each band in the half second around every tenth: `[T, D]` -> `[W, 2 D]`."""
    frames = np.asarray(frames, dtype=np.float32)
    middles = range(STEP // 2, max(len(frames), STEP // 2 + 1), STEP)
    parts = [frames[max(0, middle - WINDOW) : middle + WINDOW] for middle in middles]
    return np.array([np.concatenate([part.mean(0), part.std(0)]) for part in parts])


def _moments(splices):
    """(what is shown of moments `[M, 2 D]`, 1 where a seam is there, 0 where none is near `[M]`)."""
    shown, seams = [], []
    for name in splices.names:
        frames = np.asarray(extracted("fbank", splices.waveform(name)), dtype=np.float32)
        (seam,) = splices.seams(name)
        far = [middle for middle in range(50, len(frames) - 50, STEP) if abs(middle / 100 - seam) >= 0.5]
        for middle, is_seam in [(round(seam * 100), 1), *((middle, 0) for middle in far)]:
            apart = [
                abs(frames[max(0, middle - near) : middle].mean(0) - frames[middle : middle + near].mean(0))
                for near in (3, WINDOW)
            ]
            shown.append(np.concatenate(apart))
            seams.append(is_seam)
    return np.array(shown), np.array(seams)


def _nearest(units, count):
    """Units `[T]` at the centres of `count` frames that share the same time."""
    return units[(times_of(count, 1.0) * len(units)).astype(int)]


class Findings:
    """What everything says of splices: rows of `scores`, `emotions` and `units`, and of a few splices in full, for
    figures, `timelines`."""

    def __init__(self, splices: Splices) -> None:
        self.splices, self.scores, self.emotions, self.units, self.timelines = splices, [], [], [], []
        chosen = {pattern: next(iter(splices.of(pattern).names), None) for pattern in SHOWN}
        self.drawn = [name for name in chosen.values() if name]
        for name in self.drawn:
            for start, end, emotion in splices.truth(name):
                self._draw(name, "truth", emotion, [start, end])
            levels = np.abs(splices.waveform(name))
            self._draw(name, "waveform", "", [part.max() for part in np.array_split(levels, WAVEFORM)])

    def intensity(self, name: str, curves: Iterable[tuple[str, np.ndarray]]) -> None:
        """`curves`: (splice, scores of its frames `[T]`)."""
        curves = list(curves)
        self.scores += told_by_scores(self.splices, curves, {"kind": "intensity", "name": name})
        for splice, curve in curves:
            self._draw(splice, "intensity", name, curve)

    def attention(self, name: str, weights: Iterable[tuple[str, np.ndarray]]) -> None:
        """`weights`: (splice, share of its frames in a system's decision `[T]`)."""
        self.scores += told_by_scores(self.splices, weights, {"kind": "attention", "name": name})

    def posteriors(self, name: str, classes: list[str], told: Iterable[tuple[str, np.ndarray, str]]) -> None:
        """`told`: (splice, posteriors of its frames `[T, classes]`, the emotion of the whole)."""
        told = list(told)
        found = [(splice, [classes[place] for place in own.argmax(1)], whole) for splice, own, whole in told]
        self.emotions += told_by_emotions(self.splices, found, {"name": name})
        if NEUTRAL in classes:
            emotional = [(splice, 1 - own[:, classes.index(NEUTRAL)]) for splice, own, _ in told]
            self.scores += told_by_scores(self.splices, emotional, {"kind": "posterior", "name": name})
        for splice, own, _ in told:
            for emotion, values in zip(classes, own.T, strict=True):
                self._draw(splice, "posteriors", name, values, emotion)

    def seams(self, auc: float) -> None:
        """What `seam_control` found."""
        nowhere = {"splice": "", "speaker": "", "precision": np.nan}
        self.scores.append({"kind": "seams", "name": "seams", "auc": auc, **nowhere})

    def clustered(
        self, name: str, frames: FrameStore, phones: dict, kmeans: Clustering, seed: int, layer: int | None = None
    ) -> None:
        """See `told_by_units`; `layer` of the encoder `name`, None where the run has units of that name."""
        named = {"name": name, "layer": np.nan if layer is None else layer}
        self.units += told_by_units(self.splices, frames, phones, kmeans, seed, named)
        for splice in self.drawn if layer is None else ():
            self._draw(splice, "units", name, kmeans.assign(frames[splice]))

    def _draw(self, splice, kind, name, values, column=""):
        if splice in self.drawn:
            told = {"splice": splice, "pattern": self.splices.pattern(splice), "kind": kind, "name": name}
            told |= {"column": column, "duration": self.splices.duration(splice)}
            self.timelines.append(told | {"values": [round(float(value), 4) for value in values]})
