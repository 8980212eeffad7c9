"""A run killed in the middle of training goes on from its checkpoint and ends with the same bits; one killed anywhere
ends, by the same command, with the same files."""

import os
import re
import shutil
import signal
import time

import numpy as np
import psutil
import pytest


@pytest.mark.parametrize(
    ("name", "steps"),
    [("first", 160), ("intense-spans", 60)],  # one that guesses units, and one that guesses frames
)
def test_a_killed_pretraining_goes_on_and_ends_with_the_same_bits(finished, checkout, name, steps):
    shutil.copytree(finished[0].folder, checkout.folder, dirs_exist_ok=True)
    schedule = {"steps": steps, "checkpoint_steps": steps // 16, "report_steps": steps // 20}
    long = {"pretraining": {name: {"schedule": schedule}}}
    target = f"results/demo/fold-0/seed-0/ssl/{name}/model.safetensors"
    model = checkout.folder / target
    checkpoints = model.parent.with_name(f"{name}.checkpoints")

    process = checkout.start("--", target, **long)
    deadline = time.monotonic() + 300
    while not list(checkpoints.glob("checkpoint-*/trainer_state.json")):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[0]
        time.sleep(0.05)
    checkout.kill(process)
    assert not model.exists()

    assert checkout.run("--unlock", **long)[0] == 0
    code, printed = checkout.run("--", target, **long)
    assert code == 0, printed
    assert f"pretrain {name} fold-0 seed 0: going on from step" in printed
    resumed = model.read_bytes(), (model.parent / "history.csv").read_bytes()
    assert not checkpoints.exists()

    model.unlink()
    code, printed = checkout.run("--", target, **long)
    assert code == 0 and "going on" not in printed
    assert (model.read_bytes(), (model.parent / "history.csv").read_bytes()) == resumed


# FLEA's chain in a fold: the log of each job and its script.
CHAIN = {
    "fold-0/seed-0/cluster-mfcc": "cluster",
    "fold-0/seed-0/pretrain-first": "pretrain",
    "fold-0/seed-0/cluster-generic": "cluster",
    "fold-0/seed-0/pretrain-generic": "pretrain",
    "systems/hubert-mean/fold-0-seed-0": "finetune",
    "fold-0/seed-0/cluster-emotion": "cluster",
    "fold-0/seed-0/pretrain-emotion": "pretrain",
    "systems/hubert-frame-labels-attention/fold-0-seed-0": "finetune",
}
MADE = [
    *(f"fold-0/seed-0/ssl/{name}" for name in ("first", "generic", "emotion")),
    *(f"fold-0/seed-0/units/{name}" for name in ("mfcc", "generic", "emotion")),
    *(f"systems/{name}/fold-0" for name in ("hubert-mean", "hubert-frame-labels-attention")),
    "tables",
]
ROW = {"tables": {"flea-alone": {"title": "FLEA", "rows": {"hubert-frame-labels-attention": None}}}}
TARGET = "--", "results/demo/tables/flea-alone.md", "results/demo/figures/flea-alone"
# What no network waits for: the log of each job, its script and what it makes.
LAST = {
    "features/functionals": ("utterance_features", "features/functionals.parquet"),
    "protocol": ("protocol", "corpus/protocol.json"),
    "figures/flea-alone": ("figures", "figures/flea-alone"),
}
FOLDS = {"folds": ("folds", "corpus/folds.parquet")}  # after which all of them would be made anew


def test_a_run_killed_in_every_stage_ends_with_the_same_files(finished, checkout):
    """As if the power were cut at a moment drawn at random in each job of FLEA's chain and in the rest."""
    shutil.copytree(finished[0].folder, checkout.folder, dirs_exist_ok=True)
    results = checkout.folder / "results/demo"
    code, printed = checkout.run(*TARGET, **ROW)
    assert code == 0, printed
    unbroken = files_below(results)
    kill_in_each(checkout, {log: (script, "tables/flea-alone.md") for log, script in CHAIN.items()}, MADE)
    for jobs in (LAST, FOLDS):
        kill_in_each(checkout, jobs, [path for _, path in jobs.values()])
    again = files_below(results)
    assert again.keys() == unbroken.keys()
    assert [path for path in again if again[path] != unbroken[path]] == []


def kill_in_each(checkout, jobs, made):
    """Take away what is `made`, kill a run of each of `jobs` at a moment drawn at random, and let the last run end.

    jobs: {log: (script, what is asked for)}"""
    results, logs, rng = checkout.folder / "results/demo", checkout.folder / "logs/demo", np.random.default_rng(0)
    seconds, killed = {log: told_seconds(logs / f"{log}.log") for log in jobs}, set()
    for path in made:
        shutil.rmtree(results / path) if (results / path).is_dir() else (results / path).unlink()
    for log, (script, path) in jobs.items():
        begun, process = time.time(), checkout.start("--", f"results/demo/{path}", **ROW)
        wait_for(process, logs / f"{log}.log", begun, rng.uniform(0, seconds[log]))
        killed |= {script} & running_scripts(process)
        checkout.kill(process)
        unlock(checkout, by_command=log == next(iter(CHAIN)))
    scripts, targets = (set(column) for column in zip(*jobs.values(), strict=True))
    assert killed == scripts, killed
    code, printed = checkout.run("--", *(f"results/demo/{path}" for path in sorted(targets)), **ROW)
    assert code == 0, printed


def files_below(folder):
    """{path: bytes} of all files, hidden ones too, but for how the run went, which no two have in common, and the
    tables that were taken away and not asked for."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    files = {name: file for name, file in files.items() if not name.startswith("run/")}
    asked = {name: file for name, file in files.items() if not name.startswith("tables/") or "flea-alone" in name}
    return {name: file.read_bytes() for name, file in asked.items()}


def told_seconds(log):
    """About how long a job works once its log is there: it tells whole seconds."""
    return max(0.1, int(re.search(r"done in (\d+) s", log.read_text())[1]) - 0.5)


def wait_for(process, log, begun, seconds):
    """Until `seconds` after a run opened a job's log, or the job is done, if that is sooner."""
    deadline = time.monotonic() + 300
    while not (log.exists() and log.stat().st_mtime > begun):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[0]
        time.sleep(0.01)
    moment = time.monotonic() + seconds
    while time.monotonic() < moment and "done in" not in log.read_text():
        time.sleep(0.01)


def running_scripts(process):
    """The names of the scripts that the jobs of a run are in, which goes no further."""
    os.killpg(process.pid, signal.SIGSTOP)
    jobs = psutil.Process(process.pid).children(recursive=True)
    return {re.search(r"\.(\w+)\.py", " ".join(job.cmdline()))[1] for job in jobs if "scripts" in str(job.cmdline())}


def unlock(checkout, by_command):
    """`snakemake --unlock`, or, which takes no seconds, what it does."""
    if by_command:
        assert checkout.run("--unlock", **ROW)[0] == 0
    else:
        shutil.rmtree(checkout.folder / ".snakemake/locks")
