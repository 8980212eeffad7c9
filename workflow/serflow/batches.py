"""Utterances -> batches: data stay resident, and batch number i is the same whoever asks for it, and when."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import ArrayLike

from serflow.audio import RATE, from_int16
from serflow.errors import UserError
from serflow.features import spectrogram
from serflow.frames import FrameStore, batches_by_length
from serflow.normalisation import moments
from serflow.padding import padded
from serflow.progress import say
from serflow.registry import chosen

if TYPE_CHECKING:
    import pandas as pd

FEWEST_SAMPLES = 400  # what the convolutional front-end needs for its first token


class Inputs:
    """What an encoder reads, an utterance at a time: normalised waveforms `[N]` or feature frames `[F, D]`.

    `stack`: 10 ms frames a token of the encoder, whose convolutions have a window of 25 ms on waveforms.
    """

    def __init__(self, store: FrameStore, stack: int = 2, shared: dict | None = None) -> None:
        """`shared`: see `shared_moments`; None: every utterance is normalised by its own."""
        self.store, self.moments = store, {} if shared is None else shared
        self.is_audio = store.width == 0
        self.step = stack * RATE // 100 if self.is_audio else stack  # inputs a token
        self.overhang = FEWEST_SAMPLES - self.step if self.is_audio else 0
        self.per_second = RATE if self.is_audio else round(1 / store.hop)
        self.tokens_per_second = 100 // stack

    def tokens(self, rows: np.ndarray) -> np.ndarray:
        """Tokens of each row, as the encoder counts them."""
        return (self.store.lengths[rows] - self.overhang) // self.step

    def read(self, row: int, first: int = 0, tokens: int | None = None) -> np.ndarray:
        """Inputs of `tokens` tokens from token `first` on (None: all there is), float32."""
        last = None if tokens is None else (first + tokens) * self.step + self.overhang
        name, values = self.store.utterances[row], self.store[int(row)]
        if name not in self.moments:
            self.moments[name] = moments(self.store, [name])
        mean, deviation = self.moments[name]
        return (values[first * self.step : last].astype(np.float32) - mean) / deviation


class PretrainingBatches(torch.utils.data.Dataset):
    """Batches for self-supervised pretraining: similar lengths, cropped at random to the shortest, never padded.

    Item i depends on `seed` and i alone, so a resumed run sees what an unbroken one would have.
    """

    def __init__(
        self,
        inputs: Inputs,
        streams: dict[str, FrameStore],
        utterances: list[str],
        settings: dict,
        objective: Callable,
        seed: int,
        steps: int | None = None,
    ) -> None:
        """`streams`: frame stores `[T]` that go with the inputs, by name (`units`, `intensity`); `objective`: see
        serflow.objectives; `settings`: the pretraining's, whose `schedule` has `steps, batch_seconds,
        crop_seconds` and what the objective asks for; `steps` in place of the schedule's."""
        self.inputs, self.streams, self.seed = inputs, streams, seed
        self.settings, self.objective = settings, objective
        self.utterances, self.rows = list(utterances), inputs.store.rows(utterances)
        self.every = {name: round(1 / (inputs.tokens_per_second * store.hop)) for name, store in streams.items()}
        counts = [-(-store.lengths[store.rows(utterances)] // self.every[name]) for name, store in streams.items()]
        self.available = np.min([inputs.tokens(self.rows), *counts], axis=0)
        schedule = settings["schedule"]
        self.tokens = np.minimum(self.available, int(schedule["crop_seconds"] * inputs.tokens_per_second))
        budget = schedule["batch_seconds"] * inputs.tokens_per_second
        self.plan = _epochs(self.tokens, budget, steps or schedule["steps"], seed)

    def __len__(self) -> int:
        return len(self.plan)

    def __getitem__(self, step: int) -> dict:
        rng = np.random.default_rng([self.seed, step])
        batch = self.plan[step]
        tokens = int(self.tokens[batch].min())
        first = rng.integers(self.available[batch] - tokens + 1)
        values = [self.inputs.read(row, start, tokens) for row, start in zip(self.rows[batch], first, strict=True)]
        crops = {"input_values": torch.from_numpy(np.stack(values))}
        for name, store in self.streams.items():
            every = self.every[name]
            rows = [
                store[self.utterances[number]][start * every :: every][:tokens]
                for number, start in zip(batch, first, strict=True)
            ]
            stacked = torch.from_numpy(np.stack(rows))
            crops[name] = stacked.float() if stacked.is_floating_point() else stacked.long()
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        return self.objective(crops, self.settings, generator)


class LabelledBatches(torch.utils.data.Dataset):
    """Batches for emotion training: classes equally often, unless `balanced` says another, random crops, padded. Item
    i depends on seed and i."""

    def __init__(
        self, inputs: Inputs, rows: pd.DataFrame, classes: list[str], schedule: dict, seed: int, needs: Iterable = ()
    ) -> None:
        """`rows`: frame with `utterance, emotion` and what the `needs`, names of COLUMNS, ask for; `classes`: sorted
        names; `schedule`: dict with `steps, batch_size, crop_seconds` and, to draw the genders of a class equally
        often too, `balanced` emotion+gender, or nothing, to draw every utterance as often."""
        self.inputs, self.seed = inputs, seed
        self.steps, self.size = schedule["steps"], schedule["batch_size"]
        self.crop = int(schedule["crop_seconds"] * inputs.tokens_per_second)
        self.rows = inputs.store.rows(rows["utterance"])
        self.tokens = inputs.tokens(self.rows)
        self.emotions = rows["emotion"].map(classes.index).to_numpy()
        of_class = [np.flatnonzero(self.emotions == emotion) for emotion in np.unique(self.emotions)]
        if schedule.get("balanced") == "nothing":
            of_class = [np.arange(len(rows))]
        elif schedule.get("balanced") == "emotion+gender":
            genders = rows["gender"].fillna("unknown").to_numpy()
            of_class = [[own[genders[own] == gender] for gender in np.unique(genders[own])] for own in of_class]
        self.of_class = of_class
        self.columns = {name: chosen(name, COLUMNS, "a head needs the column")(rows, self) for name in needs}

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> dict:
        rng = np.random.default_rng([self.seed, step])
        batch = np.array([draw(rng, self.of_class) for _ in range(self.size)])
        item = {**self.crops(rng, batch), "emotions": torch.from_numpy(self.emotions[batch])}
        columns = {name: column(rng, batch) for name, column in self.columns.items()}
        columns = {name: column for name, column in columns.items() if column is not None}
        return item | {"columns": columns} if columns else item

    def crops(self, rng: np.random.Generator, batch: np.ndarray) -> dict[str, torch.Tensor]:
        """Padded inputs of the utterances numbered in `batch`, cropped at random."""
        first = rng.integers(np.maximum(self.tokens[batch] - self.crop, 0) + 1)
        values = [
            self.inputs.read(row, start, min(self.crop, count))
            for row, start, count in zip(self.rows[batch], first, self.tokens[batch], strict=True)
        ]
        return padded(values)


class StrengthBatches(torch.utils.data.Dataset):
    """Spectrograms for StrengthNet: a third neutral, the emotions equally often, random crops, padded.

    Neutral speech that comes more often than one class among many widened the scores in our trials.
    """

    def __init__(self, audio: FrameStore, rows: pd.DataFrame, classes: list[str], schedule: dict, seed: int) -> None:
        """`audio`: frame store of int16; `rows`: frame with `utterance, emotion, strength`; the rest as
        `LabelledBatches`."""
        self.audio, self.rows, self.schedule, self.seed = audio, audio.rows(rows["utterance"]), schedule, seed
        self.strengths = rows["strength"].to_numpy(np.float32)
        self.emotions = rows["emotion"].map(classes.index).to_numpy()
        neutral = classes.index("neutral")
        self.neutral = [np.flatnonzero(self.emotions == neutral)]
        others = np.setdiff1d(self.emotions, [neutral])
        self.of_class = [np.flatnonzero(self.emotions == emotion) for emotion in others]

    def __len__(self) -> int:
        return self.schedule["steps"]

    def __getitem__(self, step: int) -> dict:
        rng = np.random.default_rng([self.seed, step])
        calm = rng.random(self.schedule["batch_size"]) < 1 / 3
        batch = [draw(rng, self.neutral if one else self.of_class) for one in calm]
        crops = [crop(rng, self.audio[int(row)], self.schedule["crop_seconds"]) for row in self.rows[batch]]
        return {
            **padded([spectrogram(samples) for samples in crops]),
            "strengths": torch.from_numpy(self.strengths[batch]),
            "emotions": torch.from_numpy(self.emotions[batch]),
        }


class MixedBatches(torch.utils.data.Dataset):
    """Spectrograms for the rank model: an emotional and a neutral crop of one speaker, mixed twice; emotions equally
    often."""

    def __init__(self, audio: FrameStore, rows: pd.DataFrame, classes: list[str], schedule: dict, seed: int) -> None:
        """`rows`: frame with `utterance, emotion, speaker`; the rest as `StrengthBatches`. Raises UserError when no
        speaker has both."""
        self.audio, self.rows, self.schedule, self.seed = audio, audio.rows(rows["utterance"]), schedule, seed
        self.emotions = rows["emotion"].map(classes.index).to_numpy()
        self.neutral = NeutralPartners(rows)
        paired = (rows["emotion"] != "neutral").to_numpy() & self.neutral.known
        if not paired.any():
            raise UserError(
                "The rank model mixes neutral and emotional speech of one speaker and no speaker to fit on has both: "
                "let intensity.corpus name a corpus that has such, or choose intensity.method energy."
            )
        emotional = np.unique(self.emotions[paired])
        self.of_class = [np.flatnonzero(paired & (self.emotions == emotion)) for emotion in emotional]

    def __len__(self) -> int:
        return self.schedule["steps"]

    def __getitem__(self, step: int) -> dict:
        rng = np.random.default_rng([self.seed, step])
        shares = rng.random((2, self.schedule["batch_size"], 1, 1), dtype=np.float32)
        batch = [draw(rng, self.of_class) for _ in range(self.schedule["batch_size"])]
        mixtures = [[], []]
        for number, share in zip(batch, shares.transpose(1, 0, 2, 3), strict=True):
            pair = self.rows[number], self.rows[self.neutral.of(rng, number)]
            samples = [self.audio[int(row)] for row in pair]
            seconds = min(self.schedule["crop_seconds"], *(len(one) / RATE for one in samples))
            emotional, neutral = (spectrogram(crop(rng, one, seconds)) for one in samples)
            for mixture, weight in zip(mixtures, torch.from_numpy(share), strict=True):
                mixture.append(weight * emotional + (1 - weight) * neutral)
        return {
            **padded(mixtures[0] + mixtures[1]),
            "shares": torch.from_numpy(shares.reshape(-1)),
            "emotions": torch.from_numpy(np.tile(self.emotions[batch], 2)),
        }


INTENSITY_BATCHES = {"strengths": StrengthBatches, "mixtures": MixedBatches}  # by the OBJECTIVE of a network


class NeutralPartners:
    """For an utterance, a neutral one of the same speaker: never itself, and of another sentence where `texts` are to
    differ and known: the empty one is not."""

    def __init__(self, rows: pd.DataFrame, texts: bool = False) -> None:
        """`rows`: frame with `emotion, speaker` and, for `texts`, `text`."""
        neutral = (rows["emotion"] == "neutral").to_numpy()
        self.speakers, self.texts = rows["speaker"].to_numpy(), rows["text"].to_numpy() if texts else None
        self.neutral_of = {name: np.flatnonzero(neutral & (self.speakers == name)) for name in set(self.speakers)}
        self.known = np.array([len(self.choices(number)) > 0 for number in range(len(rows))], dtype=bool)

    def choices(self, number: int) -> np.ndarray:
        """The numbers of all partners of an utterance."""
        found = self.neutral_of[self.speakers[number]]
        found = found[found != number]
        if self.texts is None or not self.texts[number]:
            return found
        return found[self.texts[found] != self.texts[number]]

    def of(self, rng: np.random.Generator, number: int) -> int:
        """One of them."""
        return rng.choice(self.choices(number))


def partner(rows: pd.DataFrame, batches: LabelledBatches) -> Callable:
    """Inputs of a neutral partner, of another sentence, for those of a batch who have one; None where nobody has."""
    partners = NeutralPartners(rows, texts=True)
    if not partners.known.any():
        raise UserError(
            "No speaker to fit on has a neutral utterance of another sentence to be paired with: give the head's "
            "option that needs partners the value 0, or fit on speakers who have."
        )
    silent = (rows["text"] == "").sum()
    if silent:
        say(f"what is said in {silent} of {len(rows)} utterances is not known: their partners may say the same")
    alone = len(rows) - partners.known.sum()
    if alone:
        say(f"{alone} of {len(rows)} utterances have no neutral partner of their speaker, and go without")

    def inputs(rng, batch):
        found = np.array([partners.of(rng, number) for number in batch if partners.known[number]], dtype=int)
        return batches.crops(rng, found) if len(found) else None

    return inputs


def paired(rows: pd.DataFrame, batches: LabelledBatches) -> Callable:
    """Who of a batch has a `partner`, bool `[B]`."""
    known = NeutralPartners(rows, texts=True).known
    return lambda rng, batch: torch.from_numpy(known[batch])


def gender(rows: pd.DataFrame, batches: LabelledBatches) -> Callable:
    """0 female, 1 male, -1 unknown, `[B]`. UserError where there are not both."""
    numbers = rows["gender"].map({"female": 0, "male": 1}).fillna(-1).to_numpy(int)
    if len(set(numbers[numbers >= 0])) < 2:
        raise UserError(
            "The corpus does not tell women from men among the speakers to fit on, which this system's head "
            "compares: give labels.csv a column gender (female, male), or leave the head's option gender out."
        )
    return lambda rng, batch: torch.from_numpy(numbers[batch])


def numbers_of(column: str, rows: pd.DataFrame, batches: LabelledBatches) -> Callable:
    """Which of the sorted values of a `column` of the utterances each of a batch has, int `[B]`; -1: not known."""
    values = rows[column].replace("", None).astype("category").cat.codes.to_numpy(int)
    return lambda rng, batch: torch.from_numpy(values[batch])


# What a head may need beside inputs and labels.
COLUMNS = {"partner": partner, "paired": paired, "gender": gender}
COLUMNS |= {column: partial(numbers_of, column) for column in ("speaker", "text", "session")}


def draw(rng: np.random.Generator, of_class: list) -> int:
    """One of the numbers in the arrays `of_class`, each array being equally likely; or each list of arrays, and in it
    each array."""
    drawn = of_class[rng.integers(len(of_class))]
    return draw(rng, drawn) if isinstance(drawn, list) else rng.choice(drawn)


def crop(rng: np.random.Generator, samples: np.ndarray, seconds: float) -> np.ndarray:
    """At most `seconds` of int16 `samples`, from anywhere, as floats."""
    length = min(len(samples), round(seconds * RATE))
    first = rng.integers(len(samples) - length + 1)
    return from_int16(samples[first : first + length])


class WholeUtterances(torch.utils.data.Dataset):
    """Every utterance once, uncropped, in padded batches of similar length: for validation, prediction, embedding."""

    def __init__(
        self, inputs: Inputs, utterances: Iterable[str], emotions: ArrayLike | None = None, seconds: float = 0.0
    ) -> None:
        """`emotions`: their class numbers; `seconds` of audio a batch; 0 = one by one."""
        self.inputs, self.emotions = inputs, None if emotions is None else np.asarray(emotions)
        self.rows = inputs.store.rows(utterances)
        self.plan = batches_by_length(inputs.store.lengths[self.rows], seconds * inputs.per_second)

    def __len__(self) -> int:
        return len(self.plan)

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        batch = self.plan[number]
        item = padded([self.inputs.read(row) for row in self.rows[batch]])
        return item if self.emotions is None else {**item, "emotions": torch.from_numpy(self.emotions[batch])}


def _epochs(lengths, budget, steps, seed):
    """`steps` batches: per epoch new batches of similar length within `budget`, in random order."""
    plan, epoch = [], 0
    while len(plan) < steps:
        rng = np.random.default_rng([seed, epoch, 1])
        jittered = lengths * rng.uniform(0.9, 1.1, len(lengths))  # so that not the same rows meet every epoch
        batches = batches_by_length(jittered, budget)
        plan += [batches[i] for i in rng.permutation(len(batches))]
        epoch += 1
    return plan[:steps]
