"""The register of a corpus' claims, beside its tables: what was to be shown, and what was seen (ours).

tables/planned.csv   its claims, and what its design can resolve; written before anything is trained
tables/seen.csv      every difference of a claim that was ever seen, in order, and by which configuration
"""

import fcntl
import os
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from serflow.artifacts import read_csv, write_csv
from serflow.errors import UserError
from serflow.evaluation.statistics import planned_error, resolvable

CLAIM = ["paper", "system", "baseline"]  # what a claim is, on whatever corpus; a paper is the key of a table
TITLES = ["title", "name", "against"]  # and what they are called
DESIGN = ["folds", "speakers", "seeds"]
PLANNED = [*CLAIM, *TITLES, *DESIGN, "planned", "synthesised", "recordings"]
SEEN = ["configuration", *CLAIM, "difference", "difference_low", "difference_high"]


def planned(claims: Iterable[dict], folds: int, speakers: int, seeds: int, **of_corpus: object) -> pd.DataFrame:
    """What planned.csv says: `claims`, dicts of CLAIM and TITLES, with the difference that a design would resolve 4
    times in 5 of the first of a table's; `of_corpus`: synthesised, and a digest of its recordings."""
    table = pd.DataFrame(claims, columns=[*CLAIM, *TITLES]).assign(folds=folds, speakers=speakers, seeds=seeds)
    error, family = planned_error(folds, speakers, seeds), table.groupby("paper")["system"].transform("count")
    return table.assign(planned=[resolvable(error, folds, own) for own in family], **of_corpus)[PLANNED].round(4)


def note_seen(folder: Path, paper: str, configuration: str, table: pd.DataFrame) -> None:
    """Write down in seen.csv of `folder`, tables/ of a corpus, what the claims of a table have come to, unless they
    were last seen by the same configuration. Several tables may be at it at once."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        seen = read(folder / "seen.csv", SEEN)
        if configuration not in seen["configuration"][seen["paper"] == paper].tolist()[-1:]:
            new = table[table["p"].notna()].assign(configuration=configuration, paper=paper)
            write_csv(folder / "seen.csv", pd.concat([seen, new[SEEN]]) if len(seen) else new[SEEN])
    finally:
        os.close(lock)


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
