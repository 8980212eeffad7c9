"""The trained systems of results/, and which of them is best."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from serflow.artifacts import FINAL, read_text
from serflow.errors import UserError

RESULTS = Path("results")
COLUMNS = {"UA": "UA", "low": "UA_low", "high": "UA_high"}  # of a table


@dataclass(frozen=True)
class Trained:
    """A system whose `models`, so many, are in `folder`, and where its `final` one is, if any; `title` and the score
    `UA`, with its interval from `low` to `high`, as the `table` has them (fractions of 1; None for none); `usable`:
    whether it may be taken unasked, since it tells all classes, and its score needed nothing of tested speakers."""

    folder: Path
    models: int
    final: Path | None
    title: str | None = None
    table: str | None = None
    UA: float | None = None
    low: float | None = None
    high: float | None = None
    usable: bool = True

    @property
    def corpus(self) -> str:
        return self.folder.parts[-3]

    def score(self) -> str:
        """For people."""
        if self.UA is None:
            return "-"
        return f"{100 * self.UA:.1f}" + (
            "" if self.low is None else f" [{100 * self.low:.1f}, {100 * self.high:.1f}]"
        )


def trained(results: Path = RESULTS) -> list[Trained]:
    """Every system whose models are there, the best of a corpus first."""
    scores = {corpus: _scores(corpus) for corpus in sorted(results.glob("*"))}
    found = []
    for folder in sorted(results.glob("*/systems/*")):
        models = sorted(folder.glob("fold-*/seed-*/model/config.json"))
        final = [path.parent for path in sorted(folder.glob(f"fold-{FINAL}/seed-*/model/config.json"))]
        if models:
            told = scores[folder.parents[1]].get(folder.name, {})
            usable = _usable(models[0].with_name("made.json"))
            found.append(
                Trained(folder, len(models) - len(final), final[0] if final else None, usable=usable, **told)
            )
    return sorted(found, key=lambda one: (one.corpus, -(one.UA or 0), one.folder.name))


def best(results: Path = RESULTS) -> Trained:
    """The best usable system. UserError where no score says which, or those of several corpora would, which cannot be
    compared."""
    scored = [one for one in trained(results) if one.UA is not None and one.usable]
    first = {one.corpus: one for one in reversed(scored)}
    if not first:
        raise UserError(
            f"{results}/ has no trained system with a score: run snakemake first, or name one by --model."
        )
    if len(first) > 1:
        named = ", ".join(str(one.folder) for one in reversed(first.values()))
        raise UserError(
            f"{results}/ has trained systems of {len(first)} corpora, whose scores cannot be compared: name one by "
            f"--model; the best of each are {named}."
        )
    return scored[0]


def _scores(corpus):
    """{system: title, table and score} of the tables of a corpus, of the first that has it. UserError for one that is
    damaged."""
    found = {}
    for path in sorted(corpus.glob("tables/*.csv"), reverse=True):
        try:
            for row in csv.DictReader(read_text(path).split("\n")):
                if "UA_low" in row and row.get("system"):
                    told = {key: row[name] for key, name in COLUMNS.items()}
                    numbers = {key: float(text) if text != "" else None for key, text in told.items()}
                    found[row["system"]] = {"title": row["name"], "table": path.stem, **numbers}
        except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
            raise UserError(f"{path} is damaged ({error}): run snakemake again, or remove it.") from error
    return found


def _usable(note):
    """By what made a model."""
    try:
        settings = json.loads(note.read_text(encoding="utf-8"))["settings"]["settings"]
        return not (settings["zero_shot"] or settings["transductive"] or settings["normalisation"] == "speaker")
    except (OSError, ValueError, KeyError, TypeError):
        return False


def lines(found: list[Trained]) -> Iterator[str]:
    """A table for a terminal."""
    cells = [("UA % [95 %]", "table", "models", "folder", "system")]
    cells += [
        (
            one.score(),
            one.table or "-",
            f"{one.models} + final" if one.final else str(one.models),
            str(one.folder),
            one.title or "-",
        )
        for one in found
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        yield "  ".join(map(str.ljust, row, widths)).rstrip()
