"""What a corpus' owner counted, against what is there."""

from __future__ import annotations

import logging
from bisect import bisect_left
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def tell_differences(corpus: str, rows: pd.DataFrame, root: Path, published: dict | None) -> None:
    """Log a warning, a line each, for every count that differs and for what is missing; a difference is no error.

    rows: as scanned; those of known emotion count, where their file is there. published: `utterances`, `speakers`,
    for a column {value: utterances}, and `names`, with each of which some utterance's name must begin.
    """
    if not published:
        return
    warn = logging.getLogger("serflow").warning
    rows = rows[rows["emotion"].notna()]
    there = rows["path"].map(lambda path: (root / path).is_file()).astype(bool)
    missing, promised, rows = rows["path"][~there].to_list(), sorted(rows["utterance"]), rows[there]
    totals = {"utterances": len(rows), "speakers": rows["speaker"].nunique()}
    for key, expected in published.items():
        if key in totals and totals[key] != expected:
            warn("Corpus %s: %d %s expected, %d found", corpus, expected, key, totals[key])
        elif key in rows:
            found = rows[key].value_counts().to_dict()
            for value in sorted({*expected, *found}):
                numbers = expected.get(value, 0), found.get(value, 0)
                if numbers[0] != numbers[1]:
                    warn("Corpus %s, %s %s: %d utterances expected, %d found", corpus, key, value, *numbers)
        elif key == "names":
            missing += [name.rstrip("_") for name in expected if not _begins_one(name, promised)]
            if missing:
                more = f" and {len(missing) - 10} more" if len(missing) > 10 else ""
                warn("Corpus %s: missing %s%s", corpus, ", ".join(missing[:10]), more)


def _begins_one(name, utterances):
    at = bisect_left(utterances, name)
    return at < len(utterances) and utterances[at].startswith(name)
