"""Checks of what is given: configuration and corpus."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from serflow import heads
from serflow.doctor.findings import ERROR, OK, WARNING, Run
from serflow.errors import UserError

OPENED = 8  # audio files that are tried


def configuration(run: Run) -> Iterator[tuple[str, str]]:
    """The configuration as Snakemake merges it."""
    from serflow import config, lineage

    config.check_files(["config/config.yaml", *run.configfiles])
    run.config = config.complete(_merged(run.configfiles, run.settings))
    config.check_root(run.config)
    config.check_intensity(run.config)
    corpus, folds = run.config["corpus"], run.config["folds"]
    yield OK, f"corpus {corpus['name']}, {folds['count']} folds, seeds {', '.join(map(str, run.config['seeds']))}"
    rows = [name for table in run.config["tables"].values() for name in table["rows"]]
    needed = lineage.needed(run.config, rows or run.config["pretraining"])
    counts = {kind: len(needed & set(run.config[kind])) for kind in ("systems", "pretraining")}
    yield OK, f"{counts['systems']} systems, {counts['pretraining']} pretrainings a fold for {_tables(run.config)}"


def _tables(config):
    return f"the tables {', '.join(config['tables'])}" if config["tables"] else "no table"


def _merged(configfiles, settings):
    from snakemake.cli import parse_config
    from snakemake.common.configfile import load_configfile
    from snakemake.settings.types import ConfigSettings
    from snakemake.utils import update_config

    try:
        over = ConfigSettings(config=parse_config(settings), configfiles=list(map(Path, configfiles)))
        config = load_configfile("config/config.yaml")
        update_config(config, over.overwrite_config)
    except Exception as error:  # files are templates too (yte), in which anything may go wrong
        told = " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
        given = " ".join([*map(str, configfiles), *settings]) or "config/config.yaml"
        raise UserError(f"config: {given} cannot be read ({told}): mend it.") from error
    return config


def corpus(run: Run) -> Iterator[tuple[str, str]]:
    """The corpus as its file names and label files promise it, and a handful of its audio."""
    settings = run.config["corpus"]
    if settings["adapter"] == "demo" and run.config["root"] is None:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "demo"
            rows = _synthesised(root, settings)
            yield OK, "the demo corpus will be synthesised"
            yield from _corpus(run, rows, root)
    else:
        root = Path(run.config["root"])
        yield from _corpus(run, _labelled(settings, root), root)


def _synthesised(root, settings):
    """The rows that the demo corpus will have, with the audio of each speaker's first sentence for the others too."""
    from inspect import signature

    import pandas as pd

    from serflow.corpora.demo import synthesise

    try:
        asked = signature(synthesise).bind(root, **settings["options"])
        asked.apply_defaults()
        sentences = range(1, 1 + asked.arguments["sentences"])
        synthesise(root, **{**settings["options"], "sentences": 1})
        rows = _labelled(settings, root)
        rows = pd.concat(rows.assign(utterance=rows["utterance"].str.slice(stop=-1) + str(i)) for i in sentences)
    except (TypeError, ValueError) as error:
        raise UserError(f"config: corpus.options of the demo corpus: {error}: mend them.") from error
    return rows.reset_index(drop=True)


def _labelled(settings, root):
    from serflow import corpora

    options = {} if settings["adapter"] == "demo" else settings["options"]  # they are for making the speech
    return corpora.labelled(settings["adapter"], root, settings["classes"], options)[0]


