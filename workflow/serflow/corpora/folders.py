"""What lies below a corpus' folder: audio, however deep, by what its path tells, text of every encoding, tables."""

import codecs
import io
import logging
import os
import re
from pathlib import Path

import pandas as pd

from serflow.errors import UserError

SEPARATORS = {".csv": ",", ".tsv": "\t"}
# Of recordings that soundfile reads, the first where an utterance is there in several.
SUFFIXES = ("wav", "flac", "aiff", "aif", "au", "caf", "w64", "rf64", "ogg", "oga", "opus", "mp3")


def below(root: str | Path) -> list[str]:
    """Sorted paths, relative to `root` and with /, of all files below it, those in folders that are links too.

    A folder is entered once, by its own name rather than a link's, whatever circles links make.
    """
    found, entered, tops = [], set(), [os.path.join(root, "")]
    for top in tops:  # links join while it is gone through
        for folder, inner, names in os.walk(top):
            real = os.path.realpath(folder)
            if real in entered:
                inner.clear()
                continue
            entered.add(real)
            inner.sort()
            found += [os.path.join(folder, name) for name in names]
            tops += [path for path in (os.path.join(folder, name) for name in inner) if os.path.islink(path)]
    return sorted(path[len(tops[0]) :].replace(os.sep, "/") for path in found)


def files(root: str | Path, pattern: str) -> list[str]:
    """Sorted paths, relative to `root` and with /, whose last parts match `pattern`, whatever their case.

    Nothing whose name begins with a dot is found: .DS_Store and the ._ files of macOS are no part of a corpus.
    UserError for a name that is not UTF-8, which no table can hold.
    """
    wanted, hidden = re.compile(rf"(?:^|/)(?:{pattern})$", re.IGNORECASE), re.compile(r"(?:^|/)\.")
    found = [path for path in below(root) if wanted.search(path) and not hidden.search(path)]
    for path in found:
        if os.fsencode(path) != path.encode(errors="replace"):
            raise UserError(f"{os.path.join(root, path)}: this name is not UTF-8; rename the file or its folder.")
    return found


def companions(root: str | Path, name: str, tells: str) -> list[str]:
    """`files` called `name`, which an owner passes on beside the audio; a warning that what it `tells` is unknown
    where there is none."""
    found = files(root, re.escape(name))
    if not found:
        logging.getLogger("serflow").warning(
            "%s: there is no %s, so %s are unknown: copy it there.", root, name, tells
        )
    return found


def recordings(root: str | Path, pattern: str) -> pd.DataFrame:
    """A row for each recording below `root`: path, utterance, and the named groups of `pattern`.

    `pattern` stands for the last parts of the path without its suffix, in any case; where it does not match, its
    groups are NaN and the whole path is the utterance's name, else the file's name is. Corpora are passed on in other
    formats than their owner's: of an utterance that is there in several of SUFFIXES, the first counts, and a format
    in which no utterance is taken is no part of the corpus.
    """
    paths = pd.Series(files(root, rf"[^/]+\.(?:{'|'.join(SUFFIXES)})"), dtype=str)
    parts = paths.str.extract(r"^(?P<stem>.*)\.(?P<suffix>[^.]*)$")
    groups = parts["stem"].str.extract(rf"(?:^|/)(?:{pattern})$", flags=re.IGNORECASE)
    known, names = groups.notna().all(axis=1), parts["stem"].str.replace(r".*/", "", regex=True)
    rows = groups.assign(path=paths, utterance=names.where(known, parts["stem"]))
    rank = parts["suffix"].str.lower().map(SUFFIXES.index)
    taken = rank == rank.groupby(rows["utterance"].str.lower()).transform("min")
    return rows[taken & (~known.any() | rank.isin(rank[known & taken]))].reset_index(drop=True)


def read_text(path: Path, otherwise: str = "latin-1") -> str:
    """The text of a file in UTF-8, in UTF-16 with its mark, or else in the encoding `otherwise`."""
    content = path.read_bytes()
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode(otherwise, errors="replace")


def read_table(path: Path) -> pd.DataFrame:
    """A CSV, TSV or Parquet table, cells as text, "" where empty; the index is the line's number in the file
    (Parquet: the row's, and durations are in seconds). Raises UserError.
    """
    if path.suffix.lower() == ".parquet":
        try:
            rows = pd.read_parquet(path, dtype_backend="numpy_nullable").reset_index(drop=True)
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: this is not a readable Parquet file; write it again.") from error
        rows = _distinct(path, rows.rename(columns=str))
        for column in rows.select_dtypes("timedelta"):
            rows[column] = rows[column].dt.total_seconds()
        return rows.astype(object).where(rows.notna(), "").astype(str).set_axis(rows.index + 1)
    try:  # Blank lines stay until lines are numbered; a comma too many must not make an index of column one.
        options = {"dtype": str, "keep_default_na": False, "skip_blank_lines": False, "index_col": False}
        text, options["sep"] = read_text(path), SEPARATORS[path.suffix.lower()]
        header = pd.read_csv(io.StringIO(text), header=None, nrows=1, **options).fillna("").iloc[0]
        rows = pd.read_csv(io.StringIO(text), **options).set_axis(list(header.str.strip()), axis=1)
    except (pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        reason = str(error).strip().removeprefix("Error tokenizing data. C error: ")
        raise UserError(f"{path}: this is not a well-formed table ({reason}); correct it.") from error
    rows = _distinct(path, rows).fillna("").set_axis(rows.index + 2)
    return rows[(rows != "").any(axis=1)]


def _distinct(path, rows):
    twice = rows.columns[rows.columns.duplicated() & (rows.columns != "")]
    if len(twice):
        raise UserError(f"{path}: the column {twice[0]!r} is there twice; rename or remove one.")
    return rows


def read_columns(path: Path, columns: list[str]) -> pd.DataFrame:
    """Those columns of a table. Raises UserError."""
    table = read_table(path)
    if not {*columns} <= {*table}:
        raise UserError(
            f"{path}: this is no table with the columns {', '.join(columns)}; get the file again or remove it."
        )
    return table[columns]
