"""What a few folds can tell of UA: intervals, paired tests and what they could resolve (ours).

The block is the fold, which had networks and speakers of its own. Speakers of a fold share its networks, and seeds
share its speakers and training data: neither are independent evidence about a method, so both are summed in the fold.
UA is a mean of ratios over sums of blocks; what a block adds to it is a pseudo-value of the jackknife that leaves a
block out (Miller 1974, Biometrika 61:1), and is tested with Student's t. Where blocks are few and unequal this keeps
its level; Taylor linearisation, else the same, found a difference in up to 6.4 % of our simulated corpora, not in 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from serflow.evaluation.metrics import confusion, unweighted_accuracy

if TYPE_CHECKING:
    import pandas as pd

MIN_BLOCKS = 3  # with two, a difference must be 16 standard errors to be found 4 times in 5
ALPHA, POWER = 0.05, 0.8


class Estimate(NamedTuple):
    """An estimate, its standard error, its interval, and the two-sided p of its being 0; each `[...]`."""

    value: np.ndarray
    error: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray


def block_of(folds: int, speakers: int) -> str | None:
    """What the blocks are: `fold`; `speaker` where the folds are too few, and then interval and p concern the
    networks that were trained, not the methods; None where the speakers are too few even for that."""
    if folds >= MIN_BLOCKS:
        return "fold"
    return "speaker" if speakers >= MIN_BLOCKS else None


def block_confusions(predictions: pd.DataFrame, blocks: ArrayLike, classes: list[str]) -> np.ndarray:
    """`[B, C, C]` counts, a block each in sorted order, summed over seeds; `blocks`: the block of every row."""
    own = predictions.groupby(np.asarray(blocks))
    return np.stack([confusion(part["emotion"], part["prediction"], classes) for _, part in own])


def pseudo_values(confusions: np.ndarray) -> np.ndarray:
    """`[..., B, C, C]` -> `[..., B]` whose mean is the pooled UA, and whose scatter is what the blocks add to it.

    Without block b, UA would be lower by the mean over classes c of (hits_bc - recall_c n_bc) / (total_c - n_bc), and
    its value is B - 1 times as far above the others. A block may lack a class; a class that is in one block alone
    adds nothing. More seeds, which are larger counts of all blocks alike, do not change the scale.
    """
    confusions = np.asarray(confusions, dtype=float)
    true, hits = confusions.sum(-1), np.diagonal(confusions, axis1=-2, axis2=-1)
    total = true.sum(-2, keepdims=True)
    total = np.where(total > 0, total, np.nan)  # of classes that never occur
    beside = np.where(total == true, np.inf, total - true)
    added = np.nanmean((hits - hits.sum(-2, keepdims=True) / total * true) / beside, -1)
    pooled = np.asarray(unweighted_accuracy(confusions.sum(-3)))[..., None]
    return pooled + (true.shape[-2] - 1) * (added - added.mean(-1, keepdims=True))


def interval(confusions: np.ndarray) -> Estimate:
    """Estimate of the UA of a system from the `[..., B, C, C]` of its blocks, the interval cut to [0, 1]."""
    found = over_blocks(pseudo_values(confusions))
    return found._replace(low=np.maximum(found.low, 0), high=np.minimum(found.high, 1))


def guessing(confusions: np.ndarray, choices: int) -> np.ndarray:
    """What guessing among `choices` classes would make of the utterances of `confusions`, `[..., C, C]`, in
    fractional counts: of each class a share of 1 / `choices` is right, and the rest, wherever it falls, is wrong."""
    true, classes = np.asarray(confusions, dtype=float).sum(-1), np.shape(confusions)[-1]
    right = np.eye(classes) / choices
    wrong = (1 - np.eye(classes)) * (1 - 1 / choices) / (classes - 1)
    return true[..., None] * (right + wrong)


def compare(confusions_a: np.ndarray, confusions_b: np.ndarray) -> Estimate:
    """Estimate of the difference in UA, a - b, of systems that were tested on the same blocks, each `[..., B, C, C]`.
    The systems may have different numbers of seeds."""
    return over_blocks(pseudo_values(confusions_a) - pseudo_values(confusions_b))


def holm(p_values: ArrayLike) -> np.ndarray:
    """Holm's step-down correction (Holm 1979) of one family; NaN (no test) stays NaN and does not count."""
    p_values = np.asarray(p_values, dtype=float)
    ascending = np.argsort(p_values)[: np.isfinite(p_values).sum()]
    corrected = np.full_like(p_values, np.nan)
    steps = p_values[ascending] * np.arange(len(ascending), 0, -1)
    corrected[ascending] = np.minimum(np.maximum.accumulate(steps), 1)
    return corrected


