"""The table of a paper, one row a system: as numbers (CSV), to read (Markdown) and to print (LaTeX).

The scores of its speakers, folds and classes stand beside it.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import compress

import numpy as np
import pandas as pd

from serflow.classical import CHANCE
from serflow.errors import UserError
from serflow.evaluation import statistics
from serflow.evaluation.groups import group_cells
from serflow.evaluation.metrics import confusion, macro_f1, unweighted_accuracy, weighted_accuracy
from serflow.evaluation.statistics import ALPHA, block_of, compare, holm, interval, resolvable

COLUMNS = [
    "system", "name", "UA", "UA_low", "UA_high", "UA_fold_mean", "UA_fold_sd", "WA", "WA_fold_mean",
    "WA_fold_sd", "macro_F1", "baseline", "difference", "difference_low", "difference_high", "p", "p_holm",
    "resolvable", "published", "UA_as_published", "utterances", "speakers", "folds", "seeds", "block",
]  # fmt: skip
METRICS = {"UA": unweighted_accuracy, "WA": weighted_accuracy, "macro_F1": macro_f1}
PARTS = {"speaker": "speaker", "fold": "fold", "class": "emotion"}  # kinds, and the column of a kind
BELOW = 0.005  # how far the majority class may lie under guessing, for utterances are whole
MINUS = "\N{MINUS SIGN}"
HEADER = [
    "System",
    "UA %",
    "UA % over folds",
    "WA %",
    "Macro-F1 %",
    "UA points vs baseline",
    "Published",
    "UA % over folds as published, not clean",
]


def build_table(
    rows: list[dict],
    predictions: dict[str, pd.DataFrame],
    utterances: pd.DataFrame,
    classes: list[str],
    validations: dict[str, pd.DataFrame] | None = None,
) -> pd.DataFrame:
    """Score every row's system: a frame of COLUMNS, fractions of 1, rounded to 4 decimals.

    rows: dicts of system, name, baseline (the system it is compared with, CHANCE or None) and, where known,
    published, claim (False where it does not claim to beat its baseline) and zero_shot (the classes that it was never
    trained on and alone chooses from; only their utterances are its own).
    predictions: system -> frame of utterance, emotion, prediction, fold, seed; every fold and seed, any order.
    Systems may have different seeds.
    utterances: frame of utterance, speaker, emotion of all that some fold tests.
    validations: as predictions, for validation speakers; UA_as_published is then the mean over folds and seeds of
    (validation UA + test UA) / 2, as FLEA's released code scores, which is not clean.
    UA, WA and macro_F1 are pooled over folds and averaged over seeds; *_fold_mean and *_fold_sd (n - 1) are
    over folds and seeds; intervals and `p` are of UA, over blocks, which `statistics.block_of` chooses. Only
    claims have a p, and are one Holm family. `resolvable` is the same for all of them, from the root mean square of
    their standard errors: one alone is too uncertain over a few blocks. Raises UserError where a system is not there,
    or a seed does not score each utterance once with its true emotion.
    """
    utterances = utterances.set_index("utterance")
    systems = sorted({row[key] for row in rows for key in ("system", "baseline")} - {None, CHANCE})
    chosen_from = {row["system"]: row.get("zero_shot") or classes for row in rows}
    for system in systems:
        if system not in predictions:
            raise UserError(
                f"system {system} is in a table but has no predictions: run it or take it out of the table"
            )
        own = utterances["emotion"].isin(chosen_from.get(system, classes))
        _check(system, predictions[system], utterances.loc[own, "emotion"])
    facts = {"speakers": utterances["speaker"].nunique()}
    whole = [system for system in systems if len(chosen_from.get(system, classes)) == len(classes)] or systems
    facts["folds"] = min(predictions[system]["fold"].nunique() for system in whole)
    facts["block"] = block_of(facts["folds"], facts["speakers"])
    blocks = {system: _blocks(predictions[system], utterances, facts["block"], classes) for system in systems}

    scored, errors = [], []
    for row in rows:
        frame, own = predictions[row["system"]], blocks[row["system"]]
        ua = interval(own)
        scores = {**row, **_scores(frame, classes), "UA_low": ua.low, "UA_high": ua.high}
        scores |= {**facts, "utterances": frame["utterance"].nunique(), "seeds": frame["seed"].nunique()}
        if row["system"] in (validations or {}):
            both = frame, validations[row["system"]]
            scores["UA_as_published"] = np.mean([unweighted_accuracy(_over_folds(part, classes)) for part in both])
        if row["baseline"] is not None:
            guessed = statistics.guessing(own, len(chosen_from[row["system"]]))
            found = compare(own, guessed if row["baseline"] == CHANCE else blocks[row["baseline"]])
            scores |= {"difference": found.value, "difference_low": found.low, "difference_high": found.high}
            if row.get("claim", True):
                scores["p"] = found.p
                errors.append((found.error, len(own)))
        scored.append(scores)
    table = pd.DataFrame(scored, columns=COLUMNS)
    numbers = ["difference", "difference_low", "difference_high", "p"]
    table = table.astype(dict.fromkeys(numbers, float))
    smallest = np.nan
    if errors:
        scatter, counts = np.transpose(errors)
        smallest = resolvable(np.sqrt(np.mean(scatter**2)), int(counts.min()), len(errors))
    table["resolvable"] = np.where(table["p"].notna(), smallest, np.nan)
    return table.assign(p_holm=holm(table["p"])).round(4)


def scores_of_parts(
    predictions: dict[str, pd.DataFrame], utterances: pd.DataFrame, classes: list[str]
) -> pd.DataFrame:
    """UA, WA (of a class: its recall) and utterances of every speaker, fold and class, for every system and seed.

    Takes `predictions` and `utterances` as `build_table` does; a frame system, seed, kind, name, UA, WA, utterances.
    """
    speakers, rows = utterances.set_index("utterance")["speaker"], []
    for system, frame in predictions.items():
        frame = frame.assign(speaker=speakers.loc[frame["utterance"]].to_numpy())
        for kind, column in PARTS.items():
            for (seed, name), part in frame.groupby(["seed", column]):
                counts = confusion(part["emotion"], part["prediction"], classes)
                scores = [metric(counts) for metric in (unweighted_accuracy, weighted_accuracy)]
                rows.append([system, seed, kind, name, *scores, len(part)])
    return pd.DataFrame(rows, columns=["system", "seed", "kind", "name", "UA", "WA", "utterances"]).round(4)


def masking_notes(summaries: dict[str, list[dict]]) -> list[str]:
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


def to_metrics(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """{system: {UA, WA, macro_F1}}."""
    return table.set_index("system")[list(METRICS)].to_dict("index")


def cautions(table: pd.DataFrame, controls: dict[str, str], guessing: float) -> Iterator[str]:
    """Why the scores of a table may say nothing of emotion, or nothing at all: sentences to stand first under it.

    controls: {row: its method} of those that hear no emotion. guessing: UA of a guess among all classes.
    """
    rows = table[table["utterances"] == table["utterances"].max()].set_index("system")  # no row of fewer classes
    controls = {name: method for name, method in controls.items() if name in rows.index}
    others = rows.drop(index=list(controls))
    if others.empty:
        return
    best = others.loc[others["UA"].idxmax()]
    least = best["UA"] if np.isnan(best["UA_low"]) else best["UA_low"]
    for name, method in controls.items():
        row, has = rows.loc[name], f'"{rows.loc[name, "name"]}" has {100 * rows.loc[name, "UA"]:.1f}'
        if method == "nuisance" and row["UA"] >= least:
            yield (
                f'{has}, which the best row, "{best["name"]}" with {100 * best["UA"]:.1f}, does not exceed beyond '
                "chance: scores may be of how speech was recorded."
            )
        if method == "majority" and row["UA"] < guessing - BELOW:
            yield (
                f"{has}, less than a guess: the commonest class of training is rare among the tested, since folds "
                "differ in their classes."
            )
    if least <= guessing:
        yield f'Not even the best row, "{best["name"]}", exceeds guessing ({100 * guessing:.1f}) beyond chance.'


def to_markdown(table: pd.DataFrame, notes: Iterable[str] = (), cautions: Iterable[str] = ()) -> str:
    """GitHub Markdown with aligned columns; the best UA in bold; below it `cautions`, how to read it, `notes`."""
    body = aligned(_cells(table, escaped, "**{}**".format))
    warned = [f"- **Warning:** {escaped(caution)}" for caution in cautions]
    return "\n".join([*body, "", *warned, *(f"- {escaped(note)}" for note in [*_reading(table), *notes])]) + "\n"


def escaped(text: str) -> str:
    """`text` as one line of GitHub Markdown that shows it as it is: no emphasis, link, image, address or HTML."""
    special = r"[\\`*_|~$@]|<(?=\S)|\](?=[(\[:])|:(?=//)|(?<=www)\."
    return re.sub(f"({special})", r"\\\1", _line(text), flags=re.IGNORECASE)


def aligned(lines: list[list[str]]) -> list[str]:
    """Lines of cells, the first being the header -> the lines of a Markdown table."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines = [lines[0], ["-" * width for width in widths], *lines[1:]]
    return ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines]


