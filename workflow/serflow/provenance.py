"""Code and folders as inputs: digests that change when, and only when, what a job reads or runs changes. What a run
was started with is noted beside its results, and decides nothing."""

import ast
import hashlib
import importlib.metadata
import json
import os
import platform
import shlex
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from serflow.corpora.folders import below
from serflow.errors import UserError

LIBRARY = Path(__file__).parent
PACKAGES = ("snakemake", "torch", "torchaudio", "transformers", "faiss-gpu", "faiss-cpu", "scikit-learn", "opensmile")


@cache
def code_digest(script: str | Path, *modules: str) -> str:
    """SHA-256 of `script`, of every module of serflow that it imports, however indirectly, and of `modules`.

    Comments, docstrings and layout do not count. Imports inside functions do. job.py does not: what it does around
    a script changes no result.
    """
    files, waiting = set(), [Path(script), *(_file(module) for module in modules)]
    while waiting:
        file = waiting.pop()
        if file and file not in files:
            files.add(file)
            waiting += _read(file)[1]
    lines = (f"{file.name} {_read(file)[0]}\n" for file in sorted(files))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def listing_digest(folder: str | Path | None) -> str | None:
    """SHA-256 of the names, sizes and times of all files below `folder`; None for none. Fast: opens no file."""
    if folder is None:
        return None
    status = {path: _status(os.path.join(folder, path)) for path in below(folder)}
    lines = (f"{path} {own.st_size} {own.st_mtime_ns}\n" for path, own in status.items())
    return hashlib.sha256(os.fsencode("".join(lines))).hexdigest()


def note_run(file: str | Path, arguments: Iterable[str]) -> None:
    """Append to `file` a line of JSON on the run that starts: its command, its time, machine and versions."""
    told = {
        "command": shlex.join(["snakemake", *arguments]),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "versions": {"python": platform.python_version()}
        | {name: version for name in PACKAGES if (version := _version(name))},
    }
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    with Path(file).open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(told) + "\n")


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _status(path):
    try:
        return os.stat(path)
    except OSError:
        return os.lstat(path)  # a dangling link is the corpus' fault, told there


@cache
def _read(file):
    """The digest of what `file` means, and the files of serflow that it imports, with the packages they stand in."""
    try:
        tree = ast.parse(file.read_bytes())
    except SyntaxError as error:
        raise UserError(f"{file} has a syntax error in line {error.lineno}: mend it.") from error
    meaning, names = [], set()
    _walk(tree, meaning, names)
    packages = {".".join(name.split(".")[:depth]) for name in names for depth in range(1, name.count(".") + 2)}
    reached = [path for path in map(_file, packages) if path]
    return hashlib.sha256(" ".join(meaning).encode()).hexdigest(), reached


def _walk(node, meaning, names):
    """Append to `meaning` what a syntax tree says, alike in every Python (`ast.dump` is not), imports to `names`."""
    if isinstance(node, ast.AST):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.update([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)])
        elif isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node, clean=False):
            node.body = node.body[1:]
        meaning.append(type(node).__name__)
        for field, value in ast.iter_fields(node):
            if field != "ctx" and value not in (None, []):
                meaning.append(field)
                _walk(value, meaning, names)
    elif isinstance(node, list):
        meaning.append(str(len(node)))
        for inner in node:
            _walk(inner, meaning, names)
    else:
        meaning.append(repr(node))


def _file(module):
    """The file of a module of serflow, None for other modules."""
    first, *rest = module.split(".")
    if first != LIBRARY.name:
        return None
    path = LIBRARY.joinpath(*rest)
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)
