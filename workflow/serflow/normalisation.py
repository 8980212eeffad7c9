"""Normalisation of what encoders read: mean 0 and deviation 1 of every dimension, over whom being the choice.

Features are stored as they are; this is applied where they are read. A store is a `serflow.frames.FrameStore` of
waveforms `[N]` or features `[T, D]`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from serflow.frames import FrameStore

KINDS = ("utterance", "training", "speaker")


def shared_moments(kind: str, store: FrameStore, utterances: pd.DataFrame, heard: Iterable[str]) -> dict | None:
    """{utterance: (mean, deviation)} for normalising by more than itself; None for kind `utterance`.

    `training`: by the utterances that were `heard`. `speaker`: by all of its speaker, who may be one that is tested:
    unlabelled, and transductive. `utterances`: a frame with `utterance` and `speaker`.
    """
    if kind == "utterance":
        return None
    if kind == "training":
        return dict.fromkeys(utterances.utterance, moments(store, sorted(heard)))
    own = {name: moments(store, sorted(part)) for name, part in utterances.groupby("speaker").utterance}
    return {row.utterance: own[row.speaker] for row in utterances.itertuples()}


def kept(kind: str, shared: dict | None) -> dict:
    """What a model keeps of how its inputs were normalised, JSON-able: `kind` and, for `training`, the `mean` and
    `deviation` in `shared`, see `shared_moments`."""
    if kind != "training":
        return {"normalisation": kind}
    mean, deviation = next(iter(shared.values()))
    return {"normalisation": kind, "mean": mean.tolist(), "deviation": deviation.tolist()}


def moments(store: FrameStore, utterances: Iterable[str]) -> tuple[np.ndarray | np.float32, np.ndarray | np.float32]:
    """Mean and deviation, float32 `[D]` (of waveforms scalars), over all frames of the named utterances.

    Divides by their number, where s3prl divides by one less, and is kept from 0 as s3prl's is, or for waveforms
    HuBERT's. Reads one utterance at a time.
    """
    return moments_over((store[utterance] for utterance in utterances), waveforms=store.width == 0)


def moments_over(
    arrays: Iterable[np.ndarray], waveforms: bool
) -> tuple[np.ndarray | np.float32, np.ndarray | np.float32]:
    """`moments` of waveforms `[N]` or of features `[T, D]`, as a store would hold them."""
    counts, means, variances = [], [], []
    for array in arrays:
        values = np.asarray(array, dtype=np.float32)
        counts.append(len(values))
        means.append(values.mean(0))
        variances.append(values.var(0))
    share = np.array(counts, dtype=np.float64) / sum(counts)
    means, variances = np.array(means, dtype=np.float64), np.array(variances, dtype=np.float64)
    mean = np.tensordot(share, means, 1)
    variance = np.tensordot(share, variances + (means - mean) ** 2, 1)
    deviation = np.sqrt(variance + 1e-7) if waveforms else np.sqrt(variance) + 1e-10
    return np.float32(mean), np.float32(deviation)