def to_latex(table: pd.DataFrame, notes: Iterable[str] = (), cautions: Iterable[str] = ()) -> str:
    r"""The same as a LaTeX fragment for \input; needs \usepackage{booktabs}."""
    special = {character: "\\" + character for character in "%&#_{}$"}
    special |= {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {"±": r"$\pm$", MINUS: "$-$", "≥": r"$\geq$", "<": "$<$", ">": "$>$"}

    def escape(text):
        text = text.translate(str.maketrans(special))
        return re.sub(r"^([\[*])", r"{\1}", text)  # which \\ of the line before would take for its own

    cells = _cells(table, escape, r"\textbf{{{}}}".format)
    header, *lines = [" & ".join(line) + r" \\" for line in cells]
    top = [rf"\begin{{tabular}}{{{'l' * len(cells[0])}}}", r"\toprule", header, r"\midrule"]
    warned = (f"Warning: {caution}" for caution in cautions)
    below = [rf"\par{{\footnotesize {escape(_line(note))}}}" for note in [*warned, *_reading(table), *notes]]
    return "\n".join([*top, *lines, r"\bottomrule", r"\end{tabular}", *below]) + "\n"


def _check(system, frame, emotions):
    """Every seed scores each utterance once, and against the emotion that the corpus gives it."""
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
    mistaken = frame["emotion"].to_numpy() != emotions.loc[frame["utterance"]].to_numpy()
    if mistaken.any():
        wrong, emotion = min(frame.loc[mistaken, ["utterance", "emotion"]].itertuples(index=False))
        raise UserError(
            f"system {system} takes utterance {wrong} for {emotion}, the corpus for {emotions[wrong]}: {again}"
        )


def _blocks(frame, utterances, block, classes):
    speakers = utterances["speaker"].loc[frame["utterance"]]
    return statistics.block_confusions(frame, speakers if block == "speaker" else frame["fold"], classes)


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
    return np.stack([confusion(part["emotion"], part["prediction"], classes) for _, part in frame.groupby(keys)])


def _cells(table, escape, bold):
    """The human table: the header, then a line a row, all escaped; without the columns that have nothing to say."""
    header = [HEADER[0], HEADER[1] + (f" [95 % over {_blocks_of(table)}]" if _blocks_of(table) else ""), *HEADER[2:]]
    names, lines = table.set_index("system")["name"], [[escape(name) for name in header]]
    most = table["utterances"].max()  # rows that choose from fewer classes have fewer, and are no better for that
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
        if row.utterances == most and not (table["UA"][table["utterances"] == most] > row.UA).any():
            cells[1] = bold(cells[1])
        lines.append(cells)
    for name, cells in group_cells(table).items():
        for line, cell in zip(lines, [name, *cells], strict=True):
            line.append(escape(_line(cell)))
    shown = [any(line[column] != "-" for line in lines[1:]) for column in range(len(lines[0]))]
    return [list(compress(line, shown)) for line in lines]


def _points(score, clean):
    return f"{100 * score:.1f} ({signed(score - clean)})"


def _against(row, baseline):
    difference = f"{signed(row.difference)} vs {baseline}"
    if np.isnan(row.p):
        return difference
    if row.p_holm < ALPHA:
        return f"{difference}, {written(row.p_holm)}"
    return f"{difference}, not resolved ({100 * row.resolvable:.1f} would be)"


def signed(difference: float) -> str:
    """A difference of fractions in points, as papers print it."""
    return f"{MINUS if difference < 0 else '+'}{100 * abs(difference):.1f}"


def written(p: float) -> str:
    """A p value as papers print it."""
    return "p < .001" if p < 0.001 else "p = " + f"{p:.3f}".lstrip("0")


def _blocks_of(table):
    """How many blocks a table has, of what; empty where there are too few of any kind."""
    block = table["block"].iloc[0]
    return _counted(table[block + "s"].iloc[0], block) if block else ""


def _counted(number, noun):
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _reading(table):
    """Sentences on how to read the table."""
    seeds = sorted(table["seeds"].unique())
    yield (
        "UA, WA and macro-F1 are pooled over folds and averaged over seeds "
        f"({' or '.join(map(str, seeds))} a system); over folds: mean ± sd over folds and seeds."
    )
    yield _reading_blocks(table)
    if table["p"].notna().any():
        yield _reading_claims(table)
    if "worst" in table:
        yield (
            "Worst speaker: with the lowest UA; Student's t over the speaker's utterances, of these trained "
            "networks. The lowest of many is low by chance, too."
        )
    if table["UA_as_published"].notna().any():
        yield (
            "As published: (validation UA + test UA) / 2, as FLEA's released code scores, and how far it is from the "
            "clean score over folds: for comparison with such papers only."
        )


def _reading_blocks(table):
    folds, speakers, block = table.loc[table.index[0], ["folds", "speakers", "block"]]
    few = _counted(folds, "fold")
    if block is None:
        return f"With {few} and {_counted(speakers, 'speaker')} nothing can be tested: no interval, no p."
    freedom = {"fold": folds, "speaker": speakers}[block] - 1
    told = f"95 % interval of UA and p: Student's t over {_blocks_of(table)} ({freedom} degrees of freedom)"
    if block == "speaker":
        return f"{told}; they concern these trained networks, not the methods, which {few} cannot test."
    return f"{told}, a fold's speakers and seeds taken together, for they share networks or training data."


def _reading_claims(table):
    claims, points = table["p"].count(), 100 * table["resolvable"].max()
    first = f"the first of {claims} claims" if claims > 1 else "the claim"
    others = " (a difference without p is none)" if table["difference"].count() > claims else ""
    return (
        f"p: paired, Holm-corrected over {_counted(claims, 'claim')}{others}, not resolved where p ≥ .05; "
        f"({points:.1f} would be): were the true difference as large, {first} would be resolved 4 times in 5, by the "
        "root mean square of the claims' standard errors."
    )


def _line(text):
    return " ".join(str(text).split())
