"""The register of a table's claims, beside it: what was to be shown, and what was seen (ours).

<table>-planned.csv   its claims, and what its design can resolve; written before anything is trained
<table>-seen.csv      every difference of a claim that was ever seen, in order, and by which configuration
"""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from serflow.artifacts import read_csv, write_csv
from serflow.errors import UserError
from serflow.evaluation.statistics import planned_error, resolvable

CLAIM = ["paper", "system", "baseline"]  # what a claim is, on whatever corpus; a paper is the key of a table
TITLES = ["title", "name", "against"]  # and what they are called
COUNTS = ["folds", "speakers", "seeds"]
PLANNED = [*CLAIM, *TITLES, *COUNTS, "planned", "synthesised", "recordings"]
SEEN = ["configuration", *CLAIM, "difference", "difference_low", "difference_high"]


def planned(claims: Iterable[dict], folds: int, speakers: int, seeds: int, **of_corpus: object) -> pd.DataFrame:
    """What a table is to show: `claims`, dicts of CLAIM and TITLES, with the difference that a design would resolve 4
    times in 5 of the first of them; `of_corpus`: synthesised, and a digest of its recordings."""
    table = pd.DataFrame(claims, columns=[*CLAIM, *TITLES]).assign(folds=folds, speakers=speakers, seeds=seeds)
    would = resolvable(planned_error(folds, speakers, seeds), folds, len(table))
    return table.assign(planned=would, **of_corpus)[PLANNED].round(4)


def note_seen(path: Path, paper: str, configuration: str, table: pd.DataFrame) -> None:
    """Write down at `path` what the claims of a table have come to, unless that was the last there, by the same
    configuration: other code may come to another difference."""
    seen = read(path, SEEN)
    new = table[table["p"].notna()].assign(configuration=configuration, paper=paper)[SEEN].round(4)
    if len(new) and new.to_csv(index=False) != seen.tail(len(new)).round(4).to_csv(index=False):
        write_csv(path, pd.concat([seen, new]) if len(seen) else new)


def read(path: Path, columns: list[str]) -> pd.DataFrame:
    """A frame; empty, of `columns`, where there is no file. UserError where it is damaged."""
    if not path.is_file():
        return pd.DataFrame(columns=columns)
    try:
        frame = read_csv(path, dtype={"configuration": str, "recordings": str})  # hexadecimal: 12345e67 is none
        frame[columns]
        return frame
    except (ValueError, KeyError) as error:
        raise UserError(f"{path} is no table as serflow writes it ({error}): make it anew or delete it.") from error
