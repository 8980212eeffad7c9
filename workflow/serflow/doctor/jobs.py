"""Checks of what would run, how long and how large."""

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from serflow.doctor import cost, probe
from serflow.doctor.findings import OK
from serflow.errors import UserError


def plan(run):
    """What Snakemake would run."""
    arguments = ["--summary", "--cores", str(run.cores)]
    arguments += ["--configfile", *run.configfiles] if run.configfiles else []
    arguments += ["--config", *run.settings] if run.settings else []
    began = time.monotonic()
    ended = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "snakemake", *arguments], capture_output=True, text=True, errors="replace"
    )
    run.planning = time.monotonic() - began
    if ended.returncode:
        told = [line.strip() for line in ended.stderr.splitlines() if line.strip() and not line.startswith("Using")]
        own = [line.removeprefix("serflow: ") for line in told if line.startswith("serflow: ")]
        raise UserError((own or [f"Snakemake cannot plan the run: {' '.join(told[-4:])[-400:]}"])[0])
    run.jobs = _jobs(ended.stdout)
    if not run.jobs:
        yield OK, "nothing to do: everything is there and up to date"
        return
    rules = Counter(rule for rule, _ in run.jobs)
    yield OK, f"{len(run.jobs)} jobs: {', '.join(f'{count} {rule}' for rule, count in rules.items())}"


def _jobs(summary):
    """(rule, name) of every pending job in Snakemake's table of output files, of which a job may have several."""
    rows = [line.split("\t") for line in summary.splitlines() if line.count("\t") == 5]
    jobs = {}
    for file, _, rule, _, _, planned in rows:
        if planned == "update pending":
            place = Path(file)
            if rule in ("frame_features", "utterance_features", "table", "figures"):
                place = place.with_name(place.stem.removesuffix("-scores"))
            else:
                place = place.parents[1] if place.parent.name == "model" else place.parent
            name = place.parts[-3] if rule in ("finetune", "classical") else place.name
            jobs[rule, place] = (rule, name)
    return list(jobs.values())


def costs(run):
    """How long and how large, from doing a little of it."""
    if not run.jobs:
        return
    works = cost.work_of(run.config, run.jobs, run.speech)
    measured = probe.measure(works, run.threads, run.side)
    parts = cost.seconds(run.config, run.jobs, run.speech, measured, run.side)
    parts["starting jobs"] += run.planning
    told = ", ".join(f"{seconds / 60:.1f} {part}" for part, seconds in parts.items())
    yield OK, f"roughly {_minutes(sum(parts.values()))} with {run.side} folds side by side ({told}; k-means left out)"
    for work in measured[0]:
        if work.get("step"):
            step = f"{work['step']:.2f} s in {work['precision']}"
            what = f"{work['rule']} from {work['start']}" if "start" in work else f"intensity {work['method']}"
            yield OK, f"a step of {what}: {step}, {work['schedule']['steps']} a job"
    run.bytes = cost.size(run.config, run.jobs, run.speech, measured, run.side)


def _minutes(seconds):
    minutes = max(1, round(seconds / 60))
    return f"{minutes} minute{'s' * (minutes != 1)}" if minutes < 90 else f"{seconds / 3600:.1f} hours"
