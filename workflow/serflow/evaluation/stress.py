"""What is left of trained systems' scores in other sound, and of what each idea adds to its baseline (ours)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from serflow.evaluation.statistics import ALPHA, block_confusions, compare, holm, interval
from serflow.evaluation.tables import MINUS, aligned, escaped, written
from serflow.stress import CLEAN

COLUMNS = [
    "table", "system", "name", "condition", "UA", "low", "high", "change", "change_low", "change_high", "baseline",
    "difference", "difference_low", "difference_high", "p", "p_holm",
]  # fmt: skip
TITLES = {
    CLEAN: "Clean",
    "noise-20": "Noise 20 dB",
    "noise-10": "Noise 10 dB",
    "noise-0": "Noise 0 dB",
    "gain-up": "Louder 12 dB",
    "gain-down": "Softer 12 dB",
    "telephone": "Telephone",
    "room": "Room",
    "opus-16": "Opus 16 kbit/s",
}
READING = (
    "- Trained systems, asked again about the utterances that they were tested with: nothing was trained. In "
    "brackets points against clean speech, whose intervals stand in stress.csv."
)
TOLD = {
    "noise": "- Noise is steady, flat to 500 Hz and 9 dB an octave softer above, about as the long-term spectrum of "
    "speech (Byrne et al. 1994), so many dB below the speech, pauses not counted.",
    "gain": "- Louder and softer: by 12 dB, what exceeds full scale clipped as a recorder would.",
    "telephone": "- Telephone: 300 to 3400 Hz at 8 kHz, in 8 bits by G.711's mu-law.",
    "room": "- Room: an impulse response of noise that decays by 60 dB in .5 s, as much sound from the walls as from "
    "the speaker.",
    "opus": "- Opus: encoded and decoded at 16 kbit/s.",
}


def blocks_of(predictions: pd.DataFrame, block: str | None, classes: list[str]) -> dict[str, np.ndarray]:
    """{condition: `[B, C, C]` counts} of a system; `predictions`: of every fold and seed, with a column condition."""
    return {
        condition: block_confusions(own, own[block or "fold"], classes)
        for condition, own in predictions.groupby("condition", sort=False)
    }


def stress_table(
    blocks: dict[str, dict[str, np.ndarray]], titles: dict[str, str], tables: dict[str, pd.DataFrame]
) -> pd.DataFrame:
    """A frame of COLUMNS, fractions of 1: a row for every system and condition; one for each table that compares the
    system with another trained one, else with neither table nor baseline.

    blocks: {system: see `blocks_of`}; tables: {table: what `tables.build_table` made}. `change` is against clean
    speech. Only claims have a p. In clean speech p_holm is that of the claim's own table; in the other conditions it
    is Holm's over all of their claims together.
    """
    compared = [
        {"table": name, "system": row.system, "baseline": row.baseline, "claimed": row.p, "clean": row.p_holm}
        for name, table in tables.items()
        for row in table.itertuples()
        if row.system in blocks and row.baseline in blocks
    ]
    rows = []
    for system, own in blocks.items():
        for condition, confusions in own.items():
            score, change = interval(confusions), compare(confusions, own[CLEAN])
            told = {"system": system, "name": titles[system], "condition": condition, "UA": score.value}
            told |= {"low": score.low, "high": score.high}
            told |= {"change": change.value, "change_low": change.low, "change_high": change.high}
            pairs = [pair for pair in compared if pair["system"] == system]
            rows += [told | _difference(confusions, blocks, condition, pair) for pair in pairs] or [told]
    table = pd.DataFrame(rows, columns=COLUMNS)
    numbers = ["difference", "difference_low", "difference_high", "p", "p_holm"]
    table = table.astype(dict.fromkeys(numbers, float))
    stressed = table["condition"] != CLEAN
    table.loc[stressed, "p_holm"] = holm(table.loc[stressed, "p"])
    return table.round(4).replace(-0.0, 0.0)


def _difference(confusions, blocks, condition, pair):
    found = compare(confusions, blocks[pair["baseline"]][condition])
    return {
        "table": pair["table"], "baseline": pair["baseline"], "difference": found.value, "difference_low": found.low,
        "difference_high": found.high, "p": np.nan if np.isnan(pair["claimed"]) else found.p,
        "p_holm": pair["clean"] if condition == CLEAN else np.nan,
    }  # fmt: skip


def scores_of(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `stress_table`'s frame that tell of systems: each system and condition once."""
    return table.drop_duplicates(["system", "condition"])


