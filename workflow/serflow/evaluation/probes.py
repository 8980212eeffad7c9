"""What a vector of an utterance tells: linear probes for speaker and for emotion, and a map in two dimensions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import LeaveOneGroupOut, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

if TYPE_CHECKING:
    import pandas as pd

PREFIX = "vector_"  # of the columns of predictions that hold vectors


def vector_names(predictions: pd.DataFrame) -> list[str]:
    """The names of the vectors that a frame of predictions holds."""
    return [column.removeprefix(PREFIX) for column in predictions.columns if column.startswith(PREFIX)]


def probes(predictions: pd.DataFrame) -> dict[str, dict[str, float]]:
    """{name: {speaker, emotion}} of the vectors in a system's `predictions`: UA of logistic regression (C = 1, ours).

    Within the utterances that one network was tested on, whose speakers it never heard; averaged over fold and seed.
    Speakers are told apart by ten parts of the utterances, emotions in one speaker by the others of the fold, so a
    fold of one speaker, or with a speaker of one utterance or one emotion, tells neither (NaN).
    """
    return {name: _probed(predictions, PREFIX + name) for name in vector_names(predictions)}


def _probed(predictions, column):
    found = {"speaker": [], "emotion": []}
    for _, own in predictions.groupby(["fold", "seed"]):
        vectors, speakers = np.stack(own[column].to_numpy()), own["speaker"].to_numpy()
        fewest = own["speaker"].value_counts().min()
        every = own.groupby("speaker")["emotion"].nunique()
        if len(set(speakers)) > 1 and fewest > 1 and every.min() > 1:
            parts = StratifiedKFold(min(10, fewest), shuffle=True, random_state=0)
            tasks = {
                "speaker": (speakers, parts, None),
                "emotion": (own["emotion"].to_numpy(), LeaveOneGroupOut(), speakers),
            }
            for task, (truth, folds, groups) in tasks.items():
                model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, class_weight="balanced"))
                guessed = cross_val_predict(model, vectors, truth, groups=groups, cv=folds)
                found[task].append(balanced_accuracy_score(truth, guessed))
    return {task: float(np.mean(scores)) if scores else float("nan") for task, scores in found.items()}


def probe_notes(predictions: dict[str, pd.DataFrame], titles: dict[str, str]) -> Iterator[str]:
    """A sentence for each system whose predictions hold vectors. `predictions`: {system: frame}."""
    for system, frame in predictions.items():
        told = "; ".join(
            f"{name}: speaker {100 * scores['speaker']:.1f}, emotion {100 * scores['emotion']:.1f}"
            for name, scores in probes(frame).items()
        )
        if told:
            speakers = frame.groupby(["fold", "seed"])["speaker"].nunique().mean()
            yield (
                f"Linear probes of {titles[system]}, UA % for unheard speakers, of whom a fold tests {speakers:g} "
                f"(guessing the speaker has {100 / speakers:.0f}): {told}."
            )


def projected(predictions: pd.DataFrame, name: str) -> tuple[np.ndarray, pd.DataFrame]:
    """The vectors `name` of the first fold and seed on their two principal axes, `[N, 2]`, and their rows."""
    own = predictions[(predictions["fold"] == predictions["fold"].min())]
    own = own[own["seed"] == own["seed"].min()]
    return PCA(2, random_state=0).fit_transform(np.stack(own[PREFIX + name].to_numpy())), own
