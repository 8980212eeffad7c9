"""Frames of an utterance: fbank and MFCC, which whoever reads them normalises."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from serflow.audio import RATE

if TYPE_CHECKING:
    import torch

HOP = 0.01  # seconds between frames of fbank and MFCC
WIDTHS = {"fbank": 80, "fbank_deltas": 240, "fbank_hamming": 80, "mfcc": 39}
SPECTROGRAM_BINS, SPECTROGRAM_WINDOW, SPECTROGRAM_HOP = 80, 512, 256  # in samples; frame j is centred on 256 j


def extracted(kind: str, samples: np.ndarray) -> np.ndarray:
    """Frames of a `kind`, one of WIDTHS, as stores hold them and every stage reads them: `[T, D]` float16.

    `samples` `[N]`: as `serflow.audio.load` gives them.
    """
    return EXTRACTORS[kind](samples).astype(np.float16)


def fbank(samples: np.ndarray) -> np.ndarray:
    """80 log-mel filterbank energies, 25 ms windows every 10 ms.

    `samples` `[N]` at 16 kHz -> `[1 + (N - 400) // 160, 80]` float32, natural logarithms: -16 in silence.
    Source: Kaldi, as s3prl reads it.
    """
    return _mel_energies(samples).numpy()


def fbank_deltas(samples: np.ndarray) -> np.ndarray:
    """`fbank` with first and second differences over 5 frames, `[T, 240]`: what MockingJay reads (s3prl)."""
    return _with_differences(_mel_energies(samples))


def fbank_hamming(samples: np.ndarray) -> np.ndarray:
    """`fbank` of Hamming windows, `[T, 80]`: what NPC reads (s3prl)."""
    return _mel_energies(samples, window_type="hamming").numpy()


def mfcc(samples: np.ndarray) -> np.ndarray:
    """13 MFCC with first and second differences, as HuBERT's first iteration clusters them (Hsu et al. 2021, IV-B).

    `samples` `[N]` at 16 kHz -> `[1 + (N - 400) // 160, 39]` float32.
    """
    from torchaudio.compliance.kaldi import mfcc

    return _with_differences(mfcc(_waveform(samples), dither=0.0, use_energy=False, sample_frequency=RATE))


EXTRACTORS = {"fbank": fbank, "fbank_deltas": fbank_deltas, "fbank_hamming": fbank_hamming, "mfcc": mfcc}


def spectrogram(samples: np.ndarray) -> torch.Tensor:
    """Magnitude mel spectrogram, what networks of intensity hear: bands as librosa's, not stored.

    `samples` `[N]` at 16 kHz -> tensor `[1 + N // 256, 80]`.
    """
    import torch

    window = torch.hamming_window(SPECTROGRAM_WINDOW, periodic=False)
    samples, how = torch.as_tensor(samples, dtype=torch.float32), {"pad_mode": "constant", "return_complex": True}
    spectrum = torch.stft(samples, SPECTROGRAM_WINDOW, SPECTROGRAM_HOP, window=window, **how)
    return spectrum.abs().T @ _bands()


@cache
def _bands():
    from torchaudio.functional import melscale_fbanks

    bins = SPECTROGRAM_WINDOW // 2 + 1, 0.0, RATE / 2, SPECTROGRAM_BINS
    return melscale_fbanks(*bins, RATE, norm="slaney", mel_scale="slaney")


def _mel_energies(samples, **window):
    from torchaudio.compliance.kaldi import fbank

    return fbank(_waveform(samples), num_mel_bins=80, dither=0.0, sample_frequency=RATE, **window)


def _with_differences(static):
    import torch
    from torchaudio.functional import compute_deltas

    delta = compute_deltas(static.T)
    return torch.cat([static.T, delta, compute_deltas(delta)]).T.numpy()


def _waveform(samples):
    import torch

    return torch.from_numpy(np.asarray(samples, dtype=np.float32))[None]
