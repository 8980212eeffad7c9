"""What came of claims, that an idea beats its baseline, on every corpus and on all together (ours).

Verdicts are made of the tables and of the register beside them alone, which a clone without artifacts has.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from serflow.evaluation.register import CLAIM, COUNTS, PLANNED, SEEN, TITLES, read
from serflow.evaluation.stamps import MARK
from serflow.evaluation.statistics import ALPHA, MIN_BLOCKS, holm, mean_of, over_blocks, planned_error, resolvable

FOUND = ["UA", "difference", "low", "high", "p", "p_holm", "resolvable"]
COLUMNS = [*CLAIM, *TITLES, "scope", "corpus", *FOUND, "planned", *COUNTS, "verdict", "note"]
OF_TABLE = [
    "system", "name", "UA", "baseline", "difference", "difference_low", "difference_high", "p", "p_holm",
    "resolvable", *COUNTS, "block",
]  # fmt: skip
ONE, POOLED, AT_LARGE = "corpus", "pooled", "at large"  # scopes
VERDICTS = {  # in the order of a headline
    "helps": "ahead of its baseline",
    "harms": "behind it",
    "not resolved": "not resolved",
    "not tested": "not tested",
}
UNREGISTERED = "no register says that it was claimed beforehand"
GUESSED = 0.01  # to beat a baseline that is so little ahead of guessing is no claim


def verdict(difference: float, p: float) -> str:
    """A key of VERDICTS; p is corrected, and NaN where nothing could be tested."""
    if np.isnan(p):
        return "not tested"
    if p >= ALPHA:
        return "not resolved"
    return "helps" if difference > 0 else "harms"


def gather(corpora: Iterable[Path]) -> pd.DataFrame:
    """Every claim of every corpus, a folder of results/ each, then pooled: a frame of COLUMNS, fractions of 1, a
    claim's rows together, by paper.

    Pooled is the mean over the corpora, which count alike: its interval is of these corpora, whose true effects may
    differ. At large is Student's t over three corpora or more: of others like them. Each scope is a Holm family.
    A corpus of synthesised speech, of too few folds or of recordings that another one has is told, but not pooled.
    """
    rows = [row for folder in sorted(corpora) for row in _of_corpus(folder / "tables")]
    table = pd.DataFrame(rows, columns=[*COLUMNS, "recordings"])
    table["order"] = table.groupby(CLAIM, sort=False).ngroup()
    for _, own in table[pools(table) & (table["recordings"] != "")].groupby([*CLAIM, "recordings"]):
        table.loc[own.index[1:], "note"] = f"not pooled: the recordings of {own['corpus'].iloc[0]}"
    table = pd.concat([table, *(_family(table, scope) for scope in (POOLED, AT_LARGE))], ignore_index=True)
    table["first"] = table.groupby("paper")["order"].transform("min")
    table = table.sort_values(["first", "order"], kind="stable", ignore_index=True)
    return table[COLUMNS].astype(dict.fromkeys(COUNTS, "Int64"))


def pools(table: pd.DataFrame) -> pd.Series:
    """Which rows of `gather` are of one corpus and count for what is pooled."""
    return (table["scope"] == ONE) & table["p"].notna() & ~table["note"].str.startswith("not pooled")


def _of_corpus(folder):
    """The rows of a corpus: its tables' claims, those of tables that are still to come, and those withdrawn."""
    plans, seen = _registered(folder, "planned", PLANNED), _registered(folder, "seen", SEEN)
    done = set()
    of_corpus = {"scope": ONE, "corpus": folder.resolve().parent.name}
    synthesised = plans["synthesised"].eq(True).any()
    for paper, title, table, earlier in _tables(folder):
        own, history = (frame[frame["paper"] == paper] for frame in (plans, seen))
        would = own.set_index("system")["planned"]
        done |= {(paper, row.system, row.baseline) for row in table.itertuples()}
        for row in table.itertuples():
            note = _why_not_pooled(synthesised, earlier, row.block) or _changes(history, row.system)
            note = note or UNREGISTERED * (row.system not in would.index)
            by_plan = resolvable(planned_error(row.folds, row.speakers, row.seeds), row.folds, len(table))
            yield {
                **of_corpus, **dict(zip(CLAIM, (paper, row.system, row.baseline), strict=True)), "title": title,
                "name": row.name, "against": row.against, "UA": row.UA, "difference": row.difference,
                "low": row.difference_low, "high": row.difference_high, "p": row.p, "p_holm": row.p_holm,
                "resolvable": row.resolvable, "planned": would.get(row.system, round(by_plan, 4)),
                "folds": row.folds, "speakers": row.speakers, "seeds": row.seeds,
                "verdict": verdict(row.difference, row.p_holm), "note": note,
                "recordings": own["recordings"].min() if len(own) else "",
            }  # fmt: skip
    for row in plans.to_dict("records"):
        if tuple(row[key] for key in CLAIM) not in done:
            done.add(tuple(row[key] for key in CLAIM))
            yield {**row, **of_corpus, "verdict": "not tested", "note": "planned"}
    for row in seen.drop_duplicates(CLAIM, keep="last").to_dict("records"):
        if tuple(row[key] for key in CLAIM) not in done:
            told = {"title": row["paper"], "name": row["system"], "against": row["baseline"]}
            ends = {end: row[f"difference_{end}"] for end in ("low", "high")}
            note = f"not pooled: withdrawn after it was seen (by {row['configuration']})"
            yield {**row, **told, **ends, **of_corpus, "verdict": "not tested", "note": note}


