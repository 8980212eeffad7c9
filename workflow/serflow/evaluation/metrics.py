"""UA, WA and macro-F1 of confusion matrices `[..., C, C]`: rows are true, columns predicted classes.

The leading axes are free (speakers, folds, bootstrap resamples), and counts may be fractional. A matrix
without a single utterance scores NaN.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from serflow.errors import UserError


def confusion(emotions: ArrayLike, predictions: ArrayLike, classes: list[str]) -> np.ndarray:
    """Count `[C, C]` utterances by true (row) and predicted (column) class, in the order of `classes`.

    Raises UserError for an emotion or a prediction that is not among `classes`.
    """
    classes = pd.Index(classes)
    codes = []
    for kind, names in (("emotion", emotions), ("prediction", predictions)):
        codes.append(classes.get_indexer(np.asarray(names, dtype=object)))
        if (codes[-1] < 0).any():
            strange = np.asarray(names, dtype=object)[codes[-1] < 0][0]
            raise UserError(
                f"the {kind} {strange!r} is none of the classes {', '.join(classes)}: add it or leave it out"
            )
    counts = np.bincount(codes[0] * len(classes) + codes[1], minlength=len(classes) ** 2)
    return counts.reshape(len(classes), len(classes))


def unweighted_accuracy(confusion: np.ndarray) -> np.ndarray | float:
    """UA (UAR): the mean recall over the classes that occur, `[...]`."""
    true, _, hits = _margins(confusion)
    return _mean_ratio(hits, true)


def weighted_accuracy(confusion: np.ndarray) -> np.ndarray | float:
    """WA (WAR, accuracy): the share of utterances that are right, `[...]`."""
    true, _, hits = _margins(confusion)
    return _ratio(hits.sum(-1), true.sum(-1))


def macro_f1(confusion: np.ndarray) -> np.ndarray | float:
    """The mean F1 over the classes that occur as truth or prediction, `[...]`."""
    true, predicted, hits = _margins(confusion)
    return _mean_ratio(2 * hits, true + predicted)


def _margins(confusion):
    confusion = np.asarray(confusion)
    return confusion.sum(-1), confusion.sum(-2), np.diagonal(confusion, axis1=-2, axis2=-1)


def _mean_ratio(part, whole):
    occurs = whole > 0
    return _ratio(np.divide(part, whole, out=np.zeros(whole.shape), where=occurs).sum(-1), occurs.sum(-1))


def _ratio(part, whole):
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) > 0)[()]
