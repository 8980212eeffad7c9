"""Whole files or none: what a stage writes appears under its name only when it is complete."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from serflow.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

FINAL = "final"  # in paths, in place of a fold's number: everybody is trained on, and nobody tested
OF_THIS_MACHINE = ("root", "folders", "files", "truth")  # parameters of jobs that are true of one machine only


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends without an error.

    The temporary may become a file or a folder. A block that fails leaves neither; what a power cut left goes when
    `path` is written again, which one process does at a time, or by `forget_partial`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    start = f".{path.name}.partial-"
    for left in path.parent.iterdir():
        if left.name.startswith(start):
            _remove(left)
    temporary = path.with_name(f"{start}{os.getpid()}")
    try:
        yield temporary
        if path.is_dir():
            shutil.rmtree(path)
        temporary.replace(path)
    finally:
        _remove(temporary)


def forget_partial(folder: str | Path) -> None:
    """Remove what killed processes left half-written below `folder`, while none is at work there."""
    for left in list(Path(folder).rglob(".*.partial-*")):
        _remove(left)


def _remove(path):
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


def check_writable(folder: str | Path) -> None:
    """UserError unless files can be made in `folder`, which need not be there yet."""
    folder = Path(folder).absolute()
    there = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    if not there.is_dir():
        raise UserError(f"{there} is no folder, but results go into one of that name: move it away.")
    try:
        tempfile.TemporaryFile(dir=there).close()
    except OSError as error:
        raise UserError(f"{there}: {error.strerror}: free space or give rights there, then run again.") from error


def write_text(path: str | Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_text(path: str | Path) -> str:
    """What `write_text` or `write_csv` wrote. ValueError where the end of its last line is missing."""
    text = Path(path).read_text(encoding="utf-8")
    if not text.endswith("\n"):
        raise ValueError("its end is missing")
    return text


def read_csv(path: str | Path, **options: object) -> pd.DataFrame:
    """What `write_csv` wrote, by pandas' `options`. ValueError for a part of it."""
    import pandas as pd

    return pd.read_csv(io.StringIO(read_text(path)), **options)


def write_csv(path: str | Path, frame: pd.DataFrame) -> None:
    """Write a pandas frame, a line a row. What a spreadsheet would take for a formula begins with an apostrophe."""
    plain = {r"[\r\n]+": " ", r"^(?=[=+@\t]|-.)": "'"}
    for pattern, instead in plain.items():
        columns = dict.fromkeys(frame.select_dtypes(["object", "string"]).columns, {pattern: instead})
        frame = frame.replace(columns, regex=True)
        frame.columns = frame.columns.astype(str).str.replace(pattern, instead, regex=True)
    write_text(path, frame.to_csv(index=False))


def write_json(path: str | Path, content: dict) -> None:
    write_text(path, json.dumps(content, indent=2, sort_keys=True) + "\n")


def write_parquet(path: str | Path, frame: pd.DataFrame, made: dict | None = None) -> None:
    """Write a pandas frame; `made` (a JSON-able dict: what produced it) goes into the schema's metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(frame, preserve_index=False)
    table = table.replace_schema_metadata({**table.schema.metadata, b"made": encode(made)})
    with replacing(path) as temporary:
        pq.write_table(table, temporary)


def encode(made: dict | None) -> bytes:
    """What produced an artifact, as the bytes of canonical JSON."""
    return json.dumps(made or {}, sort_keys=True).encode()


def digest(path: str | Path) -> str:
    """SHA-256 of a file, or of the names and contents of all files below a folder."""
    path = Path(path)
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    files = sorted(p for p in path.rglob("*") if p.is_file())
    lines = (f"{p.relative_to(path).as_posix()} {digest(p)}\n" for p in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
