"""The control of every learned intensity: how loud a frame is (ours)."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

WINDOW, HOP = 400, 160  # samples: those of fbank


def energy(samples):
    """Log RMS of each fbank window of `samples` `[N]` -> float32 `[1 + (N - 400) // 160]`, min-max scaled to [0, 1].

    Scaled over the utterance: its level tells of the microphone as much as of the voice, and masking compares the
    frames of one utterance only. The floor is one step of 16 bits, so that digital silence stays finite.
    """
    windows = sliding_window_view(np.asarray(samples, dtype=np.float32), WINDOW)[::HOP]
    level = np.log(np.maximum(np.sqrt(np.mean(windows**2, axis=1)), 2.0**-15))
    return ((level - level.min()) / max(np.ptp(level), 1e-6)).astype(np.float32)
