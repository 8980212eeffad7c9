"""Check of what would run, and how large its audio and features would be."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from serflow.audio import RATE
from serflow.doctor.findings import OK, Run
from serflow.errors import UserError
from serflow.features import HOP, WIDTHS

TRAINED = {"finetune": "systems", "pretrain": "pretraining", "train_intensity": "intensity"}  # rule -> whose schedule


def plan(run: Run) -> Iterator[tuple[str, str]]:
    """What Snakemake would run."""
    arguments = ["--summary", "--cores", str(run.cores)]
    arguments += ["--configfile", *run.configfiles] if run.configfiles else []
    arguments += ["--config", *run.settings] if run.settings else []
    ended = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "snakemake", *arguments], capture_output=True, text=True, errors="replace"
    )
    if ended.returncode:
        told = [line.strip() for line in ended.stderr.splitlines() if line.strip() and not line.startswith("Using")]
        own = [line.removeprefix("serflow: ") for line in told if line.startswith("serflow: ")]
        raise UserError((own or [f"Snakemake cannot plan the run: {' '.join(told[-4:])[-400:]}"])[0])
    jobs = _jobs(ended.stdout)
    run.bytes = _size(jobs, run.speech)
    if not jobs:
        yield OK, "nothing to do: everything is there and up to date"
        return
    rules = Counter(rule for rule, _ in jobs)
    yield OK, f"{len(jobs)} jobs: {', '.join(f'{count} {rule}' for rule, count in rules.items())}"
    steps = [run.config[TRAINED[rule]][name]["schedule"]["steps"] for rule, name in jobs if rule in TRAINED]
    if steps:
        yield OK, f"{len(steps)} trainings of {sum(steps)} steps in all; each tells how long it will take, as it runs"


def _jobs(summary):
    """(rule, name) of every pending job in Snakemake's table of output files, of which a job may have several."""
    rows = [line.split("\t") for line in summary.splitlines() if line.count("\t") == 5]
    jobs = {}
    for file, _, rule, _, _, planned in rows:
        if planned == "update pending":
            place = Path(file)
            if rule in ("frame_features", "utterance_features", "planned", "table", "figures"):
                place = place.with_name(place.stem.removesuffix("-scores"))
            elif rule in ("cards", "frames_table", "stress_table"):  # one job writes into several folders
                place = place.parents[1]
            else:
                place = place.parents[1] if place.parent.name == "model" else place.parent
            name = place.parts[-3] if rule in ("finetune", "classical") else place.name
            jobs[rule, place] = (rule, name)
    return list(jobs.values())


def _size(jobs, speech):
    """Bytes of converted audio and features that `jobs` write of `speech` (`utterances` of `mean` seconds)."""
    a_second = {("corpus", "corpus"): 2 * RATE}
    a_second |= {("frame_features", name): 2 * width / HOP for name, width in WIDTHS.items()}
    return sum(a_second.get(job, 0) for job in jobs) * speech["utterances"] * speech["mean"]
