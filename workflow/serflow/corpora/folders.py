"""What lies below a corpus' folder, however deep: audio by what its path tells, and text of every encoding."""

import codecs
import io
import re

import pandas as pd

from serflow.errors import UserError


def files(root, pattern):
    """Sorted paths, relative to `root` and with /, whose last parts match `pattern`, whatever their case.

    Nothing whose name begins with a dot is found: .DS_Store and the ._ files of macOS are no part of a corpus.
    """
    wanted, hidden = re.compile(rf"(?:^|/)(?:{pattern})$", re.IGNORECASE), re.compile(r"(?:^|/)\.")
    paths = (path.relative_to(root).as_posix() for path in root.rglob("*"))
    return sorted(path for path in paths if wanted.search(path) and not hidden.search(path))


def wavs(root, pattern):
    """A row for each WAV file below `root`: path, utterance, and the named groups of `pattern`.

    `pattern` stands for the last parts of the path without .wav, in any case; where it does not match, its groups
    are NaN and the whole path is the utterance's name, else the file's name is.
    """
    paths = pd.Series(files(root, r"[^/]+\.wav"), dtype=str)
    paths_without_suffix = paths.str.slice(stop=-4)
    groups = paths_without_suffix.str.extract(rf"(?:^|/)(?:{pattern})$", flags=re.IGNORECASE)
    names = paths_without_suffix.str.replace(r".*/", "", regex=True)
    known = groups.notna().all(axis=1)
    return groups.assign(path=paths, utterance=names.where(known, paths_without_suffix))


def read_text(path, otherwise="latin-1"):
    """The text of a file in UTF-8, in UTF-16 with its mark, or else in the encoding `otherwise`."""
    content = path.read_bytes()
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode(otherwise, errors="replace")


def read_columns(path, separator, columns):
    """Those columns of a table, as `read_table` reads it. Raises UserError."""
    table = read_table(path, separator)
    if not set(columns) <= set(table):
        raise UserError(
            f"{path}: this is no table with the columns {', '.join(columns)}; get the file again or remove it."
        )
    return table[columns]


def read_table(path, separator):
    """A table, all cells as text, "" where empty. Raises UserError."""
    try:
        table = pd.read_csv(io.StringIO(read_text(path)), sep=separator, dtype=str, keep_default_na=False)
    except ValueError as error:
        raise UserError(f"{path}: this is no well-formed table; get the file again or remove it.") from error
    return table.rename(columns=str.strip)
