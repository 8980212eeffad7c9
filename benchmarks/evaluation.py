"""Whether tables tell the truth: error rates, coverage and power of the product's own tests in simulated corpora.

Beside them stand two tests that are often used instead. Prints Markdown and draws docs/power.png. Run:
OMP_NUM_THREADS=1 .venv/bin/python benchmarks/evaluation.py
"""

import argparse
import sys
import time
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from serflow.evaluation import figures
from serflow.evaluation.statistics import (
    ALPHA,
    MIN_BLOCKS,
    POWER,
    block_of,
    compare,
    holm,
    interval,
    mean_of,
    over_blocks,
    planned_error,
    resolvable,
)

SPOKEN = np.array([127, 81, 46, 69, 71, 79, 62])  # EMO-DB's utterances a class, of 10 speakers
RECALL = np.array([0.70, 0.50, 0.35, 0.45, 0.40, 0.50, 0.65])  # mean over speakers and networks
SPEAKER, SPEAKER_CLASS = 0.08, 0.10  # sd of speakers, and of classes in a speaker: the same for all systems
PREFERENCE = 0.05  # sd of a speaker's preference for a system
NETWORKS = (0.06, 0.10)  # sd of a network's UA
NETWORK_CLASS = 0.10  # at most: sd of a network's preference for a class
DESIGNS = [
    (5, 5), (6, 2), (6, 3), (6, 6), (8, 4), (10, 2), (10, 5), (10, 10), (24, 3), (24, 5), (24, 6), (24, 24),
    (90, 5), (90, 10),
]  # speakers, folds  # fmt: skip
POWER_DESIGNS = [(10, 5, 1), (10, 5, 3), (10, 5, 5), (10, 10, 1), (10, 10, 3), (24, 24, 1)]  # speakers, folds, seeds
POWER_CLAIMS, POWER_NETWORK = 3, 0.08
CORPORA = [
    [(4, 4), (24, 6)],
    [(10, 5), (10, 5)],
    [(4, 4), (10, 5), (24, 6)],
    [(4, 4)] * 6,
    [(10, 5)] * 4 + [(24, 6)] * 2,
]
EFFECTS = (0.0, 0.05)  # sd of the true difference over corpora
FAMILY = 6  # systems, each but the first claiming to beat the one before
BATCH = 250  # corpora at a time
COLUMNS = {
    "test": "a test", "family": "5 claims", "UA": "UA inside", "difference": "difference inside",
    "speakers": "permuting speakers", "seeds": "folds x seeds",
}  # fmt: skip
POOLED_COLUMNS = {
    "pooled these": "pooled", "pooled these inside": "inside", "at large others": "at large",
    "at large others inside": "inside", "pooled others": "pooled, of other corpora",
}  # fmt: skip


class Corpora(NamedTuple):
    """Each speaker's fold `[S]` and utterances a class `[S, C]`, with those hit `[R, systems, seeds, S, C]`."""

    folds: np.ndarray
    spoken: np.ndarray
    hits: np.ndarray

    def of_speakers(self):
        """Confusions `[R, systems, S, C, C]`, seeds summed."""
        return _confusions(self.hits.sum(2), self.hits.shape[2] * self.spoken)

    def of_folds(self):
        """Confusions `[R, systems, K, C, C]`, speakers and seeds summed."""
        return _confusions(self._summed(self.hits.sum(2)), self.hits.shape[2] * self._summed(self.spoken))

    def of_folds_and_seeds(self):
        """Confusions `[R, systems, seeds * K, C, C]`, speakers summed."""
        parts = _confusions(self._summed(self.hits), self._summed(self.spoken))
        return parts.reshape(*parts.shape[:2], -1, *parts.shape[-2:])

    def _summed(self, counts):
        return np.add.reduceat(counts, np.searchsorted(self.folds, np.unique(self.folds)), axis=-2)


def _confusions(hits, spoken):
    """What is missed is taken for the next class."""
    right = np.eye(hits.shape[-1], dtype=int)
    return hits[..., None] * right + (spoken - hits)[..., None] * np.roll(right, 1, axis=1)


def simulate(rng, corpora, speakers, folds, seeds, network, preference=PREFERENCE, systems=2, difference=0.0):
    """`corpora` of 7 unequal classes and 35 to 69 utterances a speaker, one of whom lacks a class.

    How often a system is right scatters over speakers and their classes (alike for all systems), over speakers and
    systems (`preference`), and over networks, one a system, fold and seed, whose UA has the sd `network`. The second
    system is better than the first by `difference`.
    """
    classes = len(RECALL)
    counts = rng.multinomial(rng.integers(35, 70, speakers), SPOKEN / SPOKEN.sum())
    counts[rng.integers(speakers), rng.integers(classes)] = 0
    fold = np.arange(speakers) * folds // speakers
    own, of_class = _of_network(network)

    def normal(sd, *shape):
        return rng.normal(0, sd, (corpora, *shape))

    right = RECALL + normal(SPEAKER, 1, 1, speakers, 1) + normal(SPEAKER_CLASS, 1, 1, speakers, classes)
    right = right + normal(preference, systems, 1, speakers, 1)
    networks = normal(own, systems, seeds, folds, 1) + normal(of_class, systems, seeds, folds, classes)
    right = right + networks[..., fold, :]
    right[:, 0] -= difference / 2
    right[:, 1] += difference / 2
    return Corpora(fold, counts, rng.binomial(counts, np.clip(right, 0, 1)))


