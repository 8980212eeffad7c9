"""What made a table, said in the table itself: a file that git or DVC brought has no other memory of it."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from serflow import lineage
from serflow.artifacts import write_text

STAMP = re.compile(r"Made by configuration ([0-9a-f]{8}) of corpus and protocol ([0-9a-f]{8})\.")
MARK = (
    "> **Earlier:** made with other classes, folds or seeds than the tables of this corpus now. Not to be compared "
    "with them."
)


def stamp(config: dict, table: str) -> str:
    """The sentence for under a table of a complete `config`: `made_by`, and a digest of what the tables of a
    corpus share."""
    return f"Made by configuration {made_by(config, table)} of corpus and protocol {_shared(config)}."


def made_by(config: dict, table: str) -> str:
    """A digest of all that decides a table's numbers but code."""
    entry = {key: value for key, value in config["tables"][table].items() if key != "groups"}  # of no other number
    reached = lineage.needed(config, entry["rows"])
    made = {kind: _chosen(config[kind], reached) for kind in ("systems", "pretraining", "encoders")}
    made["units"] = _chosen(config["units"], {one["units"] for one in made["pretraining"].values()})
    made["intensity"] = _chosen(config["intensity"], {one["intensity"] for one in made["pretraining"].values()})
    made["intensity_schedule"] = config["intensity_schedule"] if made["intensity"] else None
    return _digest([entry, made, _shared(config)])


def misfits(config: dict, folder: Path) -> list[str]:
    """The tables of `config` that lie in `folder` and were made by another configuration, or do not say by which."""
    there = {name: folder / f"{name}.md" for name in config["tables"]}
    return [name for name, path in there.items() if path.is_file() and stamp(config, name) not in _text(path)]


def mark_earlier(config: dict, folder: Path) -> list[str]:
    """Mark what lies in `folder` of another corpus or protocol than that of `config`; returns the tables' names."""
    earlier = []
    for path in sorted(folder.glob("*.md")):
        text = _text(path)
        said = STAMP.search(text)
        if said and said[2] != _shared(config):
            earlier.append(path.stem)
            if MARK not in text:
                title, body = text.split("\n", 1)
                write_text(path, f"{title}\n\n{MARK}\n{body}")
    return earlier


def _shared(config):
    corpus = {key: config[key] for key in ("corpus", "folds", "protocol", "seeds", "seeds_of")}
    return _digest(corpus)


def _chosen(entries, names):
    return {name: entry for name, entry in entries.items() if name in names}


def _digest(value):
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:8]


def _text(path):
    return path.read_text(encoding="utf-8", errors="replace")
