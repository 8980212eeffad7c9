"""Utterances -> batches: data stay resident, and batch number i is the same whoever asks for it, and when."""

import numpy as np
import torch

from serflow.audio import RATE
from serflow.frames import batches_by_length
from serflow.normalisation import moments

FEWEST_SAMPLES = 400  # what the convolutional front-end needs for its first token


class Inputs:
    """What an encoder reads, an utterance at a time: normalised waveforms `[N]` or feature frames `[F, D]`.

    `stack`: 10 ms frames a token of the encoder, whose convolutions have a window of 25 ms on waveforms.
    """

    def __init__(self, store, stack=2, shared=None):
        """`shared`: see `shared_moments`; None: every utterance is normalised by its own."""
        self.store, self.moments = store, {} if shared is None else shared
        self.is_audio = store.width == 0
        self.step = stack * RATE // 100 if self.is_audio else stack  # inputs a token
        self.overhang = FEWEST_SAMPLES - self.step if self.is_audio else 0
        self.per_second = RATE if self.is_audio else round(1 / store.hop)
        self.tokens_per_second = 100 // stack

    def tokens(self, rows):
        """Tokens of each row, as the encoder counts them."""
        return (self.store.lengths[rows] - self.overhang) // self.step

    def read(self, row, first=0, tokens=None):
        """Inputs of `tokens` tokens from token `first` on (None: all there is), float32."""
        last = None if tokens is None else (first + tokens) * self.step + self.overhang
        name, values = self.store.utterances[row], self.store[int(row)]
        if name not in self.moments:
            self.moments[name] = moments(self.store, [name])
        mean, deviation = self.moments[name]
        return (values[first * self.step : last].astype(np.float32) - mean) / deviation

    def pad(self, arrays):
        """Stack `[N, ...]` arrays of different lengths -> `input_values` `[B, longest, ...]`, `lengths` `[B]`."""
        lengths = torch.tensor([len(array) for array in arrays])
        padded = np.zeros((len(arrays), int(lengths.max()), *arrays[0].shape[1:]), dtype=np.float32)
        for row, array in zip(padded, arrays, strict=True):
            row[: len(array)] = array
        return {"input_values": torch.from_numpy(padded), "lengths": lengths}


class PretrainingBatches(torch.utils.data.Dataset):
    """Batches for self-supervised pretraining: similar lengths, cropped at random to the shortest, never padded.

    Item i depends on `seed` and i alone, so a resumed run sees what an unbroken one would have.
    """

    def __init__(self, inputs, streams, utterances, settings, objective, seed, steps=None):
        """`streams`: frame stores `[T]` that go with the inputs, by name (`labels`, `intensity`); `objective`: see
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

    def __len__(self):
        return len(self.plan)

    def __getitem__(self, step):
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
    """Batches for emotion training: classes equally often, random crops, padded. Item i depends on seed and i."""

    def __init__(self, inputs, utterances, labels, schedule, seed):
        """`labels` int `[utterances]`; `schedule`: dict with `steps, batch_size, crop_seconds`."""
        self.inputs, self.labels, self.seed = inputs, np.asarray(labels), seed
        self.steps, self.size = schedule["steps"], schedule["batch_size"]
        self.crop = int(schedule["crop_seconds"] * inputs.tokens_per_second)
        self.rows = inputs.store.rows(utterances)
        self.tokens = inputs.tokens(self.rows)
        self.of_class = [np.flatnonzero(self.labels == label) for label in np.unique(self.labels)]

    def __len__(self):
        return self.steps

    def __getitem__(self, step):
        rng = np.random.default_rng([self.seed, step])
        batch = [rng.choice(self.of_class[rng.integers(len(self.of_class))]) for _ in range(self.size)]
        first = rng.integers(np.maximum(self.tokens[batch] - self.crop, 0) + 1)
        values = [
            self.inputs.read(row, start, min(self.crop, count))
            for row, start, count in zip(self.rows[batch], first, self.tokens[batch], strict=True)
        ]
        return {**self.inputs.pad(values), "labels": torch.from_numpy(self.labels[batch])}


class WholeUtterances(torch.utils.data.Dataset):
    """Every utterance once, uncropped, in padded batches of similar length: for validation, prediction, embedding."""

    def __init__(self, inputs, utterances, labels=None, seconds=0.0):
        """`seconds` of audio a batch; 0 = one by one."""
        self.inputs, self.labels = inputs, None if labels is None else np.asarray(labels)
        self.rows = inputs.store.rows(utterances)
        self.plan = batches_by_length(inputs.store.lengths[self.rows], seconds * inputs.per_second)

    def __len__(self):
        return len(self.plan)

    def __getitem__(self, number):
        batch = self.plan[number]
        padded = self.inputs.pad([self.inputs.read(row) for row in self.rows[batch]])
        return padded if self.labels is None else {**padded, "labels": torch.from_numpy(self.labels[batch])}


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
