"""Any corpus that comes with one table (CSV, TSV or Parquet) of its recordings or of segments of them.

Columns: path (relative to the corpus' folder, or absolute: a run does not notice that a file outside of the folder
has changed), speaker and emotion; optionally gender, session, text, start and end (seconds; an empty
end is the file's end) and utterance (a unique name). An emotion gets its common name where it has one (`Angry` is
anger), else it stays as it is. The table may also be an audformat database.
"""

import difflib
import re
from pathlib import Path

import numpy as np
import pandas as pd

from serflow.corpora import audformat, folders, labels
from serflow.errors import UserError

LAYOUT = "a table whose rows name an audio file, its speaker and its emotion"
REQUIRED = ["path", "speaker", "emotion"]
OPTIONAL = ["gender", "session", "text", "start", "end", "utterance"]
GENDERS = {"f": "female", "female": "female", "m": "male", "male": "male"}


def scan(root: str | Path, table: str | None = None, column: str = "emotion") -> pd.DataFrame:
    """A row for each row of `table`, a file's name (None: the one table in `root`) or that of an audformat table
    (None: all of them); `column` is the emotion's. Raises UserError.
    """
    root = Path(root)
    if (root / audformat.HEADER).is_file() and (table is None or not (root / table).is_file()):
        rows = audformat.read(root, table, column)
    else:
        rows = _read(_find(root, table), column)
    rows["emotion"] = rows[column]
    rows = rows.reindex(columns=REQUIRED + OPTIONAL, fill_value="")
    for column in REQUIRED[1:] + ["gender", "session", "start", "end", "utterance"]:
        rows[column] = rows[column].str.strip()
    for column in ["path", "speaker"]:
        _refuse(rows[column] == "", f"{column} is empty: fill it in or delete the line")
    gone = rows["path"].str.contains("\\", regex=False)
    gone[gone] = ~rows["path"][gone].map(lambda path: (root / path).is_file()).astype(bool)
    _refuse(gone, "path names no file here: write / instead of \\")

    start, end = (pd.to_numeric(rows[column], errors="coerce") for column in ["start", "end"])
    for column, number in [("start", start), ("end", end)]:
        wrong = (rows[column] != "") & ~(np.isfinite(number) & (number >= 0))
        _refuse(wrong, f"{column} is not a time in seconds: write a number like 1.25")
    start = start.fillna(0.0)
    _refuse(end <= start, "end is not after start: correct the two times")

    _refuse_overlapping(rows, start, end.fillna(np.inf))
    segment = "-" + rows["start"].replace("", "0") + "-" + rows["end"].replace("", "end")
    segment = segment.where((rows["start"] != "") | (rows["end"] != ""), "")
    stem = rows["path"].str.replace(r"\.[^./]*$", "", regex=True).str.replace("/", "-").str.lstrip("-.")
    label = rows["emotion"].where(rows["emotion"] != "")
    return rows.assign(
        utterance=rows["utterance"].where(rows["utterance"] != "", stem + segment),
        gender=rows["gender"].str.lower().map(GENDERS).fillna("unknown"),
        session=rows["session"].where(rows["session"] != "", rows["speaker"]),
        label=label,
        emotion=labels.harmonised(label),
        start=start,
        end=end,
    )


def _refuse_overlapping(rows, start, end):
    """Segments of a speaker that share samples cannot have different emotions."""
    spans = rows[["path", "speaker", "emotion"]].assign(start=start, end=end, line=rows.index)[rows["emotion"] != ""]
    spans = spans.sort_values(["path", "speaker", "start"], kind="stable")
    own = spans.groupby(["path", "speaker"])
    before = own["end"].cummax().groupby([spans["path"], spans["speaker"]]).shift()
    other = own["emotion"].shift() != spans["emotion"]
    wrong = (before > spans["start"]) & other
    if wrong.any():
        (table, line), (_, earlier) = spans["line"][wrong].iloc[0], own["line"].shift()[wrong].iloc[0]
        raise UserError(
            f"{table}, line {line}: it overlaps line {earlier}, another emotion of this speaker; correct one."
        )


def _find(root, table):
    suffixes = {*folders.SEPARATORS, ".parquet"}
    if table is None:
        names = (path.name for path in root.iterdir() if path.suffix.lower() in suffixes)
        names = sorted(name for name in names if not name.startswith("."))
        if len(names) != 1:
            found = f"{len(names)} tables ({', '.join(names[:5])})" if names else "no .csv, .tsv or .parquet file"
            raise UserError(f"{root}: found {found}; name the corpus' table in the option `table`.")
        table = names[0]
    table = root / table
    if table.suffix.lower() not in suffixes or not table.is_file():
        raise UserError(f"{table}: the option `table` must name an existing .csv, .tsv or .parquet file.")
    return table


def _read(table, column):
    """The rows of a table that has what is required; their index is (table, line)."""
    rows = folders.read_table(table)
    required = ["path", "speaker", column]
    missing = [name for name in required if name not in rows]
    if missing:
        close = difflib.get_close_matches(missing[0], [name for name in rows if name not in required], n=1)
        hint = f" (rename {close[0]!r}?)" if close else ""
        glued = len(rows.columns) == 1 and re.search(r"[,;|\t]", rows.columns[0])
        apart = " (separate columns by commas in a .csv, by tabs in a .tsv)" if glued else ""
        found = ", ".join(map(repr, rows))
        raise UserError(f"{table}: there is no column {missing[0]!r}{hint}; the columns found are {found}{apart}.")
    return pd.concat({table: rows})


def _refuse(wrong, message):
    if wrong.any():
        table, line = wrong.idxmax()
        raise UserError(f"{table}, line {line}: {message}.")
