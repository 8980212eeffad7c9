"""A SLURM of two nodes, and Snakemake run on it with the profile that ships."""

import importlib.util
import os
import subprocess
import sys
import time

import pytest
from tests.conftest import PROJECT

# Nodes of one core: two jobs at a time, as many as the gate's machine has cores. GPUs are asked for all the same.
RULES = ("corpus", "utterance_features", "cluster", "pretrain", "finetune", "splice_frames", "stress")
PROFILE = (
    *("--profile", "profiles/slurm", "--slurm-init-seconds-before-status-checks", "2"),
    *("--set-threads", *(f"{rule}=1" for rule in RULES)),
)


@pytest.fixture(scope="session")
def cluster():
    file = PROJECT / "profiles" / "slurm" / "two_nodes.py"
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    lacking = module.lacks()
    if lacking:
        pytest.skip(lacking)
    with module.two_nodes(cores=1) as running:
        yield running


class Submitted:
    """A run of Snakemake in the background, by a `command` in a `repository`, whose jobs go to `cluster`."""

    def __init__(self, cluster, repository, command):
        self.cluster, self.folder, self.others = cluster, repository.folder, cluster.jobs().keys()
        self.environment = {**repository.environment, **cluster.variables}
        with (self.folder / "printed.txt").open("w") as printed:
            self.process = subprocess.Popen(
                [sys.executable, "-m", command[0], *PROFILE, *command[1:]],
                cwd=self.folder,
                env=self.environment,
                stdout=printed,
                stderr=printed,
                start_new_session=True,
            )

    def jobs(self):
        """{SLURM's number of a job, or of a step of an array: what `scontrol` tells of it} of this run."""
        return {number: told for number, told in self.cluster.jobs().items() if number not in self.others}

    def running(self, rule):
        """The numbers of its jobs of a rule that run."""
        return [
            number
            for number, job in self.jobs().items()
            if job["JobState"] == "RUNNING" and job["Comment"].startswith(f"rule_{rule}")
        ]

    def until(self, happened, seconds=300):
        """What `happened()` returns, once that is something; the run must go on until then."""
        deadline = time.monotonic() + seconds
        while not (found := happened()):
            assert self.process.poll() is None and time.monotonic() < deadline, self.told()
            time.sleep(0.2)
        return found

    def ends(self):
        """Waits for it; what it printed. It must end well."""
        assert self.process.wait(timeout=1800) == 0, self.told()
        return (self.folder / "printed.txt").read_text()

    def told(self):
        """What it and its jobs printed."""
        files = [self.folder / "printed.txt", *self.folder.glob(".snakemake/slurm_logs/**/*.log")]
        return "\n".join(f"{file}:\n{file.read_text(errors='replace')[-3000:]}" for file in files)

    def stop(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, 9)
            self.process.wait()
            self.cluster.call("scancel", "--user=root")


@pytest.fixture
def submit(cluster):
    """A function that submits a run, which ends with the test."""
    runs = []

    def submitted(*told):
        runs.append(Submitted(cluster, *told))
        return runs[-1]

    yield submitted
    for run in runs:
        run.stop()
