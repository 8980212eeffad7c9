"""What intensities know of unheard speakers: emotional from neutral, and frames where the truth is known (ours)."""

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.metrics import roc_auc_score

from serflow.evaluation.statistics import over_blocks
from serflow.evaluation.tables import aligned, escaped, written


def separation(scored: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """How well utterance scores tell each emotion from neutral: a frame of intensity, auc_<emotion>, within, between.

    `scored`: {intensity: frame with a row an utterance that a fold tests: fold, seed, emotion, `deviation` (of its
    frame scores, NaN where it has none) and `score`, their mean, or a column `score_<emotion>` for each, where the
    emotion must be told, as rankers must}. AUC is the chance that an utterance of the emotion scores higher than a
    neutral one, of whichever test speaker of that fold: intensities are used without knowing who speaks. All columns
    are means over the folds and seeds: `within` of the standard deviation over an utterance's frames, `between` of
    that over utterance scores. Folds that lack neutral or the emotion say nothing of it.
    """
    found = {}
    for name, frame in scored.items():
        parts = [part for _, part in frame.groupby(["fold", "seed"])]
        emotions = sorted(set(frame["emotion"]) - {"neutral"}) if "neutral" in set(frame["emotion"]) else []
        row = {f"auc_{emotion}": _mean([_auc(part, emotion) for part in parts]) for emotion in emotions}
        row["within"] = _mean([part["deviation"].mean() for part in parts])
        if "score" in frame:
            row["between"] = _mean([part["score"].std() for part in parts])
        found[name] = row
    return pd.DataFrame.from_dict(found, orient="index").rename_axis("intensity").reset_index().round(4)


def agreement(curves: dict[str, dict]) -> pd.DataFrame:
    """Rank correlation with the truth: a frame of intensity, spearman (over all frames), mean, low, high (over
    speakers, 95 % Student's interval), difference and p (paired t-test over speakers against the last intensity).

    `curves`: {intensity: {speaker: {seed: (scores `[T]`, truth `[T]`)}}}, frames of the speaker's utterances joined,
    of speakers that the intensity did not hear. Correlations are averaged over seeds.
    """
    rows, control = [], None
    for name, speakers in reversed(curves.items()):
        own = np.array(
            [np.mean([_spearman(*pair) for pair in seeds.values()]) for _, seeds in sorted(speakers.items())]
        )
        every = [
            [np.concatenate(parts) for parts in zip(*pairs, strict=True)]
            for pairs in zip(*(seeds.values() for seeds in speakers.values()), strict=True)
        ]
        low, high = stats.ttest_1samp(own, 0).confidence_interval()
        row = {"intensity": name, "spearman": np.mean([_spearman(*pair) for pair in every])}
        row |= {"mean": own.mean(), "low": low, "high": high}
        if control is not None:
            row |= {"difference": (own - control).mean(), "p": stats.ttest_rel(own, control).pvalue}
        control = own if control is None else control
        rows.append(row)
    return pd.DataFrame(rows[::-1]).round(4)


def levels(scored: dict[str, pd.DataFrame], control: str) -> pd.DataFrame:
    """How well utterance scores follow how strongly an emotion was meant: a frame of intensity, auc_<emotion>, mean,
    low, high (over speakers, 95 % Student's interval), spearman, difference and p (paired t-test over speakers,
    against the intensity `control`).

    `scored`: as for `separation`, with speaker and level, a number that rises with what was meant. A speaker's
    utterances of one emotion are compared among themselves, so that neither voice nor emotion can answer: the AUC is
    the chance that of two that were meant differently the stronger one scores higher; `spearman` is the rank
    correlation. Both are averaged over seeds, then emotions, then speakers. Emotions of one level say nothing.
    """
    followed = {name: _followed(frame.dropna(subset="level")) for name, frame in scored.items()}
    speakers = {name: frame.groupby("speaker")[["auc", "spearman"]].mean() for name, frame in followed.items()}
    rows = []
    for name, own in speakers.items():
        found = over_blocks(own["auc"].to_numpy())
        row = {"intensity": name, **followed[name].groupby("emotion")["auc"].mean().add_prefix("auc_")}
        row |= {"mean": found.value, "low": found.low, "high": found.high, "spearman": own["spearman"].mean()}
        if name != control:
            than = over_blocks((own["auc"] - speakers[control]["auc"]).dropna().to_numpy())
            row |= {"difference": than.value, "p": than.p}
        rows.append(row)
    return pd.DataFrame(rows).round(4)


def levels_markdown(table: pd.DataFrame, control: str, speakers: int) -> str:
    """The table of `levels` for people; `speakers`: how many were tested."""
    emotions = [column for column in table if column.startswith("auc_")]
    named = [escaped(column.removeprefix("auc_").capitalize()) for column in emotions]
    lines = [["Intensity", *named, "All [95 % interval]", "ρ", f"Against {control}"]]
    for row in table.to_dict("records"):
        against = "-" if np.isnan(row["difference"]) else f"{row['difference']:+.2f}, {written(row['p'])}"
        interval = f"{row['mean']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
        cells = [*(_number(row[key]) for key in emotions), interval, _number(row["spearman"]), against]
        lines.append([row["intensity"], *cells])
    note = (
        "- The chance that of two utterances of one speaker and emotion the one that was meant more strongly scores "
        "higher, .50 is chance, and ρ, Spearman's rank correlation of score and level; means over "
        f"{speakers} speakers whom the intensity did not hear, interval and paired t-test over them. A score is the "
        "mean of the utterance's frames. ranker: what StrengthNet learns from, told which emotion to find."
    )
    return "\n".join(["# Intensity against how strongly it was meant", "", *aligned(lines), "", note]) + "\n"


def to_markdown(table: pd.DataFrame, speakers: int) -> str:
    """The table for people; `speakers`: how many were tested. Without a neutral class it says that it cannot be."""
    emotions = [column for column in table if column.startswith("auc_")]
    if not emotions:
        return "# Frame-level intensity\n\nThe corpus has no neutral class, against which intensities are measured.\n"
    named = [escaped(column.removeprefix("auc_").capitalize()) for column in emotions]
    lines = [["Intensity", *named, "Within an utterance", "Between utterances"]]
    for row in table.to_dict("records"):
        numbers = [row[key] for key in [*emotions, "within", "between"]]
        lines.append([row["intensity"], *map(_number, numbers)])
    note = (
        f"- AUC of the utterance score (mean of its frames') against neutral speech, .50 is chance, for {speakers} "
        "speakers in the folds that test them; within and between: standard deviation of frame and of utterance "
        "scores; all averaged over folds and seeds. ranker: what StrengthNet learns from, told which emotion to find."
    )
    text = ["# Frame-level intensity of unheard speakers", "", *aligned(lines), "", note]
    if "spearman" in table:
        text += ["", "## Against the truth", "", *_truth(table.dropna(subset="spearman"), speakers)]
    return "\n".join(text) + "\n"


def intensity_notes(table: pd.DataFrame) -> list[str]:
    """Sentences for under a table whose masks follow intensities: what `separation` found."""
    told = [
        f"{row['intensity']} "
        + ", ".join(f"{key.removeprefix('auc_')} {_number(value)}" for key, value in row.items() if key[:4] == "auc_")
        for row in table.to_dict("records")
    ]
    known = any(column.startswith("auc_") for column in table)
    return [f"AUC of intensities, unheard emotional against neutral speech: {'; '.join(told)}."] if known else []


def _truth(table, speakers):
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
    return [*aligned(lines), "", note]


def _followed(frame):
    """(speaker, emotion) -> AUC (Somers' D, which is 2 AUC - 1) and rank correlation, means over seeds."""
    rows = []
    for (speaker, emotion, _), part in frame.groupby(["speaker", "emotion", "seed"]):
        if part["level"].nunique() > 1:
            scores = part[f"score_{emotion}" if f"score_{emotion}" in part else "score"]
            auc = (1 + stats.somersd(part["level"], scores).statistic) / 2
            rows.append((speaker, emotion, auc, _spearman(scores, part["level"])))
    told = pd.DataFrame(rows, columns=["speaker", "emotion", "auc", "spearman"])
    return told.groupby(["speaker", "emotion"])[["auc", "spearman"]].mean()


def _auc(part, emotion):
    scores = part[f"score_{emotion}" if f"score_{emotion}" in part else "score"]
    own, neutral = part["emotion"] == emotion, part["emotion"] == "neutral"
    if not own.any() or not neutral.any():
        return np.nan
    return roc_auc_score(own[own | neutral], scores[own | neutral])


def _mean(values):
    return np.nan if np.isnan(values).all() else float(np.nanmean(values))


def _number(value):
    return "-" if np.isnan(value) else f"{value:.2f}"


def _spearman(scores, truth):
    return float(stats.spearmanr(scores, truth).statistic)