def resolvable(error: float, blocks: float, claims: int = 1) -> float:
    """The smallest true difference that the first of `claims` under Holm finds 4 times in 5 (noncentral t).

    `error`: the standard error of a difference over `blocks`. NaN where nothing can be tested.
    """
    if blocks < MIN_BLOCKS or claims < 1:
        return np.nan
    freedom = blocks - 1
    return error * special.nctdtrinc(freedom, 1 - POWER, stats.t.isf(ALPHA / claims / 2, freedom))


def planned_error(
    folds: int, speakers: int, seeds: int, network: float = 0.04, speaker: float = 0.02, utterances: float = np.inf
) -> float:
    """The standard error that a difference of two systems would have over the folds of a design.

    network: sd of a system's UA over networks, one a fold and seed, beside what a fold's speakers make of every
    system (eleven claims of four papers on EMO-DB, five folds, three seeds: 3.9 points). speaker: sd of a speaker's
    preference for a system, which its seeds share (next to nothing there). utterances: a speaker's, each right as
    often as not, where `network` does not hold what they scatter by. All are fractions of 1.
    """
    of_speakers = speaker**2 + 0.25 / utterances / seeds
    return np.sqrt(2 * (network**2 / seeds + of_speakers * folds / speakers) / folds)


def mean_of(values: ArrayLike, errors: ArrayLike, freedoms: ArrayLike) -> tuple[Estimate, np.ndarray]:
    """Estimate of the mean of independent estimates, `[..., K]` each with its standard error and degrees of freedom,
    and its own degrees of freedom (Welch 1947 and Satterthwaite 1946). All count alike: weights that follow errors
    would make another question of every set of errors, where true values differ."""
    values, variances = np.asarray(values, dtype=float), np.square(np.asarray(errors, dtype=float))
    mean, error = values.mean(-1), np.sqrt(variances.sum(-1)) / values.shape[-1]
    certain = error == 0
    error, mean = np.where(certain, 1, error), np.round(mean, 12)
    divided = np.where(certain[..., None], 1, variances)
    freedom = divided.sum(-1) ** 2 / (divided**2 / np.asarray(freedoms)).sum(-1)
    reach = np.where(certain, 0, stats.t.isf(ALPHA / 2, freedom) * error)
    p = np.where(certain, mean == 0, 2 * stats.t.sf(np.abs(mean) / error, freedom))
    return Estimate(mean, np.where(certain, 0, error), mean - reach, mean + reach, p), freedom


def over_blocks(values: np.ndarray) -> Estimate:
    """`[..., B]` -> Estimate of their mean; NaN but for the value where there are too few."""
    values = np.round(values, 12)  # blocks that agree differ in their last bits
    mean, blocks = values.mean(-1), values.shape[-1]
    if blocks < MIN_BLOCKS:
        nothing = np.full_like(mean, np.nan)[()]
        return Estimate(mean, nothing, nothing, nothing, nothing)
    agree = np.ptp(values, axis=-1) == 0
    found = stats.ttest_1samp(np.where(agree[..., None], np.nan, values), 0, axis=-1)  # NaN: t of a constant warns
    bounds = found.confidence_interval(1 - ALPHA)
    low, high = (np.where(agree, mean, bound)[()] for bound in bounds)
    return Estimate(mean, stats.sem(values, axis=-1), low, high, np.where(agree, mean == 0, found.pvalue)[()])
