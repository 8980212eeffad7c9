"""The controls of every learned intensity: how loud a frame is (ours), within its utterance and in itself."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

WINDOW, HOP = 400, 160  # samples: those of fbank


def level(samples: np.ndarray) -> np.ndarray:
    """Level of each fbank window of `samples` `[N]`, full scale 1 -> float32 `[1 + (N - 400) // 160]` in [0, 1].

    In dB, from 0 at the floor of one step of 16 bits, which keeps digital silence finite, to 1 at 0 dB full scale.
    Comparable between utterances as far as they were recorded alike.
    """
    windows = sliding_window_view(np.asarray(samples, dtype=np.float32), WINDOW)[::HOP]
    amplitude = np.sqrt(np.mean(windows**2, axis=1))
    return (1 + np.log2(np.clip(amplitude, 2.0**-15, 1)) / 15).astype(np.float32)


def energy(samples: np.ndarray) -> np.ndarray:
    """The same, min-max scaled over the utterance to [0, 1], so that the level of the recording plays no part.

    Masking compares the frames of one utterance only. Between utterances `level` is the control.
    """
    levels = level(samples)
    return (levels - levels.min()) / max(np.ptp(levels), np.float32(1e-6))
