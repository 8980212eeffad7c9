"""The table of a paper, one row a system: as numbers (CSV), to read (Markdown) and to print (LaTeX)."""

import re
from itertools import compress

import numpy as np
import pandas as pd

from serflow.errors import UserError
from serflow.evaluation.metrics import confusion, macro_f1, unweighted_accuracy, weighted_accuracy
from serflow.evaluation.statistics import holm, interval, paired_test, speaker_confusions

COLUMNS = [
    "system", "name", "UA", "UA_low", "UA_high", "UA_fold_mean", "UA_fold_sd", "WA", "WA_fold_mean",
    "WA_fold_sd", "macro_F1", "baseline", "difference", "p", "p_holm", "published", "UA_as_published",
    "utterances", "speakers", "seeds",
]  # fmt: skip
METRICS = {"UA": unweighted_accuracy, "WA": weighted_accuracy, "macro_F1": macro_f1}
RESOLVED = 0.05
MINUS = "\N{MINUS SIGN}"
HEADER = [
    "System",
    "UA % [95 % interval]",
    "UA % over folds",
    "WA %",
    "Macro-F1 %",
    "UA points vs baseline",
    "Published",
    "UA % over folds as published, not clean",
]


def build_table(rows, predictions, utterances, classes, validations=None):
    """Score every row's system: a frame of COLUMNS, fractions of 1, rounded to 4 decimals.

    rows: dicts of system, name, baseline (the system it claims to beat, or None) and, where known, published.
    predictions: system -> frame of utterance, label, prediction, fold, seed; every fold and seed, any order.
    utterances: frame of utterance, speaker, emotion of all that some fold tests.
    validations: as predictions, for validation speakers; UA_as_published is then the mean over folds and seeds of
    (validation UA + test UA) / 2, as FLEA's released code scores (METHODS 9: not clean).
    UA, WA and macro_F1 are pooled over folds and averaged over seeds; *_fold_mean and *_fold_sd (n - 1) are
    over folds and seeds; the interval, `difference` and `p` are of UA, over speakers. All p of a table are
    one Holm family. Raises UserError where a system is not there, or a seed does not score each utterance
    once with its true label.
    """
    utterances = utterances.set_index("utterance")
    by_speaker = {}
    for system in sorted({row[key] for row in rows for key in ("system", "baseline")} - {None}):
        if system not in predictions:
            raise UserError(
                f"system {system} is in a table but has no predictions: run it or take it out of the table"
            )
        _check(system, predictions[system], utterances["emotion"])
        by_speaker[system] = speaker_confusions(predictions[system], utterances["speaker"], classes)

    scored = []
    for row in rows:
        frame, own = predictions[row["system"]], by_speaker[row["system"]]
        low, high = interval(own, unweighted_accuracy)
        scores = {**row, **_scores(frame, classes), "UA_low": low, "UA_high": high}
        scores |= {"utterances": len(utterances), "speakers": len(own), "seeds": frame["seed"].nunique()}
        if row["system"] in (validations or {}):
            both = frame, validations[row["system"]]
            scores["UA_as_published"] = np.mean([unweighted_accuracy(_over_folds(part, classes)) for part in both])
        if row["baseline"] is not None:
            against = by_speaker[row["baseline"]]
            scores["difference"], scores["p"] = paired_test(own, against, unweighted_accuracy)
        scored.append(scores)
    table = pd.DataFrame(scored, columns=COLUMNS).astype({"difference": float, "p": float})
    return table.assign(p_holm=holm(table["p"])).round(4)


def masking_notes(summaries):
    """What pretraining masked, a line for under a table (or none); `summaries`: {name: dicts of every fold with
    `share` of the frames, and mean intensity `inside` and `outside` masks, None where there is none}."""
    told = []
    for name, folds in summaries.items():
        mean = pd.DataFrame(folds).astype(float).mean()
        if not np.isnan(mean["share"]):
            known = not np.isnan(mean["inside"])
            intensity = (
                f" (mean intensity {mean['inside']:.2f} inside, {mean['outside']:.2f} outside)" if known else ""
            )
            told.append(f"{name} {100 * mean['share']:.1f} %{intensity}")
    return [f"Frames masked in pretraining: {'; '.join(told)}."] if told else []


def to_metrics(table):
    """{system: {UA, WA, macro_F1}}."""
    return table.set_index("system")[list(METRICS)].to_dict("index")


def to_markdown(table, notes=()):
    """GitHub Markdown with aligned columns; the best UA in bold; below it how to read it, then `notes`."""

    def escape(text):
        return re.sub(r"([\\`*_|~$]|<(?=\S))", r"\\\1", text)

    body = aligned(_cells(table, escape, "**{}**".format))
    return "\n".join([*body, "", *(f"- {escape(_line(note))}" for note in [*_reading(table), *notes])]) + "\n"


