"""Several corpora as one, for cross-corpus evaluation: utterances, speakers and sessions get a prefix.

`corpora`: {name: {adapter: ..., folder: relative to root or absolute, options: {the adapter's own}}}
"""

from pathlib import Path, PurePosixPath

import pandas as pd

from serflow import corpora as library
from serflow.corpora.labels import choose, tell_alike
from serflow.errors import UserError


def scan(root: str | Path, corpora: dict) -> pd.DataFrame:
    """The rows of all `corpora`; the column corpus has each one's name. Raises UserError."""
    return labelled(root, None, corpora)[0]


def labelled(root: str | Path, classes: dict | str | None, corpora: dict) -> tuple[pd.DataFrame, dict | None]:
    """(rows, classes). A class set by name is each part's own; other classes take labels of the common vocabulary,
    for one letter may be anger here and fear there.
    """
    _check(corpora)
    named = classes if isinstance(classes, str) else None
    parts, together = [], {}
    for name, about in corpora.items():
        folder, options = about["folder"], about.get("options", {})
        rows, chosen = library.part(about["adapter"], Path(root, folder), named, options, called=str(name))
        together |= chosen or {}
        prefixed = {column: f"{name}-" + rows[column] for column in ("utterance", "speaker", "session")}
        paths = rows["path"].map(lambda path, folder=folder: PurePosixPath(folder, path).as_posix())
        parts.append(rows.assign(path=paths, **prefixed))
    rows = pd.concat(parts, ignore_index=True)
    tell_alike("joined", rows, ["emotion"])  # of different parts
    if named or classes is None:
        return rows, together or None
    chosen, classes = choose("joined", None, rows.assign(label=rows["emotion"]), classes)
    return chosen.assign(label=rows["label"]), classes


def _check(corpora):
    if not isinstance(corpora, dict) or len(corpora) < 2:
        raise UserError("Corpus joined: the option `corpora` must name two corpora or more, each with its adapter.")
    for name, about in corpora.items():
        if not str(name).replace("_", "").isalnum():  # no -, so that prefixed names cannot meet
            raise UserError(f"Corpus joined: {name!r} cannot be a prefix; name it with letters, digits and _ only.")
        if not isinstance(about, dict) or {*about} - {"options"} != {"adapter", "folder"}:
            raise UserError(f"Corpus joined: give {name} the keys adapter and folder, perhaps options, and no other.")
        if not isinstance(about["folder"], str) or not isinstance(about.get("options", {}), dict):
            raise UserError(f"Corpus joined: the folder of {name} must be text and its options keys with values.")
        if about["adapter"] == "joined":
            raise UserError(f"Corpus joined: {name} is joined itself; list its corpora here instead.")
