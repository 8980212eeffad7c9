"""What few speakers can tell: intervals and paired tests with the speaker as the unit (METHODS 9; ours).

Utterances of a speaker and seeds of a system are no independent evidence: they are summed per speaker.
"""

import numpy as np
from scipy import stats

from serflow.evaluation.metrics import confusion


def speaker_confusions(predictions, speakers, classes):
    """One confusion matrix a speaker, `[S, C, C]`, summed over folds and seeds; speakers in sorted order.

    `predictions` has the columns utterance, label, prediction; `speakers` is a Series: utterance -> speaker.
    """
    owners = speakers.loc[predictions["utterance"]].to_numpy()
    own = predictions.groupby(owners)
    return np.stack([confusion(part["label"], part["prediction"], classes) for _, part in own])


def interval(confusions, metric, level=0.95, resamples=5000, seed=0):
    """Expanded percentile bootstrap over speakers of `metric`, pooled over the drawn speakers: (low, high).

    Of few speakers plain percentiles are too narrow (in our simulation they cover .88 of the time with 10 speakers,
    not .95): they are taken further out, by as much as Student's interval of a mean is wider than the bootstrap's
    (Hesterberg 2015, The American Statistician 69:371). A single speaker says nothing about others: (nan, nan).
    """
    speakers = len(confusions)
    if speakers < 2:
        return np.nan, np.nan
    beyond = np.sqrt(speakers / (speakers - 1)) * stats.t.isf((1 - level) / 2, speakers - 1)

    def pooled(drawn, axis):
        return metric(confusions[drawn].sum(-3))

    found = stats.bootstrap(
        (np.arange(speakers),),
        pooled,
        confidence_level=1 - 2 * stats.norm.sf(beyond),
        n_resamples=resamples,
        method="percentile",
        vectorized=True,
        batch=500,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(found.low), float(found.high)


def paired_test(confusions_a, confusions_b, metric, resamples=9999, seed=0):
    """Do two systems differ? (difference a - b of the pooled `metric`, two-sided p) from `[S, C, C]` of each.

    Permutation test: under the null the two systems may be swapped within any speaker. The metric is pooled
    over speakers before the difference is taken, so a speaker may lack a class. All 2^S swaps are tried where
    that is no more than `resamples`. With S speakers no p is below 2^(1 - S), with one it is NaN.
    """
    if len(confusions_a) < 2:
        return float(metric(confusions_a[0]) - metric(confusions_b[0])), np.nan
    # A system with more seeds has more counts, and would outweigh the other in a speaker that is swapped.
    same_scale = confusions_b * (confusions_a.sum() / confusions_b.sum())
    both = np.concatenate([confusions_a, same_scale])
    speakers = np.arange(len(confusions_a))

    def difference(a, b, axis):
        # Swaps that tie differ in their last bits, more than SciPy forgives: unrounded, p would hang on them.
        return np.round(metric(both[a].sum(-3)) - metric(both[b].sum(-3)), 12)

    found = stats.permutation_test(
        (speakers, speakers + len(speakers)),
        difference,
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        batch=500,
        rng=np.random.default_rng(seed),
    )
    return float(found.statistic), float(found.pvalue)


def holm(p_values):
    """Holm's step-down correction (Holm 1979) of one family; NaN (no test) stays NaN and does not count."""
    p_values = np.asarray(p_values, dtype=float)
    ascending = np.argsort(p_values)[: np.isfinite(p_values).sum()]
    corrected = np.full_like(p_values, np.nan)
    steps = p_values[ascending] * np.arange(len(ascending), 0, -1)
    corrected[ascending] = np.minimum(np.maximum.accumulate(steps), 1)
    return corrected
