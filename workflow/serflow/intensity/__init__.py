"""Frame-level emotion intensity: how emotional each frame of an utterance sounds.

spectrogram.py  what the networks hear, and the encoder of frames that both share
ranking.py      functionals -> an utterance's strength, by relative attributes
strengthnet.py  learns frame scores from those strengths (the paper's model)
rank_model.py   learns frame scores from mixtures of emotional and neutral speech (Wang et al. 2023)
loudness.py     the controls: how loud a frame is, which any learned intensity must beat
batches.py      what the two networks are trained on

Fitted on the training speakers of a fold alone. Here: what the methods share.
"""

import importlib
import json
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.special import expit

from serflow.audio import RATE, from_int16
from serflow.errors import UserError
from serflow.frames import batches_by_length

NETWORKS = {  # method -> where its network is
    "strengthnet": ("serflow.intensity.strengthnet", "StrengthNet"),
    "rank-model": ("serflow.intensity.rank_model", "RankModel"),
}


def network(method):
    """The `PreTrainedModel` class of a learned method."""
    module, name = NETWORKS[method]
    return getattr(importlib.import_module(module), name)


def load(method, folder):
    """The saved network of a learned `method`; UserError for a folder that holds another."""
    model = network(method)
    made = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))["model_type"]
    if made != model.config_class.model_type:
        raise UserError(
            f"{folder} holds no network of method {method} but '{made}': name in intensity.method what made it."
        )
    return model.from_pretrained(folder, use_safetensors=True)


def check_unheard(utterances, heard, model):
    """UserError where a `model` of another corpus was fitted on recordings of this one, which its folds may test.

    `utterances` of this corpus and those that were `heard`: frames with a `sha256` a row.
    """
    shared = utterances["sha256"].isin(heard["sha256"])
    if shared.any():
        raise UserError(
            f"{model} was fitted on {shared.sum()} recordings of this corpus, whose test speakers it would know: "
            "let intensity.corpus name one that shares no speakers, or remove it, and every fold trains its own."
        )


def centres(frames, hop=0.01):
    """Time in s of the centre of each of `frames` 25 ms windows `hop` s apart: 10 ms fbank frames, 20 ms tokens."""
    return 0.0125 + hop * np.arange(frames)


def on_grid(scores, times, wanted):
    """Frame `scores` `[T]` at `times` (s, rising), interpolated linearly to the times `wanted`; constant beyond."""
    return np.interp(wanted, times, scores).astype(np.float32)


def scores(method, model, samples, smoothing=0.0):
    """Intensity in [0, 1] of each fbank frame of one utterance: `[N]` at 16 kHz -> `[1 + (N - 400) // 160]` float32.

    `model` is None for those of loudness. What the rank model gives has no scale of its own: its sigmoid is taken.
    `smoothing`: standard deviation in s of a Gaussian over the frames (ours), for any method alike.
    """
    return _scores(method, model, [samples], smoothing)[0]


def score(method, model, audio, utterances, seconds=0.0, smoothing=0.0):
    """Yield `(utterance, scores)` of the named utterances of the frame store `audio`, in length order.

    `seconds` of audio a batch, 0: one by one. The model goes to the GPU where there is one, and in evaluation mode.
    """
    for batch in batches_by_length(audio.lengths[audio.rows(utterances)], seconds * RATE):
        names = [utterances[number] for number in batch]
        samples = [from_int16(audio[name]) for name in names]
        yield from zip(names, _scores(method, model, samples, smoothing), strict=True)


def _scores(method, model, utterances, smoothing):
    if method not in NETWORKS:
        from serflow.intensity import loudness

        curves = [getattr(loudness, method)(samples) for samples in utterances]
    else:
        curves = _network_scores(model, utterances)
        bounded = (lambda curve: curve.clip(0, 1)) if method == "strengthnet" else expit
        curves = [bounded(curve) for curve in curves]
    if smoothing:
        curves = [gaussian_filter1d(curve, smoothing / 0.01, mode="nearest") for curve in curves]
    return curves


def _network_scores(model, utterances):
    import torch

    from serflow.intensity.batches import pad
    from serflow.intensity.spectrogram import HOP, spectrogram

    device = "cuda" if torch.cuda.is_available() else "cpu"
    batch = pad([spectrogram(samples) for samples in utterances])
    with torch.inference_mode():
        found = model.to(device).eval()(**{name: values.to(device) for name, values in batch.items()})
    frames = [1 + (len(samples) - 400) // 160 for samples in utterances]
    times = np.arange(found.frame_scores.shape[1]) * HOP / RATE
    return [
        on_grid(curve[:length], times[:length], centres(count))
        for curve, length, count in zip(found.frame_scores.cpu(), batch["lengths"], frames, strict=True)
    ]