def aligned(lines):
    """Lines of cells, the first being the header -> the lines of a Markdown table."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines = [lines[0], ["-" * width for width in widths], *lines[1:]]
    return ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines]


def to_latex(table, notes=()):
    r"""The same as a LaTeX fragment for \input; needs \usepackage{booktabs}."""
    special = {character: "\\" + character for character in "%&#_{}$"}
    special |= {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {"±": r"$\pm$", MINUS: "$-$", "≥": r"$\geq$", "<": "$<$", ">": "$>$"}

    def escape(text):
        return text.translate(str.maketrans(special))

    cells = _cells(table, escape, r"\textbf{{{}}}".format)
    header, *lines = [" & ".join(line) + r" \\" for line in cells]
    top = [rf"\begin{{tabular}}{{{'l' * len(cells[0])}}}", r"\toprule", header, r"\midrule"]
    below = [rf"\par{{\footnotesize {escape(_line(note))}}}" for note in [*_reading(table), *notes]]
    return "\n".join([*top, *lines, r"\bottomrule", r"\end{tabular}", *below]) + "\n"


def _check(system, frame, emotions):
    """Every seed scores each utterance once, and against the label that the corpus gives it."""
    again = "remove its predictions and run its folds again"
    for seed, part in frame.groupby("seed"):
        counts = part["utterance"].value_counts()
        surplus = counts.sub(pd.Series(1, index=emotions.index), fill_value=0).sort_index()
        if (surplus != 0).any():
            wrong = surplus.index[surplus != 0][0]
            found, due = counts.get(wrong, 0), int(wrong in emotions.index)
            raise UserError(
                f"system {system}, seed {seed} predicts utterance {wrong} {found} times, not {due}: {again}"
            )
    relabelled = frame["label"].to_numpy() != emotions.loc[frame["utterance"]].to_numpy()
    if relabelled.any():
        wrong, label = min(frame.loc[relabelled, ["utterance", "label"]].itertuples(index=False))
        raise UserError(
            f"system {system} takes utterance {wrong} for {label}, the corpus for {emotions[wrong]}: {again}"
        )


def _scores(frame, classes):
    pooled, folds = _confusions(frame, "seed", classes), _over_folds(frame, classes)
    scores = {}
    for name, metric in METRICS.items():
        over_folds = pd.Series(metric(folds))
        scores[name] = metric(pooled).mean()
        scores[f"{name}_fold_mean"], scores[f"{name}_fold_sd"] = over_folds.mean(), over_folds.std()
    return scores


def _over_folds(frame, classes):
    return _confusions(frame, ["fold", "seed"], classes)


def _confusions(frame, keys, classes):
    return np.stack([confusion(part["label"], part["prediction"], classes) for _, part in frame.groupby(keys)])


def _cells(table, escape, bold):
    """The human table: the header, then a line a row, all escaped; without the columns that have nothing to say."""
    names, lines = table.set_index("system")["name"], [[escape(name) for name in HEADER]]
    for row in table.itertuples():
        spread = "" if np.isnan(row.UA_fold_sd) else f" ± {100 * row.UA_fold_sd:.1f}"
        bounds = "" if np.isnan(row.UA_low) else f" [{100 * row.UA_low:.1f}, {100 * row.UA_high:.1f}]"
        cells = [
            row.name,
            f"{100 * row.UA:.1f}{bounds}",
            f"{100 * row.UA_fold_mean:.1f}{spread}",
            f"{100 * row.WA:.1f}",
            f"{100 * row.macro_F1:.1f}",
            "-" if pd.isna(row.baseline) else _against(row, names.get(row.baseline, row.baseline)),
            "-" if pd.isna(row.published) else row.published,
            "-" if pd.isna(row.UA_as_published) else _points(row.UA_as_published, row.UA_fold_mean),
        ]
        cells = [escape(_line(cell)) for cell in cells]
        if not (table["UA"] > row.UA).any():
            cells[1] = bold(cells[1])
        lines.append(cells)
    shown = [any(line[column] != "-" for line in lines[1:]) for column in range(len(HEADER))]
    return [list(compress(line, shown)) for line in lines]


def _points(score, clean):
    return f"{100 * score:.1f} ({_signed(score - clean)})"


def _signed(difference):
    return f"{MINUS if difference < 0 else '+'}{100 * abs(difference):.1f}"


def _against(row, baseline):
    verdict = written(row.p_holm) if row.p_holm < RESOLVED else "not resolved"
    return f"{_signed(row.difference)} vs {baseline}, {verdict}"


def written(p):
    """A p value as papers print it."""
    return "p < .001" if p < 0.001 else "p = " + f"{p:.3f}".lstrip("0")


def _reading(table):
    """Sentences on how to read the table."""
    speakers, tests = table["speakers"].max(), table["p"].count()
    seeds = " or ".join(str(count) for count in sorted(table["seeds"].unique()))
    note = (
        "UA, WA and macro-F1 are pooled over folds; "
        f"95 % interval by expanded percentile bootstrap over {speakers} speakers; "
        f"over folds: mean ± sd over folds and seeds ({seeds} a system); "
        f"p: paired permutation test over speakers, Holm-corrected over {tests} comparisons, "
        "not resolved where p ≥ .05."
    )
    smallest = min(1, tests * 2.0 ** (1 - speakers))
    if smallest >= RESOLVED:
        note += f" {speakers} speakers allow no corrected p below {smallest:.2g}: nothing can be resolved."
    yield note
    if table["UA_as_published"].notna().any():
        yield (
            "As published: (validation UA + test UA) / 2, as FLEA's released code scores, and how far it is from the "
            "clean score over folds: for comparison with such papers only."
        )


def _line(text):
    return " ".join(str(text).split())