def to_markdown(table: pd.DataFrame, over: str) -> str:
    """Two tables for people, of systems and of what ideas add, a column a condition; `over`: what intervals are over,
    as "5 folds", empty where there are none."""
    conditions = list(dict.fromkeys(table["condition"]))
    titles = [TITLES[condition] for condition in conditions]
    lines = [["System", f"UA %{f' [95 % over {over}]' if over else ''}", *titles[1:]]]
    for _, own in scores_of(table).groupby("system", sort=False):
        clean, *others = own.itertuples()
        score = f"{100 * clean.UA:.1f}" + _bounds(clean.low, clean.high, "{:.1f}")
        lines.append([escaped(clean.name), score, *(f"{100 * row.UA:.1f} ({_points(row.change)})" for row in others)])
    kinds = dict.fromkeys(condition.split("-")[0] for condition in conditions[1:])
    text = ["# In other sound", "", *aligned(lines), "", READING, *(TOLD[kind] for kind in kinds)]
    compared = table.dropna(subset="baseline")
    if len(compared):
        names = table.set_index("system")["name"].to_dict()
        lines = [["UA points vs baseline", *titles]]
        for _, own in compared.groupby(["table", "system"], sort=False):
            first = own.iloc[0]
            cells = [_points(row.difference, "**{}**" if row.p_holm < ALPHA else "{}") for row in own.itertuples()]
            lines.append([escaped(f"{first['name']} vs {names[first['baseline']]}"), *cells])
        notes = (f"- {note}" for note in _verdicts(compared[compared["p"].notna()], names, over))
        text += ["", "## What ideas add", "", *aligned(lines), "", *notes]
    return "\n".join(text) + "\n"


def _verdicts(claims, names, over):
    """Sentences on what is left of claims that are resolved in clean speech, and what others cannot tell."""
    if claims.empty:
        yield "No claim can be tested here: what falls or rises in other sound may be chance."
        return
    clean, stressed = claims[claims["condition"] == CLEAN], claims[claims["condition"] != CLEAN]
    yield (
        f"Bold: p < .05, paired, over {over}: in clean speech by Holm over the claims of the row's own table, in "
        f"other sound by Holm over all {len(stressed)} differences of claims. Intervals and p stand in stress.csv."
    )
    helps = clean[(clean["p_holm"] < ALPHA) & (clean["difference"] > 0)]
    for row in helps.itertuples():
        own = stressed[(stressed["table"] == row.table) & (stressed["system"] == row.system)]
        ahead, resolved = own["difference"] > 0, own["p_holm"] < ALPHA
        kinds = {
            "not ahead in": own[~ahead],
            "ahead, not resolved, in": own[ahead & ~resolved],
            "ahead in": own[ahead & resolved],
        }
        told = "; ".join(f"{kind} {_listed(rows)}" for kind, rows in kinds.items() if len(rows))
        told = f"{_points(row.difference)} in clean speech, {written(row.p_holm)}; {told}."
        told = f"{escaped(row.name)} vs {escaped(names[row.baseline])}: {told}"
        only = "**Helps in clean speech only:**" if not ahead.any() else "**Does not help everywhere:**"
        yield told if ahead.all() else f"{only} {told}"
    if len(helps) < len(clean):
        yield (
            f"{len(clean) - len(helps)} of {len(clean)} claims: not resolved as an advance in clean speech. Whether "
            "such an idea helps in clean speech only cannot be told: where its difference changes its sign, that may "
            "be chance."
        )


def _listed(rows):
    return ", ".join(
        f"{TITLES[row.condition]} ({_points(row.difference)}{_bounds(row.difference_low, row.difference_high)})"
        for row in rows.itertuples()
    )


def _points(difference, form="{}"):
    return form.format(f"{100 * difference:+.1f}".replace("-", MINUS))


def _bounds(low, high, form="{:+.1f}"):
    """Of an interval, if there is one."""
    told = f" [{form}, {form}]".format(100 * low, 100 * high).replace("-", MINUS)
    return "" if np.isnan(low) else told
