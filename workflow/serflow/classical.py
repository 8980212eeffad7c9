"""The baselines that need no network: the majority class, and linear models of features of a whole utterance."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Method(NamedTuple):
    """`fit(features, emotions, test_features, classes, C)`, which features/<reads>.parquet it reads, without which of
    its columns, and the C that is fixed beforehand; None for none."""

    fit: Callable
    reads: str | None = None
    C: float | None = None
    without: tuple[str, ...] = ()


def majority(
    features: np.ndarray, emotions: np.ndarray, test_features: np.ndarray, classes: int, C: float | None
) -> np.ndarray:
    """Probabilities `[test, classes]`: each class' share of the training emotions."""
    shares = np.bincount(emotions, minlength=classes) / len(emotions)
    return np.tile(shares, (len(test_features), 1))


def svm(features: np.ndarray, emotions: np.ndarray, test_features: np.ndarray, classes: int, C: float) -> np.ndarray:
    """Linear SVM on functionals standardised over the training utterances; classes weigh the same.

    `features` `[N, 88]`, `emotions` int `[N]`, `test_features` `[M, 88]` -> softmax of decision values `[M,
    classes]`. Source: ours.
    """
    from scipy.special import softmax
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    machine = SVC(kernel="linear", C=C, class_weight="balanced", decision_function_shape="ovr")
    pipeline = make_pipeline(StandardScaler(), machine).fit(features, emotions)
    decision = pipeline.decision_function(test_features)
    if decision.ndim == 1:  # two classes: one column
        decision = np.stack([-decision, decision], axis=1)
    return _of_all(softmax(decision, axis=1), emotions, classes)


def logistic(
    features: np.ndarray, emotions: np.ndarray, test_features: np.ndarray, classes: int, C: float
) -> np.ndarray:
    """Logistic regression on features standardised over the training utterances; classes weigh the same.

    `features` `[N, D]`, `emotions` int `[N]`, `test_features` `[M, D]` -> probabilities `[M, classes]`. Source: ours.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    machine = LogisticRegression(C=C, class_weight="balanced", max_iter=1000)
    found = make_pipeline(StandardScaler(), machine).fit(features, emotions).predict_proba(test_features)
    return _of_all(found, emotions, classes)


def _of_all(probabilities, emotions, classes):
    """Probabilities of the classes that occur in `emotions` -> `[M, classes]`, 0 for those that do not."""
    found = np.zeros((len(probabilities), classes))
    found[:, np.unique(emotions)] = probabilities
    return found


CONTROLS = ("majority", "nuisance")  # methods that hear no emotion
CHANCE = "chance"  # what a row may be compared with in place of another: guessing among the classes it chooses from
CLASSICAL = {
    "majority": Method(majority),
    # Plateaus of C on EMO-DB's training and validation speakers: .01 to .3, .003 to .03, .03 to 10.
    "svm": Method(svm, "functionals", C=0.1),
    "statistics": Method(logistic, "statistics", C=0.01),
    "nuisance": Method(logistic, "nuisance", C=0.1, without=("floor",)),  # which the audit reads
}