def true_ua(network, preference):
    """UA on average over speakers and networks: of a normal recall, cut to 0 and 1, the mean over classes."""
    own, of_class = _of_network(network)
    sd = np.sqrt(np.sum(np.square([own, of_class, SPEAKER, SPEAKER_CLASS, preference])))
    low, high = -RECALL / sd, (1 - RECALL) / sd
    inside = RECALL * (stats.norm.cdf(high) - stats.norm.cdf(low))
    return np.mean(inside + sd * (stats.norm.pdf(low) - stats.norm.pdf(high)) + stats.norm.sf(high))


def permuted(corpora, rng, resamples=999):
    """`[R]` p of the first two systems' difference in UA, the systems being swapped within speakers.

    Both have the same utterances, so that the difference is a sum over speakers whose signs a swap turns.
    """
    hits, totals = corpora.hits.mean(2), corpora.spoken.sum(0)
    added = np.nanmean((hits[:, 0] - hits[:, 1]) / np.where(totals > 0, totals, np.nan), -1)
    speakers = added.shape[1]
    every = 2**speakers <= resamples
    if every:
        signs = 1 - 2 * (np.arange(2**speakers)[:, None] >> np.arange(speakers) & 1)
    else:
        signs = rng.choice([-1, 1], (resamples, speakers))
    beyond = (np.abs(added @ signs.T) >= np.abs(added.sum(-1, keepdims=True)) - 1e-12).sum(-1)
    return (beyond + (not every)) / (len(signs) + (not every))


