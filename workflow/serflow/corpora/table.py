"""Any corpus that comes with one table (CSV, TSV or Parquet) of its recordings or of segments of them.

Columns: path (relative to the corpus' folder, or absolute), speaker and emotion; optionally gender, session,
text, start and end (seconds; an empty end is the file's end) and utterance (a unique name). An emotion gets its
common name where it has one (`Angry` is anger), else it stays as it is.
"""

import difflib
import io
from pathlib import Path

import numpy as np
import pandas as pd

from serflow.corpora import folders, labels
from serflow.errors import UserError

LAYOUT = "a table whose rows name an audio file, its speaker and its emotion"
SEPARATORS = {".csv": ",", ".tsv": "\t"}
REQUIRED = ["path", "speaker", "emotion"]
OPTIONAL = ["gender", "session", "text", "start", "end", "utterance"]
GENDERS = {"f": "female", "female": "female", "m": "male", "male": "male"}


def scan(root, table=None):
    """A row for each row of `table`, a file name (None: the one table in `root`). Raises UserError."""
    table = _find(root, table)
    rows = _read(table)
    missing = [column for column in REQUIRED if column not in rows]
    if missing:
        close = difflib.get_close_matches(missing[0], [name for name in rows if name not in REQUIRED], n=1)
        hint = f" (rename {close[0]!r}?)" if close else ""
        found = ", ".join(map(repr, rows))
        raise UserError(f"{table}: there is no column {missing[0]!r}{hint}; the columns found are {found}.")
    rows = rows.reindex(columns=REQUIRED + OPTIONAL, fill_value="")
    for column in REQUIRED[1:] + ["gender", "session", "start", "end", "utterance"]:
        rows[column] = rows[column].str.strip()
    for column in ["path", "speaker"]:
        _refuse(table, rows[column] == "", f"{column} is empty: fill it in or delete the line")

    start, end = (pd.to_numeric(rows[column], errors="coerce") for column in ["start", "end"])
    for column, number in [("start", start), ("end", end)]:
        wrong = (rows[column] != "") & ~(np.isfinite(number) & (number >= 0))
        _refuse(table, wrong, f"{column} is not a time in seconds: write a number like 1.25")
    start = start.fillna(0.0)
    _refuse(table, end <= start, "end is not after start: correct the two times")

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


def _find(root, table):
    suffixes = {*SEPARATORS, ".parquet"}
    if table is None:
        names = (path.name for path in root.iterdir() if path.suffix.lower() in suffixes)
        names = sorted(name for name in names if not name.startswith("."))
        if len(names) != 1:
            found = f"{len(names)} tables ({', '.join(names[:5])})" if names else "no .csv, .tsv or .parquet file"
            raise UserError(f"{root}: found {found}; name the corpus' table in the option `table`.")
        table = names[0]
    table = Path(root) / table
    if table.suffix.lower() not in suffixes or not table.is_file():
        raise UserError(f"{table}: the option `table` must name an existing .csv, .tsv or .parquet file.")
    return table


def _read(table):
    """All cells as text, "" where empty; the index is the line's number in the file (Parquet: the row's)."""
    if table.suffix.lower() == ".parquet":
        try:
            rows = pd.read_parquet(table).reset_index(drop=True)
        except (OSError, ValueError) as error:
            raise UserError(f"{table}: this is not a readable Parquet file; write it again.") from error
        return rows.astype(object).where(rows.notna(), "").astype(str).set_axis(rows.index + 1)
    text = folders.read_text(table)
    try:  # Blank lines stay until lines are numbered; a comma too many must not make an index of column one.
        options = {"dtype": str, "keep_default_na": False, "skip_blank_lines": False, "index_col": False}
        rows = pd.read_csv(io.StringIO(text), sep=SEPARATORS[table.suffix.lower()], **options)
    except (pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        reason = str(error).strip().removeprefix("Error tokenizing data. C error: ")
        raise UserError(f"{table}: this is not a well-formed table ({reason}); correct it.") from error
    rows = rows.fillna("").rename(columns=str.strip).set_axis(rows.index + 2)
    return rows[(rows != "").any(axis=1)]


def _refuse(table, wrong, message):
    if wrong.any():
        raise UserError(f"{table}, line {wrong.idxmax()}: {message}.")
