"""What a run left in `results/<corpus>/`, read when it is asked for; what is not there is said."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from serflow.artifacts import read_csv, read_text
from serflow.errors import UserError
from serflow.evaluation.metrics import confusion, unweighted_accuracy
from serflow.evaluation.results import read_histories, read_predictions
from serflow.evaluation.stamps import MARK
from serflow.evaluation.tables import COLUMNS

ROUNDED = 1e-4  # of a table's scores


class Corpus:
    """`folder`: `results/<corpus>`. UserError where no table is there, or a file is damaged."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.name = self.folder.resolve().name
        self.pages = {path.stem: path for path in sorted(self.folder.glob("tables/*.md"))}
        if not self.pages:
            raise UserError(f"{folder} has no tables/*.md: name a folder of results/ whose run has made its tables.")
        self.pages = {name: self.pages[name] for name in sorted(self.pages, key=self._rank)}
        self.tables = {name: self.tables[name] for name in self.pages if name in self.tables}

    def _rank(self, table):
        """First the tables that test claims, then others of systems, then what is told of units and the like."""
        own = self.tables.get(table)
        return 2 if own is None else int(own["p"].isna().all())

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """{table: its frame of COLUMNS}, of the tables whose rows are systems."""
        frames = {name: _read(path.with_suffix(".csv"), read_csv) for name, path in self.pages.items()}
        return {name: frame for name, frame in frames.items() if frame is not None and set(COLUMNS) <= set(frame)}

    @cached_property
    def headings(self) -> dict[str, str]:
        """{table: its title}; one that is marked as of another protocol says so."""
        texts = {name: _read(path, read_text) for name, path in self.pages.items()}
        earlier = " (earlier: of other classes, folds or seeds)"
        return {
            name: text.split("\n", 1)[0].removeprefix("# ") + (earlier if MARK in text else "")
            for name, text in texts.items()
        }

    @cached_property
    def rows(self) -> pd.DataFrame:
        """Every system of a table once, by name: a frame of COLUMNS."""
        return _joined(self.tables.values(), COLUMNS).drop_duplicates("system").set_index("system", drop=False)

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Frame system, kind (speaker, fold, class), name, UA, WA, utterances: means over seeds."""
        files = [self.folder / "tables" / f"{table}-scores.csv" for table in self.tables]
        known = [frame for file in files if (frame := _read(file, read_csv, dtype={"name": str})) is not None]
        keys = ["system", "kind", "name"]
        every = _joined(known, [*keys, "seed", "UA", "WA", "utterances"]).drop_duplicates([*keys, "seed"])
        return every.groupby(keys, sort=False)[["UA", "WA", "utterances"]].mean().reset_index()

    @cached_property
    def utterances(self) -> pd.DataFrame | None:
        return _read(self.folder / "corpus/utterances.parquet", pd.read_parquet)

    @cached_property
    def quarantined(self) -> pd.DataFrame | None:
        return _read(self.folder / "corpus/quarantine.csv", read_csv)

    @cached_property
    def card(self) -> dict | None:
        """The protocol card, see serflow.protocol."""
        return _read(self.folder / "corpus/protocol.json", _json)

    @cached_property
    def configuration(self) -> dict | None:
        """What the run was told; in a clone without the run's files, by the plan of its stages."""
        plan = _read(self.folder / "plan.json", _json) or {}
        planned = plan.get(f"{self.name}-tables", {}).get("configuration", {})
        return _read(self.folder / "configuration.json", _json) or planned.get("settings")

    @cached_property
    def classes(self) -> list[str]:
        """In the order of confusion matrices."""
        named = self.scores.loc[self.scores["kind"] == "class", "name"].unique()
        return sorted(named) if self.utterances is None else sorted(self.utterances["emotion"].unique())

    @cached_property
    def predictions(self) -> dict[str, pd.DataFrame]:
        """{system: frame of its predictions, every fold and seed}, of those that the tables are made of."""
        return {name: frame for name, frame in self._predictions.items() if name not in self.stale}

    @cached_property
    def stale(self) -> list[str]:
        """Systems whose predictions do not give what the tables say: of another run."""
        return [name for name, own in self._predictions.items() if not self._fits(own, self.rows.loc[name, "UA"])]

    def _fits(self, predictions, expected):
        emotions = predictions.get("emotion", [None])  # an older run's file has it by another name
        if not set(emotions) | set(predictions["prediction"]) <= set(self.classes):
            return False
        seeds = [
            confusion(part["emotion"], part["prediction"], self.classes) for _, part in predictions.groupby("seed")
        ]
        return abs(unweighted_accuracy(np.stack(seeds)).mean() - expected) < ROUNDED

    @cached_property
    def _predictions(self):
        files = self.files_of_systems("predictions.parquet")
        with reading(self.folder / "systems"):
            return read_predictions(file for own in files.values() for file in own)

    @cached_property
    def histories(self) -> dict[str, pd.DataFrame]:
        """{system: frame fold, seed, step, quantity, value}."""
        files = self.files_of_systems("model/history.csv")
        with reading(self.folder / "systems"):
            return read_histories(file for own in files.values() for file in own)

    def files_of_systems(self, name: str) -> dict[str, list[Path]]:
        """{system: its files `fold-<k>/seed-<s>/<name>`}, of the systems in tables, in their order."""
        found = {}
        for path in sorted(self.folder.glob(f"systems/*/fold-[0-9]*/seed-*/{name}"), key=_by_number):
            found.setdefault(path.relative_to(self.folder).parts[1], []).append(path)
        return {system: found[system] for system in self.rows.index if system in found}

    def made_in_pools(self, pattern: str) -> list[tuple[str, str, Path]]:
        """(what, pool and seed, file) of every `<pool>/seed-<s>/<pattern>`; what: the folder the file is in."""
        paths = sorted(self.folder.glob(f"*/seed-*/{pattern}"), key=_by_number)
        told = [(path, path.relative_to(self.folder).parts) for path in paths]
        return [(parts[3], f"{parts[0]} {parts[1]}", path) for path, parts in told]

    @cached_property
    def pretrainings(self) -> dict[str, pd.DataFrame]:
        """{pretraining or learned intensity: frame run (its pool and seed), step, quantity, value}."""
        found = {}
        for pattern in ("ssl/*/history.csv", "intensity/*/model/history.csv"):
            for name, run, path in self.made_in_pools(pattern):
                found.setdefault(name, []).append(_read(path, read_csv).assign(run=run))
        return {name: pd.concat(parts, ignore_index=True) for name, parts in found.items()}

    @cached_property
    def masked(self) -> pd.DataFrame:
        """Frame pretraining, share, inside, outside: means over pools and seeds."""
        found = [
            {"pretraining": name, **_read(path, _json)} for name, _, path in self.made_in_pools("ssl/*/masking.json")
        ]
        frame = pd.DataFrame(found, columns=["pretraining", "share", "inside", "outside"])
        numbers = frame.astype({"share": float, "inside": float, "outside": float})
        return numbers.groupby("pretraining", sort=False).mean().dropna(how="all").reset_index()

    @cached_property
    def units(self) -> pd.DataFrame | None:
        """What units tell, see serflow.evaluation.units."""
        return _read(self.folder / "tables/units.csv", read_csv)

    @cached_property
    def jobs(self) -> pd.DataFrame:
        """Frame job (its place below `run/jobs`), seconds, memory and gpu in MB; NaN for what was too short."""
        found = []
        for path in sorted((self.folder / "run/jobs").rglob("*.jsonl")):
            measured = _read(path, lambda path: json.loads(_text(path).splitlines()[-1]))
            gpu = _read(path.with_suffix(".gpu.json"), _json) or {}
            job = path.relative_to(self.folder / "run/jobs").with_suffix("").as_posix()
            found.append([job, measured.get("s"), measured.get("max_rss"), gpu.get("max_gpu")])
        frame = pd.DataFrame(found, columns=["job", "seconds", "memory", "gpu"])
        return frame.assign(**{name: pd.to_numeric(frame[name], "coerce") for name in ("seconds", "memory", "gpu")})

    @cached_property
    def commands(self) -> list[dict]:
        """What runs were started with, see serflow.provenance.note_run; the last one last."""
        told = _read(self.folder / "run/commands.jsonl", lambda path: list(map(json.loads, _text(path).splitlines())))
        return told or []

    @cached_property
    def missing(self) -> list[str]:
        """What of a whole run is not here, with what the page lacks for it."""
        parts = {
            "predictions": (self.predictions, "confusion matrices, genders and the explorer"),
            "the list of utterances": (self.utterances is not None, "genders and the explorer"),
            "training curves": (self.histories, "how systems were trained"),
            "the protocol card": (self.card, "who was trained on and tested"),
            "the complete configuration": (self.configuration, "the graph of what is made from what"),
            "measurements of jobs": (len(self.jobs), "run times and memory"),
        }
        told = [f"{what} (so no {lacking})" for what, (there, lacking) in parts.items() if not there]
        if self.stale:
            told.append(
                f"predictions of the run that made the tables, but of another one, for {', '.join(self.stale)}"
            )
        return told


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """What cannot be read in the block is told in one sentence that names `path`."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:  # pyarrow's and json's are ValueErrors
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{path} cannot be read ({reason}): remove what is damaged, and run snakemake again."
        ) from error


def _read(path, reader, **options):
    """What `reader` makes of a file, None where there is none."""
    if not path.is_file():
        return None
    with reading(path):
        return reader(path, **options)


def _text(path):
    return path.read_text(encoding="utf-8")


def _json(path):
    return json.loads(_text(path))


def _joined(frames, columns):
    frames = list(frames)
    return pd.concat(frames, ignore_index=True)[columns] if frames else pd.DataFrame(columns=columns)


def _by_number(path):
    """fold-10 comes after fold-9."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", path.as_posix())]
