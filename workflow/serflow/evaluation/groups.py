"""UA of groups of speakers, as further columns of a table: of each gender, and of the speaker who is served worst."""

import re
from collections.abc import Collection

import numpy as np
import pandas as pd

from serflow.evaluation.metrics import unweighted_accuracy
from serflow.evaluation.statistics import block_confusions, interval

WORST = "worst speaker"


def group_columns(
    predictions: dict[str, pd.DataFrame],
    utterances: pd.DataFrame,
    block: str | None,
    classes: list[str],
    groups: Collection[str],
) -> pd.DataFrame:
    """A frame indexed by system: UA_<gender>, for the genders that are known, or UA_worst of `worst`, the speaker
    with the lowest UA, each with `_low` and `_high`; fractions of 1, rounded to 4 decimals.

    predictions and utterances (with gender, too) as `tables.build_table` takes them; groups: of gender, speaker. The
    interval of a gender is over the table's blocks (`block_of`) in which it occurs; that of the worst speaker over
    the speaker's utterances, and of these networks: the lowest of many is low by chance, too.
    """
    known, scored = utterances.set_index("utterance"), {}
    for system, frame in predictions.items():
        own = frame.join(known[["speaker", "gender"]], on="utterance")
        told = scored[system] = {}
        if "gender" in groups:
            for gender, part in own[own["gender"] != "unknown"].groupby("gender"):
                told |= _named(gender, interval(block_confusions(part, part[block or "fold"], classes)))
        if "speaker" in groups:
            speakers = block_confusions(own, own["speaker"], classes)
            worst = sorted(own["speaker"].unique())[np.argmin(unweighted_accuracy(speakers))]
            part = own[own["speaker"] == worst]
            told |= {"worst": worst} | _named("worst", interval(block_confusions(part, part["utterance"], classes)))
    return pd.DataFrame.from_dict(scored, orient="index").round(4)


def group_cells(table: pd.DataFrame) -> dict[str, list[str]]:
    """{header: a cell a row} of the columns that `group_columns` added to a table, in %."""
    shown = {}
    for name in filter(None, (re.sub(r"^UA_(.+)_low$|.*", r"\1", column) for column in table)):
        scores = zip(*(100 * table[f"UA_{name}{end}"] for end in ("", "_low", "_high")), strict=True)
        cells = [f"{ua:.1f}" + (f" [{low:.1f}, {high:.1f}]" if low == low else "") for ua, low, high in scores]
        if name == "worst":
            cells = [f"{cell} ({who})" for cell, who in zip(cells, table["worst"], strict=True)]
        shown[f"UA % {WORST if name == 'worst' else name}"] = cells
    return shown


def _named(name, found):
    return {f"UA_{name}": found.value, f"UA_{name}_low": found.low, f"UA_{name}_high": found.high}
