"""Training batches of the intensity networks; audio stays memory-mapped, item i depends on seed and i alone."""

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from serflow.audio import RATE, from_int16
from serflow.errors import UserError
from serflow.intensity.spectrogram import spectrogram


class StrengthBatches(torch.utils.data.Dataset):
    """For StrengthNet: a third neutral, the emotions equally often, random crops, padded.

    Neutral speech that comes more often than one class among many widened the scores in our trials.
    """

    def __init__(self, audio, utterances, strengths, emotions, neutral, schedule, seed):
        """`audio`: frame store of int16; `strengths` `[N]` and `emotions` (class numbers) `[N]` of the
        `utterances`, `neutral` the number of that class; `schedule`: dict with `steps, batch_size, crop_seconds`."""
        self.audio, self.rows, self.schedule, self.seed = audio, audio.rows(utterances), schedule, seed
        self.strengths, self.emotions = np.asarray(strengths, dtype=np.float32), np.asarray(emotions, dtype=int)
        self.neutral = [np.flatnonzero(self.emotions == neutral)]
        self.of_class = [
            np.flatnonzero(self.emotions == number) for number in np.unique(emotions) if number != neutral
        ]

    def __len__(self):
        return self.schedule["steps"]

    def __getitem__(self, step):
        rng = np.random.default_rng([self.seed, step])
        calm = rng.random(self.schedule["batch_size"]) < 1 / 3
        batch = [draw(rng, self.neutral if one else self.of_class) for one in calm]
        crops = [crop(rng, self.audio[int(row)], self.schedule["crop_seconds"]) for row in self.rows[batch]]
        return {
            **pad([spectrogram(samples) for samples in crops]),
            "labels": torch.from_numpy(self.strengths[batch]),
            "emotions": torch.from_numpy(self.emotions[batch]),
        }


class MixedBatches(torch.utils.data.Dataset):
    """For the rank model: an emotional and a neutral crop of one speaker, mixed twice; emotions equally often."""

    def __init__(self, audio, utterances, speakers, emotions, neutral, schedule, seed):
        """`speakers` `[N]`, `emotions` (class numbers) `[N]` of the `utterances`, `neutral` the number of that class;
        the rest as `StrengthBatches`. Raises UserError when no speaker has both."""
        self.audio, self.rows, self.schedule, self.seed = audio, audio.rows(utterances), schedule, seed
        self.speakers, self.emotions = np.asarray(speakers), np.asarray(emotions, dtype=int)
        calm = self.emotions == neutral
        self.neutral_of = {name: np.flatnonzero(calm & (self.speakers == name)) for name in self.speakers[calm]}
        paired = ~calm & np.isin(self.speakers, list(self.neutral_of))
        if not paired.any():
            raise UserError(
                "The rank model mixes neutral and emotional speech of one speaker and no speaker to fit on has both: "
                "let intensity.corpus name a corpus that has such, or choose intensity.method energy."
            )
        emotional = np.unique(self.emotions[paired])
        self.of_class = [np.flatnonzero(paired & (self.emotions == number)) for number in emotional]

    def __len__(self):
        return self.schedule["steps"]

    def __getitem__(self, step):
        rng = np.random.default_rng([self.seed, step])
        shares = rng.random((2, self.schedule["batch_size"], 1, 1), dtype=np.float32)
        batch = [draw(rng, self.of_class) for _ in range(self.schedule["batch_size"])]
        mixtures = [[], []]
        for number, share in zip(batch, shares.transpose(1, 0, 2, 3), strict=True):
            pair = self.rows[number], self.rows[rng.choice(self.neutral_of[self.speakers[number]])]
            samples = [self.audio[int(row)] for row in pair]
            seconds = min(self.schedule["crop_seconds"], *(len(one) / RATE for one in samples))
            emotional, neutral = (spectrogram(crop(rng, one, seconds)) for one in samples)
            for mixture, weight in zip(mixtures, torch.from_numpy(share), strict=True):
                mixture.append(weight * emotional + (1 - weight) * neutral)
        return {
            **pad(mixtures[0] + mixtures[1]),
            "labels": torch.from_numpy(shares.reshape(-1)),
            "emotions": torch.from_numpy(np.tile(self.emotions[batch], 2)),
        }


def draw(rng, of_class):
    """One of the numbers in the arrays `of_class`, each array being equally likely."""
    return rng.choice(of_class[rng.integers(len(of_class))])


def crop(rng, samples, seconds):
    """At most `seconds` of int16 `samples`, from anywhere, as floats."""
    length = min(len(samples), round(seconds * RATE))
    first = rng.integers(len(samples) - length + 1)
    return from_int16(samples[first : first + length])


def pad(spectrograms):
    """Stack `[T, 80]` tensors of different lengths -> `input_values` `[B, longest, 80]`, `lengths` `[B]`."""
    lengths = torch.tensor([len(frames) for frames in spectrograms])
    return {"input_values": pad_sequence(spectrograms, batch_first=True), "lengths": lengths}


def batches_for(method, audio, rows, classes, schedule, seed):
    """The training batches of a learned `method`: `rows` frame of utterance, speaker, emotion and, for StrengthNet,
    strength; `classes` its sorted emotions."""
    emotions = rows["emotion"].map(classes.index)
    if method == "strengthnet":
        neutral = classes.index("neutral")
        return StrengthBatches(audio, rows["utterance"], rows["strength"], emotions, neutral, schedule, seed)
    if "neutral" not in classes:
        raise UserError(
            "The rank model mixes neutral and emotional speech and there is no neutral class: let intensity.corpus "
            "name a corpus that has one, or choose intensity.method energy."
        )
    return MixedBatches(audio, rows["utterance"], rows["speaker"], emotions, classes.index("neutral"), schedule, seed)