def _registered(folder, what, columns):
    """All that the register of a corpus' tables says."""
    files = [read(path, columns) for path in sorted(folder.glob(f"*-{what}.csv"))]
    return pd.concat([file for file in files if len(file)] or [pd.DataFrame(columns=columns)], ignore_index=True)


def _tables(folder):
    """(key, title, claims, whether it is marked as of another protocol) of every table whose rows are systems."""
    for path in sorted(folder.glob("*.csv")):
        page, scores = path.with_suffix(".md"), path.with_name(f"{path.stem}-scores.csv")
        if not (page.is_file() and scores.is_file()):
            continue
        table, kinds = read(path, OF_TABLE), read(scores, ["kind", "name"])
        title, _, body = page.read_text(encoding="utf-8").partition("\n")
        guessing = 1 / max(1, kinds["name"][kinds["kind"] == "class"].nunique())
        titles = dict(zip(table["system"], table["name"], strict=True))
        table["against"] = [titles.get(name, name) for name in table["baseline"]]
        telling = table["p"].notna() & (table["UA"] - table["difference"] > guessing + GUESSED)
        yield path.stem, title.removeprefix("# "), table[telling], MARK in body


def _why_not_pooled(synthesised, earlier, block):
    if synthesised:
        return "not pooled: synthesised speech"
    if earlier:
        return "not pooled: of other classes, folds or seeds than the corpus' tables now"
    return "" if block == "fold" else "not pooled: too few folds to tell of methods"


def _changes(history, system):
    """What a claim had come to before the last time."""
    own = history[history["system"] == system]
    now, before = own["configuration"].tolist()[-1:], own.iloc[:-1]
    told = [f"{100 * row.difference:+.1f} by {row.configuration}" for row in before.itertuples()]
    what = "made again" if before["configuration"].isin(now).all() else "changed"
    return f"{what} after it was seen: {', '.join(told)}" if told else ""


def _family(table, scope):
    """The rows of `scope`, POOLED or AT_LARGE."""
    least = {POOLED: 2, AT_LARGE: MIN_BLOCKS}[scope]
    claims = [own for _, own in table[pools(table)].groupby("order") if len(own) >= least]
    rows = []
    for own in claims:
        found, resolved, planned = _together(own, scope, len(claims))
        rows.append({
            **own.iloc[-1][[*CLAIM, *TITLES, "order"]], "scope": scope, "corpus": f"{len(own)} corpora", "note": "",
            "difference": found.value, "low": found.low, "high": found.high, "p": found.p,
            "resolvable": resolved, "planned": planned,
            **own[["folds", "speakers"]].sum(), "seeds": own["seeds"].min(),
        })  # fmt: skip
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row |= {"p_holm": p, "verdict": verdict(row["difference"], p)}
    return pd.DataFrame(rows, columns=table.columns).round(4)


def _together(own, scope, family):
    """Estimate over a claim's corpora; what it could resolve in a `family`, by what was measured, and by plan."""
    values, freedoms = own["difference"].to_numpy(), own["folds"].to_numpy(dtype=float) - 1
    if scope == AT_LARGE:
        found = over_blocks(values)
        return found, resolvable(found.error, len(own), family), np.nan  # which depends on how effects differ
    errors = (own["high"] - own["low"]).to_numpy() / 2 / stats.t.isf(ALPHA / 2, freedoms)
    measured = mean_of(values, errors, freedoms)
    expected = mean_of(values, [planned_error(*design) for design in own[COUNTS].to_numpy()], freedoms)
    return measured[0], *(resolvable(found.error, freedom + 1, family) for found, freedom in (measured, expected))
