"""Frame-level emotion intensity: how emotional each frame of an utterance sounds (docs/methods.md, EMS).

ranking.py   functionals -> an utterance's strength, by relative attributes: what StrengthNet learns
loudness.py  the controls: how loud a frame is, which any learned intensity must beat

Networks are fitted on the training speakers of a fold alone and stand among the models. Here: what scores frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter1d

from serflow.audio import RATE, from_int16
from serflow.errors import UserError
from serflow.features import SPECTROGRAM_HOP, spectrogram
from serflow.frames import FrameStore, batches_by_length, centres, on_grid
from serflow.models import description_of, network_class, pretrained

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn


def load(method: str, folder: str | Path) -> nn.Module:
    """The saved network of a learned `method`; UserError for a folder that holds another."""
    model = network_class(method)
    try:
        told = description_of(folder)
        made = told["model_type"]
        network = pretrained(model, folder, told)[0] if made == model.config_class.model_type else None
    except Exception as error:  # JSON, safetensors and shape errors share no class of their own
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{folder} holds no network ({reason}): delete it and run what made it again.") from error
    if made != model.config_class.model_type:
        raise UserError(
            f"{folder} holds no network of method {method} but '{made}': name in intensity.method what made it."
        )
    return network


def check_unheard(utterances: pd.DataFrame, heard: pd.DataFrame, model: str) -> None:
    """UserError where a `model` of another corpus was fitted on recordings of this one, which its folds may test.

    `utterances` of this corpus and those that were `heard`: frames with a `sha256` a row.
    """
    shared = utterances["sha256"].isin(heard["sha256"])
    if shared.any():
        raise UserError(
            f"{model} was fitted on {shared.sum()} recordings of this corpus, whose test speakers it would know: "
            "let intensity.corpus name one that shares no speakers, or remove it, and every fold trains its own."
        )


def scores(method: str, model: nn.Module | None, samples: np.ndarray, smoothing: float = 0.0) -> np.ndarray:
    """Intensity in [0, 1] of each fbank frame of one utterance: `[N]` at 16 kHz -> `[1 + (N - 400) // 160]` float32.

    `model` is None for those of loudness.
    `smoothing`: standard deviation in s of a Gaussian over the frames (ours), for any method alike.
    """
    return _scores(method, model, [samples], smoothing)[0]


def score(
    method: str,
    model: nn.Module | None,
    audio: FrameStore,
    utterances: list[str],
    seconds: float = 0.0,
    smoothing: float = 0.0,
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield `(utterance, scores)` of the named utterances of the frame store `audio`, in length order.

    `seconds` of audio a batch, 0: one by one. The model goes to the GPU where there is one, and in evaluation mode.
    """
    for batch in batches_by_length(audio.lengths[audio.rows(utterances)], seconds * RATE):
        names = [utterances[number] for number in batch]
        samples = [from_int16(audio[name]) for name in names]
        yield from zip(names, _scores(method, model, samples, smoothing), strict=True)


def _scores(method, model, utterances, smoothing):
    if model is None:
        from serflow.intensity import loudness

        curves = [getattr(loudness, method)(samples) for samples in utterances]
    else:
        curves = [model.bounded(curve) for curve in _network_scores(model, utterances)]
    if smoothing:
        curves = [gaussian_filter1d(curve, smoothing / 0.01, mode="nearest") for curve in curves]
    return curves


def _network_scores(model, utterances):
    import torch

    from serflow.padding import padded

    device = "cuda" if torch.cuda.is_available() else "cpu"
    batch = padded([spectrogram(samples) for samples in utterances])
    with torch.inference_mode():
        found = model.to(device).eval()(**{name: values.to(device) for name, values in batch.items()})
    frames = [1 + (len(samples) - 400) // 160 for samples in utterances]
    times = np.arange(found.frame_scores.shape[1]) * SPECTROGRAM_HOP / RATE
    return [
        on_grid(curve[:length], times[:length], centres(count))
        for curve, length, count in zip(found.frame_scores.cpu(), batch["lengths"], frames, strict=True)
    ]
