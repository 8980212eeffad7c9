"""What the page tells of a corpus."""

from __future__ import annotations

import re
from base64 import b64encode
from functools import cached_property
from pathlib import Path

import pandas as pd
import yaml
from markdown_it import MarkdownIt
from markupsafe import Markup

from serflow import protocol
from serflow.evaluation import units
from serflow.evaluation.probes import projected, vector_names
from serflow.report import charts, errors, graph
from serflow.report.corpus import Corpus, reading
from serflow.report.explorer import Explorer
from serflow.report.verdicts import Claim, claims, reach

OF_ONE_RUN = r"(^|[/-])((fold|seed)-\d+|all-fold-\d+|all(?=/))"  # what tells a stage's jobs from one another


class Section:
    """What the page tells of a corpus; every property may be empty."""

    def __init__(self, corpus: Corpus, utterances: int) -> None:
        self.corpus, self.name = corpus, corpus.name
        audio = (corpus.configuration or {}).get("report", {}).get("audio", False)
        self.explorer = Explorer(corpus, utterances, audio)

    @property
    def guessing(self) -> float:
        """UA of a guess among all classes."""
        return 1 / max(1, len(self.corpus.classes))

    @cached_property
    def claims(self) -> dict[str, list[Claim]]:
        """See verdicts.claims; tables that compare with guessing alone come last."""
        found = claims(self.corpus, self.guessing)
        return dict(sorted(found.items(), key=lambda table: all(claim.against_guessing for claim in table[1])))

    @cached_property
    def reach(self) -> float:
        """See verdicts.reach."""
        return reach([claim for own in self.claims.values() for claim in own])

    @cached_property
    def tables(self) -> list[tuple[str, str, Markup]]:
        """(name, title, body) of every table."""
        return [(name, self.corpus.headings[name], markdown(path)) for name, path in self.corpus.pages.items()]

    @cached_property
    def best(self) -> pd.Series | None:
        return errors.best_system(self.corpus) if len(self.corpus.rows) else None

    @cached_property
    def matrices(self) -> list[errors.Matrix]:
        return errors.matrices(self.corpus)

    @cached_property
    def recalls(self) -> list[tuple[str, float, list[float]]]:
        """(title, UA, recall of every class) of the systems."""
        own = self.corpus.scores[self.corpus.scores["kind"] == "class"]
        table = own.pivot(index="system", columns="name", values="WA").reindex(columns=self.corpus.classes)
        rows = self.corpus.rows
        return [
            (rows.loc[name, "name"], rows.loc[name, "UA"], table.loc[name].tolist())
            for name in rows.index
            if name in table.index
        ]

    @cached_property
    def hardest(self) -> pd.DataFrame:
        return errors.hardest(self.corpus)

    @property
    def genders(self) -> list[str]:
        """The columns of `hardest` that are UA by gender."""
        return [column for column in self.hardest if column.startswith("gender ")]

    @cached_property
    def hardest_sentence(self) -> str:
        return errors.hardest_sentence(self.corpus)

    @cached_property
    def speakers(self) -> dict | None:
        """A chart of UA by speaker and system."""
        frame, rows = errors.speakers(self.corpus), self.corpus.rows
        overall = dict(zip(rows["name"], rows["UA"], strict=True))
        return charts.speakers(frame, list(overall), overall) if len(frame) else None

    @cached_property
    def training(self) -> list[tuple[str, dict]]:
        """(title, chart) of what was trained: systems, then what they stand on."""
        titles, systems, under = self.corpus.rows["name"], self.corpus.histories, self.corpus.pretrainings
        return [
            *((titles[name], charts.training(frame, ["fold", "seed"])) for name, frame in systems.items()),
            *((f"Under the systems: {name}", charts.training(frame, ["run"])) for name, frame in under.items()),
        ]

    @cached_property
    def units(self) -> dict | None:
        """A chart of what the units of clusterings go with."""
        return None if self.corpus.units is None else charts.units(self.corpus.units, units.TITLES)

    @cached_property
    def frames(self) -> dict[str, str]:
        """{name of a figure: data URI} of what was drawn of frames: timelines of splices, and layers."""
        return self._drawn("frames")

    @cached_property
    def stress(self) -> dict[str, str]:
        """{table: data URI} of the curves of its systems in other sound."""
        return self._drawn("stress")

    def _drawn(self, folder):
        drawn = sorted((self.corpus.folder / "figures" / folder).glob("*.png"), reverse=True)
        return {path.stem: f"data:image/png;base64,{b64encode(path.read_bytes()).decode()}" for path in drawn}

    @cached_property
    def sweeps(self) -> list[tuple[str, dict]]:
        """(title, chart) of every sweep of units."""
        known, found = self.corpus, []
        for table, sweep in (known.configuration or {}).get("sweeps", {}).items():
            there = {
                name: told for name, told in sweep.items() if name in known.predictions and name in known.histories
            }
            if there and table in known.headings and known.units is not None:
                read = known.rows["name"], known.predictions, known.histories, known.units, known.classes
                found.append((known.headings[table], charts.sweep(units.sweep_points(there, *read))))
        return found

    @cached_property
    def transductive(self) -> dict | None:
        """A chart of what systems gain that heard the test speakers' unlabelled audio."""
        rows, end = self.corpus.rows.set_index("system")[["name", "UA"]], "-transductive"
        plain = rows[(rows.index + end).isin(rows.index)]
        heard = rows["UA"].reindex(plain.index + end).to_numpy()
        pairs = plain.set_axis(["title", "inductive"], axis=1).assign(transductive=heard)
        return charts.transductive(pairs) if len(pairs) else None

    @cached_property
    def probes(self) -> list[str]:
        """What stands under tables of linear probes."""
        return self._under_tables(r"Linear probes of .*")

    def _under_tables(self, pattern):
        """Sentences under the tables that `pattern` matches, as they were before they became Markdown."""
        text = "\n".join(path.read_text(encoding="utf-8") for path in self.corpus.pages.values())
        return [re.sub(r"\\(.)", r"\1", line) for line in dict.fromkeys(re.findall(rf"^- ({pattern})$", text, re.M))]

    @cached_property
    def maps(self) -> list[tuple[str, list[dict]]]:
        """(title, charts) of every system whose predictions hold vectors."""
        named = {name: vector_names(frame) for name, frame in self.corpus.predictions.items()}
        return [
            (self.corpus.rows.loc[system, "name"], [self._map(system, name) for name in names])
            for system, names in named.items()
            if names
        ]

    def _map(self, system, name):
        places, rows = projected(self.corpus.predictions[system], name)
        return charts.vectors(places, rows, name)

    @cached_property
    def protocol(self) -> list[str]:
        return list(protocol.sentences(self.corpus.card)) if self.corpus.card else []

    @cached_property
    def warnings(self) -> list[str]:
        """What a reader of the tables must not overlook: first what the audit found, see serflow.audit."""
        card, quarantined = self.corpus.card, self.corpus.quarantined
        told = [line.removeprefix("**Warning:** ") for line in self._under_tables(r"\*\*Warning:\*\* .*")]
        blocks = set(self.corpus.rows["block"].fillna("none"))
        if "speaker" in blocks:
            told.append("Too few folds to test methods: intervals and verdicts are about the networks trained here.")
        if "none" in blocks:
            told.append("Too few folds and speakers: nothing can be tested.")
        if len(self.corpus.rows) and self.corpus.rows["seeds"].max() == 1:
            told.append("One seed: another would give other numbers, and one seed ranks nothing.")
        if card and card["heard unlabelled test audio"]:
            told.append(f"Heard unlabelled test audio: {', '.join(card['heard unlabelled test audio'])}.")
        if card and card["normalised by speaker"]:
            told.append(
                f"Normalised by all utterances of the tested speaker: {', '.join(card['normalised by speaker'])}."
            )
        if card and card["validation shares speakers with training"] and card["selection"] == "validation":
            told.append("Validation shares speakers with training: the step is chosen by speakers who were heard.")
        if quarantined is not None and len(quarantined):
            kinds = quarantined["reason"].str.split(":").str[0].value_counts()
            listed = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
            told.append(f"Left out of the corpus, by reason: {listed}.")
        return told

    @cached_property
    def times(self) -> pd.DataFrame:
        """A row a stage: stage, jobs, seconds, longest, memory and gpu in MB."""
        jobs = self.corpus.jobs
        stage = jobs["job"].str.replace(OF_ONE_RUN, "", regex=True).str.strip("/-").rename("stage")
        told = {"jobs": ("seconds", "size"), "seconds": ("seconds", "sum"), "longest": ("seconds", "max")}
        summed = jobs.groupby(stage).agg(**told, memory=("memory", "max"), gpu=("gpu", "max"))
        return summed.reset_index().sort_values("seconds", ascending=False)

    @cached_property
    def graph(self) -> graph.Layout | None:
        """What the systems of the tables are made of."""
        config = self.corpus.configuration
        tables = [name for name in self.corpus.tables if config and name in config["tables"]]
        with reading(self.corpus.folder / "configuration.json"):  # another version may have written it
            pairs = graph.lines(config, tables) if tables else []
        return graph.layout(pairs) if pairs else None

    @cached_property
    def configuration(self) -> str:
        return yaml.safe_dump(self.corpus.configuration, sort_keys=False, allow_unicode=True, width=100)


def markdown(path: Path) -> Markup:
    """The body of a table's Markdown as HTML; what is HTML, a link or a picture in it stays text."""
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    reader.disable(["link", "image", "autolink", "html_inline", "html_block", "reference"])
    return Markup(reader.render(path.read_text(encoding="utf-8").split("\n", 1)[1]))  # noqa: S704 escaped by the reader