def _corpus(run, rows, root):
    """Findings about `rows`; fills `run.speech`."""
    import numpy as np

    from serflow import audio
    from serflow.audit import audit
    from serflow.folds import PARTS, split

    settings = run.config["corpus"]
    known = rows[rows["emotion"].notna()]
    there = known["path"].map({path: (root / path).is_file() for path in known["path"].unique()})
    usable = known[there.to_numpy(bool)]
    unusable = 1 - len(usable) / len(rows)
    if unusable:
        lost = f"{len(known) - len(usable)} utterances lack their file, {len(rows) - len(known)} have no known label"
        first = f", the first is {known['path'][~there.to_numpy(bool)].iloc[0]}" if len(known) > len(usable) else ""
        many = unusable > settings["max_quarantined"]
        yield (
            ERROR if many else WARNING,
            f"{lost}{first}: mend them"
            + (" or raise corpus.max_quarantined." if many else ", or they are left out."),
        )
        if many:
            return
    silent = sorted(set(rows["speaker"]) - set(usable["speaker"]))
    if silent:
        yield WARNING, f"{len(silent)} speakers have no utterance of any class and are left out: {_first(silent)}."
    twice = _twice(root, usable["path"].unique())
    if twice:
        yield WARNING, f"{len(twice)} files are copies of others and will be quarantined: {_first(twice)}."
    for name, system in run.config["systems"].items():
        option = heads.described(system["head"]).prompts
        asked = {*(system["zero_shot"] or ()), *((system.get("options") or {}).get(option) or ())}
        for strange in sorted(asked - set(usable["emotion"])):
            yield (
                ERROR,
                f"systems.{name} names the class {strange}, which the corpus has not: mend zero_shot or {option}.",
            )
    counts = ", ".join(
        f"{count} {emotion}" for emotion, count in usable["emotion"].value_counts().sort_index().items()
    )
    yield OK, f"{len(usable)} utterances of {usable['speaker'].nunique()} speakers ({counts})"

    told_apart = usable.assign(sha256=usable["path"])  # unopened yet
    folds = split(told_apart, **run.config["folds"])
    a_fold = folds["part"].value_counts() / folds["fold"].nunique()
    yield OK, "a fold has, on average, " + ", ".join(f"{a_fold.get(part, 0):.0f} {part}" for part in PARTS)
    for finding in audit(usable, folds, run.config["folds"]["protocol"]):
        yield WARNING if finding.warning else OK, finding.text
    yield from _resolvable(run.config, usable[usable["utterance"].isin(folds["utterance"][folds["part"] == "test"])])

    tried = usable.iloc[np.unique(np.linspace(0, len(usable) - 1, OPENED).astype(int))]
    limits = (settings["min_seconds"], settings["max_seconds"])
    facts = [audio.inspect(root / row.path, [(row.start, row.end)], *limits)[0] for row in tried.itertuples()]
    faults = [
        (row.path, fact) for row, fact in zip(tried.itertuples(), facts, strict=True) if isinstance(fact, Exception)
    ]
    durations = [fact["seconds"] for fact in facts if not isinstance(fact, Exception)]
    if faults:
        mark, (path, fault) = WARNING if durations else ERROR, faults[0]
        yield mark, f"{len(faults)} of {len(tried)} files tried are unusable; {path}: {fault}: mend or remove them."
    if not durations:
        return
    mean, total = float(np.mean(durations)), len(usable)
    run.speech = {"mean": mean, "utterances": total}
    yield (
        OK,
        f"about {mean * total / 60:.0f} minutes of speech, {mean:.1f} s an utterance in {len(durations)} files tried",
    )


def _first(names):
    return ", ".join(names[:3]) + ", ..." * (len(names) > 3)


def _twice(root, paths):
    """The files among `paths` that have the very bytes of an earlier one; only those of one size are read."""
    from itertools import groupby

    from serflow.artifacts import digest

    sizes, seen, twice = {path: (root / path).stat().st_size for path in paths}, set(), []
    for _, alike in groupby(sorted(paths, key=lambda path: (sizes[path], path)), key=sizes.get):
        alike = list(alike)
        for path in alike if len(alike) > 1 else ():
            sha256 = digest(root / path)
            twice += [path] * (sha256 in seen)
            seen.add(sha256)
    return twice


def _resolvable(config, tested):
    """What differences the design would resolve in each table, before anything is trained."""
    from serflow.evaluation.statistics import planned_error, resolvable

    folds, seeds, speakers = config["folds"]["count"], len(config["seeds"]), tested["speaker"].nunique()
    error = planned_error(folds, speakers, seeds)
    design = f"{folds} fold{'s' * (folds > 1)}, {seeds} seed{'s' * (seeds > 1)}"
    for name, table in config["tables"].items():
        claims = len(table["claims"])
        points = 100 * resolvable(error, folds, claims)
        if points < 100:
            told = f"differences from about {points:.0f} points on are resolved 4 times in 5"
            yield OK, f"table {name}: {design}: {told} ({claims} claim{'s' * (claims > 1)})"
        elif claims:
            yield WARNING, f"table {name}: {design}: no difference of methods can be resolved: raise folds.count."
