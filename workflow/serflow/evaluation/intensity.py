"""How well frame-level intensities follow a truth that is known (METHODS 8; ours)."""

import numpy as np
import pandas as pd
from scipy import stats

from serflow.evaluation.tables import aligned, written


def agreement(curves):
    """Rank correlation with the truth: a frame of intensity, spearman (over all frames), mean, low, high (over
    speakers, 95 % Student's interval), difference and p (paired t-test over speakers against the last intensity).

    `curves`: {intensity: {speaker: (scores `[T]`, truth `[T]`)}}, frames of the speaker's utterances joined, of
    speakers that the intensity did not hear.
    """
    rows, control = [], None
    for name, speakers in reversed(curves.items()):
        own = np.array([_spearman(*pair) for _, pair in sorted(speakers.items())])
        every = [np.concatenate(parts) for parts in zip(*speakers.values(), strict=True)]
        low, high = stats.ttest_1samp(own, 0).confidence_interval()
        row = {"intensity": name, "spearman": _spearman(*every), "mean": own.mean(), "low": low, "high": high}
        if control is not None:
            row |= {"difference": (own - control).mean(), "p": stats.ttest_rel(own, control).pvalue}
        control = own if control is None else control
        rows.append(row)
    return pd.DataFrame(rows[::-1]).round(4)


def to_markdown(table, speakers):
    """The table for people; `speakers`: how many."""
    lines = [["Intensity", "ρ over frames", "ρ a speaker [95 % interval]", "Against the last row"]]
    for row in table.itertuples():
        against = "-" if np.isnan(row.difference) else f"{row.difference:+.2f}, {written(row.p)}"
        interval = f"{row.mean:.2f} [{row.low:.2f}, {row.high:.2f}]"
        lines.append([row.intensity, f"{row.spearman:.2f}", interval, against])
    note = (
        "- ρ: Spearman's rank correlation of frame scores with the true intensity, over the frames of the emotional "
        f"utterances of {speakers} speakers, each scored by the fold that tests it; interval and paired t-test are "
        "over speakers."
    )
    return "\n".join(["# Frame-level intensity against the truth", "", *aligned(lines), "", note]) + "\n"


def _spearman(scores, truth):
    return float(stats.spearmanr(scores, truth).statistic)