def rates(rng, corpora, speakers, folds, seeds, network, preference=PREFERENCE):
    """In `corpora` without any difference, how often a test finds one, and one of 5 claims does; how often intervals
    hold the truth; and how often other tests find a difference."""
    truth, found = true_ua(network, preference), []
    for _ in range(corpora // BATCH):
        made = simulate(rng, BATCH, speakers, folds, seeds, network, preference, FAMILY)
        blocks = made.of_folds() if block_of(folds, speakers) == "fold" else made.of_speakers()
        claims, ua, parts = compare(blocks[:, 1:], blocks[:, :-1]), interval(blocks), made.of_folds_and_seeds()
        seedwise = compare(parts[:, 1:], parts[:, :-1])
        found.append({
            "test": claims.p < ALPHA,
            "family": np.apply_along_axis(holm, 1, claims.p).min(1) < ALPHA,
            "UA": (ua.low <= truth) & (truth <= ua.high),
            "difference": (claims.low <= 0) & (claims.high >= 0),
            "speakers": permuted(made, rng) < ALPHA,
            "seeds": seedwise.p < ALPHA if folds * seeds >= MIN_BLOCKS else np.nan,
        })  # fmt: skip
    return {name: np.mean([part[name] for part in found]) for name in found[0]}


def pooled_rates(rng, simulations, designs, effect, network=POWER_NETWORK):
    """Where corpora of `designs` (speakers, folds) have true differences of the sd `effect`: how often the pooled
    test finds a difference where their mean over these corpora is 0, and how often its interval holds that; the same
    of test and interval at large where the mean over all corpora is 0; and of the pooled ones, if taken for that.
    """
    found = []
    for _ in range(simulations // BATCH):
        own = rng.normal(0, effect, (BATCH, len(designs)))
        truths = {"these": own - own.mean(-1, keepdims=True), "others": own}
        for truth, differences in truths.items():
            parts = []
            for (speakers, folds), difference in zip(designs, differences.T, strict=True):
                blocks = simulate(rng, BATCH, speakers, folds, 1, network, difference=difference[:, None, None, None])
                parts.append(compare(blocks.of_folds()[:, 1], blocks.of_folds()[:, 0]))
            values, errors = (np.stack([getattr(part, name) for part in parts], -1) for name in ("value", "error"))
            pooled, _ = mean_of(values, errors, [folds - 1 for _, folds in designs])
            large = over_blocks(values)
            found.append({f"{name} {truth}": one for name, one in (("pooled", pooled), ("at large", large))})
    told = {}
    for name in ("pooled these", "at large others", "pooled others"):
        parts = [part[name] for part in found if name in part]
        p, low, high = (np.stack([getattr(part, end) for part in parts]) for end in ("p", "low", "high"))
        tested = np.nan if np.isnan(p).all() else 1
        told[name] = tested * np.mean(p < ALPHA)
        told[f"{name} inside"] = tested * np.mean((low <= 0) & (high >= 0))
    return told


def power(rng, corpora, speakers, folds, seeds, differences, network=POWER_NETWORK):
    """For true `differences`, (the mean difference, how often the first of POWER_CLAIMS is resolved)."""
    points = []
    for difference in differences:
        found = []
        for _ in range(corpora // BATCH):
            blocks = simulate(rng, BATCH, speakers, folds, seeds, network, difference=difference).of_folds()
            found.append(compare(blocks[:, 1], blocks[:, 0]))
        resolved = [(part.p < ALPHA / POWER_CLAIMS) & (part.value > 0) for part in found]
        points.append((np.mean([part.value for part in found]), np.mean(resolved)))
    return np.transpose(points)


@matplotlib.rc_context(figures.STYLE)
def power_figure(rng, corpora):
    """Power over the true difference: lines as planned (noncentral t), dots as simulated."""
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes = figure.subplots()
    colors = dict(zip(dict.fromkeys(folds for _, folds, _ in POWER_DESIGNS), figures.SERIES, strict=False))
    grid = np.linspace(0, 0.4, 200)
    for speakers, folds, seeds in POWER_DESIGNS:
        error = planned_error(folds, speakers, seeds, POWER_NETWORK, PREFERENCE, utterances=50)
        bound = stats.t.isf(ALPHA / POWER_CLAIMS / 2, folds - 1)
        label = f"{folds} folds, {seeds} seed{'s' * (seeds > 1)}: {folds * seeds} networks"
        style = {"color": colors[folds], "dashes": {1: (), 3: (5, 2), 5: (1.5, 1.5)}[seeds]}
        axes.plot(100 * grid, 100 * stats.nct.sf(bound, folds - 1, grid / error), label=label, **style)
        differences = resolvable(error, folds, POWER_CLAIMS) * np.array([0.4, 0.7, 1, 1.2])
        points = 100 * power(rng, corpora, speakers, folds, seeds, differences)
        axes.plot(*points, "o", color=colors[folds], markersize=4)
        _tell(f"power of {label}")
    axes.axhline(100 * POWER, color=figures.GRID, zorder=0)
    axes.set(xlabel="true difference in UA (points)", ylabel="resolved (%)", ylim=(0, 102), xlim=(0, 40))
    axes.set_title(f"How often the first of {POWER_CLAIMS} claims is resolved", color=figures.INK)
    axes.legend(frameon=False, loc="lower right")
    return figure


def _of_network(network):
    """sd of what a network adds to all its recalls, and to each, which make its UA scatter by `network`."""
    of_class = min(NETWORK_CLASS, network)
    return np.sqrt(network**2 - of_class**2 / len(RECALL)), of_class


def _row(cells):
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def _tell(text):
    print(f"{time.process_time():6.0f} s  {text}", file=sys.stderr, flush=True)


def _share(values):
    low, high = (f"{100 * value:.1f}" for value in (min(values), max(values)))
    if np.isnan(values).any():
        return "-"
    return low if low == high else f"{low}-{high}"


def pooled_table(rng, simulations):
    _row(["corpora: speakers/folds", "sd of true differences", *POOLED_COLUMNS.values()])
    _row(["---"] * (2 + len(POOLED_COLUMNS)))
    for designs in CORPORA:
        for effect in EFFECTS:
            told = pooled_rates(rng, simulations, designs, effect)
            names = ", ".join(f"{speakers}/{folds}" for speakers, folds in designs)
            _row([names, f"{100 * effect:.0f}", *(_share([told[name]]) for name in POOLED_COLUMNS)])
            _tell(f"corpora {names}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpora", type=int, default=2000, help="simulated corpora a cell (default 2000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--figure", default="docs/power.png")
    parser.add_argument("--without-table", action="store_true", help="draw the figure only")
    chosen = parser.parse_args()
    rng = np.random.default_rng(chosen.seed)
    if not chosen.without_table:
        _row(["speakers", "folds", "seeds", "blocks", *COLUMNS.values()])
        _row(["---"] * (4 + len(COLUMNS)))
        cases = [(*design, seeds, NETWORKS, PREFERENCE) for design in DESIGNS for seeds in (1, 3)]
        cases += [
            (*design, seeds, NETWORKS, 2 * PREFERENCE) for design in [(5, 5), (10, 10), (24, 24)] for seeds in (3, 5)
        ]
        cases += [(*design, 1, [0], PREFERENCE) for design in DESIGNS if design[1] == 2]
        for speakers, folds, seeds, networks, preference in cases:
            found = [rates(rng, chosen.corpora, speakers, folds, seeds, network, preference) for network in networks]
            blocks = f"{block_of(folds, speakers)}s"
            blocks += ", networks alike" * (networks == [0]) + ", strong preferences" * (preference > PREFERENCE)
            _row([speakers, folds, seeds, blocks, *(_share([part[name] for part in found]) for name in COLUMNS)])
            _tell(f"{speakers} speakers in {folds} folds, seeds {seeds}")
        pooled_table(np.random.default_rng(chosen.seed), chosen.corpora)
    figures.save(power_figure(rng, chosen.corpora), chosen.figure)


if __name__ == "__main__":
    main()
