"""Versions of results: Snakemake plans and runs, DVC keeps. Neither is told anything that the other could contradict.

dvc.yaml is made from Snakemake's jobs, and so is each corpus' plan, `results/<corpus>/plan.json`: what decides a
stage besides its inputs, which are settings and the digest of its code. DVC compares a plan's entries as parameters;
it reads the plan several times a stage, and JSON at once.
"""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import yaml

from serflow.artifacts import write_json, write_text
from serflow.errors import UserError
from serflow.versioning import cache
from serflow.versioning.corpora import corpora
from serflow.versioning.jobs import snakemake, workflow_of
from serflow.versioning.stages import (
    CONVERTED,
    artifacts,
    metrics,
    overview,
    plan_file,
    settings_of,
    stages_of,
    with_what_stands_behind,
)

HEADER = "# Made by `make dvc.yaml` from the workflow's jobs, for the corpora of config/corpora.yaml: edit those.\n"


def plan(names: Collection[str] = ()) -> None:
    """Write dvc.yaml and the plan of every corpus. With `names` of corpora write their plans, for DVC while it runs.

    UserError when dvc.yaml no longer fits a corpus of `names`: DVC has read it by then.
    """
    _planned(names)


def _planned(names=()):
    """`plan`, and the `Workflow` of each corpus."""
    known, stages, workflows = corpora(), {}, []
    if not names:  # no stage of DVC is running
        _forget_killed()
    for name in names or known:
        if name not in known:
            raise UserError(f"config/corpora.yaml has no corpus '{name}': add it, or make dvc.yaml without it.")
        workflows.append(workflow_of(name, known[name]))
        write_json(plan_file(name), settings_of(workflows[-1]))
        own = stages_of(workflows[-1], known[name])
        for stage in own.keys() & stages.keys():
            raise UserError(f"config/corpora.yaml: two corpora have a stage {stage}: give one of them another name.")
        stages |= own
    if names:
        _check_fit(names, stages)
    else:
        content = {"stages": stages | {"overview": overview(stages)}}
        content |= {"metrics": metrics(workflows), "artifacts": artifacts(stages)}
        content = {key: value for key, value in content.items() if value}
        write_text("dvc.yaml", HEADER + yaml.safe_dump(content, sort_keys=False, width=1000))
    return workflows


def commit() -> None:
    """Let DVC record what Snakemake alone has made. UserError when something is still to be made."""
    known = corpora()
    for workflow in _planned():
        if workflow.pending:
            told = f"{len(workflow.pending)} jobs of {workflow.name} are to be run (first {workflow.pending[0]})"
            raise UserError(f"{told}: {shlex.join(snakemake(known[workflow.name]))}")
    _run("serflow.evaluation.overview")
    _run("dvc", "commit", "--force")
    _take_as_made(known, _versioned())  # in committing, DVC wrote some of it anew


def restore() -> None:
    """Bring back what dvc.lock records, and let Snakemake take what of it fits the configuration for up to date."""
    _forget_killed()
    folder = _cache()
    _check_cache(folder, listings=True)
    if cache.lacks(folder):
        if not _told("remote", "list").strip():
            raise UserError("DVC's cache lacks some and no remote is named: dvc remote add --default store <place>")
        cache.fetch_listings(folder)
        _check_cache(folder, listings=True)  # a listing says under which names DVC is to write
        _run("dvc", "fetch", "dvc.yaml")
    _check_cache(folder)
    checkout = _ended("dvc", "checkout", "--allow-missing", "dvc.yaml")
    if "unsaved files" in checkout.stderr:
        raise UserError(
            "Results here that DVC has not recorded would be lost. To keep them: make commit-artifacts, under the "
            "configuration that made them, and git commit; to drop them: dvc checkout --force. Then make restore."
        )
    if checkout.returncode:
        raise UserError(f"DVC cannot check out the results: {' '.join(checkout.stderr.split())[-400:]}")
    known = corpora()
    for name, corpus in known.items():
        if not Path(f"results/{name}/{CONVERTED}").exists():  # speech is kept from remotes
            _run(*snakemake(corpus), "--", f"{name}-corpus")
            _ended("dvc", "commit", f"{name}-corpus")  # which DVC declines unless it is what it was
    plan(known)  # as of now: DVC compares what it has recorded with the plan, not with the configuration
    versioned = _versioned()
    changed = with_what_stands_behind(_changed(), versioned)
    _take_as_made(known, versioned.keys() - changed)
    if changed:
        print(f"No longer fitting, to be made anew by `dvc repro`: {', '.join(sorted(changed))}")


