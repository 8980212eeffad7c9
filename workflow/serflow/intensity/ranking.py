"""Relative attributes (Parikh & Grauman 2011): how strongly an utterance shows its emotion, from its functionals.

One linear ranker an emotion, emotional over neutral (eq. 3-6):
    min 1/2 |w|^2 + C (sum xi^2 + sum gamma^2)
    w.(x_i - x_j) >= 1 - xi for emotional i and neutral j, |w.(x_i - x_j)| <= gamma for any two of one class
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import minimize

from serflow.errors import UserError


@dataclass
class Rankers:
    """`emotions` names `[E]`; `mean, deviation` `[D]` of the training functionals; `weights` `[E, D]`;
    `low, high` `[E]`: the training scores that become strength 0 and 1."""

    emotions: list
    mean: np.ndarray
    deviation: np.ndarray
    weights: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def scores(self, functionals: np.ndarray) -> np.ndarray:
        """What each ranker gives utterances: `functionals` `[N, D]` -> `[N, E]`; 0 and 1 are the lowest and the
        highest in training, beyond which unheard ones may go."""
        scores = (functionals - self.mean) / self.deviation @ self.weights.T
        return (scores - self.low) / np.maximum(self.high - self.low, 1e-12)

    def strengths(self, functionals: np.ndarray, emotions: Iterable[str]) -> np.ndarray:
        """Strength in [0, 1] of utterances: `functionals` `[N, D]`, `emotions` names `[N]` -> float32 `[N]`.

        An emotional utterance is scored by the ranker of its emotion, a neutral one by the mean of all: it is no
        emotion's neutral more than another's (ours). KeyError for an emotion that was not fitted.
        """
        scaled = np.clip(self.scores(functionals), 0, 1)
        ranker = {emotion: number for number, emotion in enumerate(self.emotions)} | {"neutral": len(self.emotions)}
        scaled = np.column_stack([scaled, scaled.mean(1)])
        return scaled[np.arange(len(scaled)), [ranker[emotion] for emotion in emotions]].astype(np.float32)


def fit(functionals: ArrayLike, emotions: ArrayLike, penalty: float = 0.1) -> Rankers:
    """`Rankers` of every emotion in `emotions` (names `[N]`) over `neutral`, on `functionals` `[N, D]`.

    `penalty`: C times the number of ordered pairs, so that it means the same for corpora of any size (ours). The
    authors' C of .1 a pair separates a hundred utterances perfectly: strengths are then 0 or 1, and unseen speakers
    less well ordered. The strengths' scale is fitted on the emotion's and the neutral utterances together.
    Raises UserError where neutral, or anything but neutral, is missing.
    """
    functionals, emotions = np.asarray(functionals, dtype=np.float64), np.asarray(emotions)
    others = sorted(set(emotions) - {"neutral"})
    if "neutral" not in emotions or not others:
        missing = "emotional" if not others else "neutral"
        raise UserError(
            f"Intensity is learned from neutral and emotional speech, but no {missing} utterances are to fit on: "
            "call the class neutral in corpus.classes, let intensity.corpus name a corpus that has both, or choose "
            "intensity.method energy."
        )
    mean, deviation = functionals.mean(0), functionals.std(0)
    deviation[deviation == 0] = 1.0
    standard = (functionals - mean) / deviation
    of_class = {emotion: standard[emotions == emotion] for emotion in set(emotions)}
    pairs = {emotion: len(of_class[emotion]) * len(of_class["neutral"]) for emotion in others}
    weights = np.stack([solve(of_class[name], of_class["neutral"], penalty / pairs[name]) for name in others])
    heard = [weights[i] @ np.vstack([of_class[emotion], of_class["neutral"]]).T for i, emotion in enumerate(others)]
    low, high = np.array([[scores.min(), scores.max()] for scores in heard]).T
    return Rankers(others, mean, deviation, weights, low, high)


def solve(emotional: np.ndarray, neutral: np.ndarray, penalty: float) -> np.ndarray:
    """The exact `w` `[D]` over all pairs of `emotional` `[N, D]` and `neutral` `[M, D]`, without forming one.

    Squared over the pairs of a class, w.(x_i - x_j) is a quadratic form of w, the class' scatter: it and |w|^2 are
    whitened away. The violated ordered pairs of a score are a run of the sorted others.
    """
    scatter = sum(len(x) ** 2 * np.atleast_2d(np.cov(x.T, bias=True)) for x in (emotional, neutral))
    root = cholesky(np.eye(len(scatter)) + 2 * penalty * scatter, lower=True)
    above, below = (solve_triangular(root, x.T, lower=True).T for x in (emotional, neutral))

    def objective(v):
        high, low = above @ v, below @ v
        by_high, by_low = violations(high, low), violations(-low, -high)
        squared = by_high.sum() - high @ by_high + low @ by_low
        return v @ v / 2 + penalty * squared, v + 2 * penalty * (by_low @ below - by_high @ above)

    options = {"maxiter": 1000, "ftol": 1e-14, "gtol": 1e-9}
    found = minimize(objective, np.zeros(len(scatter)), jac=True, method="L-BFGS-B", options=options)
    return solve_triangular(root, found.x, lower=True, trans="T")


def violations(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Sum over `low` `[M]` of max(0, 1 - high_i + low_j), for each of `high` `[N]`."""
    low = np.sort(low)
    first = np.searchsorted(low, high - 1)
    return (len(low) - first) * (1 - high) + np.append(np.cumsum(low[::-1])[::-1], 0)[first]