def verify() -> None:
    """Compare every file of DVC's cache with the digest in its name. UserError names what is damaged or missing."""
    folder = _cache()
    missing = json.loads(_told("data", "status", "--granular", "--json")).get("not_in_cache", [])
    _check_cache(folder, [f"{path} is missing" for path in missing])


def _cache():
    """The folder of DVC's cache. UserError when nothing was recorded, or not as DVC records it."""
    if not Path("dvc.lock").is_file():
        raise UserError("There is no dvc.lock, so nothing was recorded here: make tables")
    cache.recorded()
    return Path(_told("cache", "dir").strip())


def _forget_killed():
    """Drop what a DVC that was killed left: files on their way, which it would take for a folder's own, and half a
    list of who works on what, which it writes in place and without which no command of it begins."""
    for left in Path("results").rglob("*.tmp"):
        if re.search(r"\.[\w-]{22}\.tmp\Z", left.name):
            left.unlink()
    file = Path(".dvc/tmp/rwlock")
    if not _is_half(file):
        return
    from dvc.lock import make_lock  # takes a second to import

    with make_lock(f"{file}.lock", tmp_dir=str(file.parent)):  # a living one may be writing
        if _is_half(file):
            file.unlink()


def _is_half(file):
    try:
        json.loads(file.read_bytes())
    except FileNotFoundError:
        return False
    except ValueError:
        return True
    return False


def _check_cache(folder, told=(), listings=False):
    damaged = cache.damaged(folder, listings)
    told = [*told, *(f"{file}, which holds {artifact}, is damaged (delete it)" for file, artifact in damaged.items())]
    if told:
        raise UserError(
            f"DVC's cache: {'; '.join(told)}: then dvc fetch from a remote that has it whole, or "
            "make commit-artifacts where what stands in results/ is whole."
        )


def _take_as_made(known, stages):
    """Let Snakemake take what `stages` made as made just now, by the present configuration and code."""
    for name, corpus in known.items():
        own = [stage for stage in _versioned_of(name) if stage in stages and stage != f"{name}-plan"]
        if own:
            touched = _ended(*snakemake(corpus), "--touch", "--forceall", "--", *own)
            if touched.returncode:
                raise UserError(f"Snakemake can take nothing as made: {' '.join(touched.stderr.split())[-600:]}")


def _check_fit(names, stages):
    there = {stage: entry for name in names for stage, entry in _versioned_of(name).items()}
    for stage in sorted(there.keys() | stages.keys()):
        if there.get(stage) != stages.get(stage):
            raise UserError(f"dvc.yaml does not fit the configuration any more (stage {stage}): make dvc.yaml")


def _versioned_of(name):
    """The stages of one corpus: those that make or read its plan."""
    return {stage: entry for stage, entry in _versioned().items() if plan_file(name) in str(entry)}


def _versioned():
    try:
        return yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"]
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise UserError("dvc.yaml is not there or cannot be read: make dvc.yaml") from error


def _changed():
    return json.loads(_told("status", "--json")).keys()


def _ended(module, *arguments):
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)  # noqa: S603


def _told(*arguments):
    ended = _ended("dvc", *arguments)
    if ended.returncode:
        raise UserError(f"dvc {shlex.join(arguments)} failed: {' '.join(ended.stderr.split())[:400]}")
    return ended.stdout


def _run(module, *arguments):
    if subprocess.run([sys.executable, "-m", module, *arguments]).returncode:  # noqa: S603
        raise UserError(f"{shlex.join([module, *arguments])} failed: what it says above tells why.")
