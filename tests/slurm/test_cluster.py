"""The whole chain on a real SLURM: a node that dies, jobs that are ended, and the tables of a run on this machine."""

import contextlib
import os
import re
import shutil
import signal
from pathlib import Path

import psutil
import pytest
import yaml
from tests.conftest import PAPERS, PROJECT, TINY
from tests.workflow.test_dvc import Repository, repository_at

CORPORA = {"demo": {"overlays": [*(f"config/{path.name}" for path in PAPERS), "config/tiny.yaml"]}}
SCHEDULE = {"steps": 400, "checkpoint_steps": 20, "report_steps": 20}
LONG = {"pretraining": {"intense-spans": {"schedule": SCHEDULE}}}
TARGET = "results/demo/fold-0/seed-0/ssl/intense-spans/model.safetensors"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A repository in which nothing has run: all papers at their smallest."""
    repository = repository_at(tmp_path_factory.mktemp("slurm") / "project", CORPORA)
    shutil.copy(TINY, repository.folder / "config" / "tiny.yaml")
    (repository.folder / "config" / "long.yaml").write_text(yaml.safe_dump(LONG))
    shutil.copy(PROJECT / "pyproject.toml", repository.folder)
    return repository


@pytest.fixture(scope="module")
def local(prepared):
    """A copy of it in which everything has run on this machine."""
    copy = Repository(shutil.copytree(prepared.folder, prepared.folder.with_name("local")))
    copy.call(*copy.snakemake, "--cores", "2")
    return copy


def test_a_run_that_loses_a_node_ends_in_the_tables_of_a_local_run(prepared, local, cluster, submit):
    run = submit(prepared, prepared.snakemake)
    (number,) = run.until(lambda: run.running("pretrain"))[:1]
    node = run.jobs()[number]["NodeList"]
    cluster.kill_node(node)
    run.until(lambda: cluster.states()[node].startswith("down"))
    cluster.start_node(node)
    printed = run.ends()

    jobs = run.jobs()
    assert {job["JobState"] for job in jobs.values()} == {"COMPLETED"}
    assert jobs[number]["Restarts"] == "1"
    assert {job["NodeList"] for job in jobs.values()} == {"node1", "node2"}
    assert jobs[number]["TresPerJob"] == "gres:gpu:1" and jobs[number]["NumTasks"] == "1"
    assert any(job.get("ArrayTaskId") for job in jobs.values() if job["Comment"].startswith("rule_cluster"))
    submissions = {job.get("ArrayJobId", number) for number, job in jobs.items()}
    made = int(re.search(r"^total +(\d+)", printed, re.MULTILINE)[1])
    assert len(submissions) < 0.75 * made, f"{made} jobs took {len(submissions)} submissions"

    files = {path.relative_to(local.folder): path for path in local.folder.glob("results/demo/tables/*")}
    assert len(files) >= 20
    assert [name for name, path in files.items() if (prepared.folder / name).read_bytes() != path.read_bytes()] == []


def test_what_a_cluster_made_is_committed_and_neither_tool_has_anything_to_do(prepared):
    if not (prepared.folder / "results/demo/tables/flea.md").exists():
        pytest.skip("the run on the cluster did not end")
    prepared.make("commit-artifacts")
    assert prepared.is_clean()


@pytest.fixture
def reference(local):
    """A function that begins a run on this machine, which ends with the test."""
    runs = []

    def begun(*command):
        runs.append(local.start(*command))
        return runs[-1]

    yield begun
    for run in runs:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
        run.wait()


def test_a_training_comes_again_with_more_memory_and_time_and_goes_on_after_sigterm_and_requeue(
    local, cluster, submit, reference
):
    """On two GPUs, which two processes would use: out of memory, out of time, then cancelled, then put back into the
    queue."""
    long = (*local.snakemake, "config/long.yaml", "--set-resources", "pretrain:gpu=2")
    long += ("pretrain:mem_mb=min(300*20**(attempt-1),6000)", "pretrain:runtime=max(1,20*(attempt-2))")
    long += ("pretrain:slurm_extra='--nice=0'",)  # no signal before the time is up
    there = Repository(shutil.copytree(local.folder, local.folder.with_name("requeued"), symlinks=True))
    run = submit(there, (*long, "--", TARGET))
    undisturbed = reference(*long, "--cores", "1", "--", TARGET)
    checkpoints = (there.folder / TARGET).parent.with_name("intense-spans.checkpoints")
    seen = set()

    def training():
        """The number of the job whose training has written a checkpoint of its own, and those that it has."""
        written = {file.parent.name for file in checkpoints.glob("checkpoint-*/trainer_state.json")}
        return (*run.running("pretrain"), written) if written - seen and run.running("pretrain") else None

    slow, seen = run.until(training)
    stop_processes(there)  # so that it takes no processor time until its time is up
    run.until(lambda: run.jobs()[slow]["JobState"] == "TIMEOUT")
    seen |= {path.name for path in checkpoints.glob("checkpoint-*")}
    cancelled, seen = run.until(training)
    assert "going on from step" in log(there)
    cluster.call("scancel", "--signal=TERM", cancelled)
    run.until(lambda: run.jobs()[cancelled]["JobState"] == "FAILED")
    seen |= {path.name for path in checkpoints.glob("checkpoint-*")}
    requeued, seen = run.until(training)
    assert "going on from step" in log(there)
    cluster.call("scontrol", "requeue", requeued)
    run.until(lambda: run.jobs()[requeued]["Restarts"] == "1" and run.jobs()[requeued]["JobState"] == "RUNNING")
    run.ends()

    jobs = [job for job in run.jobs().values() if job["Comment"].startswith("rule_pretrain")]
    assert [job["JobState"] for job in jobs] == ["FAILED", "TIMEOUT", "FAILED", "COMPLETED"]
    assert [job["MinMemoryNode"] for job in jobs] == ["300M", "6000M", "6000M", "6000M"]
    assert [job["TimeLimit"] for job in jobs] == ["00:01:00", "00:01:00", "00:20:00", "00:40:00"]
    assert "exceeded memory limit" in Path(jobs[0]["StdOut"]).read_text()
    assert all(job["TresPerJob"] == "gres:gpu:2" and job["NumTasks"] == "1" for job in jobs)
    assert "going on from step" in log(there) and not checkpoints.exists()
    assert undisturbed.wait(timeout=600) == 0, undisturbed.communicate()[0]
    assert (there.folder / TARGET).read_bytes() == (local.folder / TARGET).read_bytes()


def stop_processes(repository):
    """Those of the trainings in it, until somebody tells them to go on."""
    for process in psutil.process_iter(["cmdline", "cwd"]):
        told = process.info
        if told["cwd"] == str(repository.folder) and any(".pretrain.py" in word for word in told["cmdline"] or ()):
            process.suspend()


def log(repository):
    return (repository.folder / "logs/demo/fold-0/seed-0/pretrain-intense-spans.log").read_text()


def test_doctor_asks_the_cluster(prepared, cluster, tmp_path):
    prepared.environment |= cluster.variables
    doctor = "serflow", "doctor", *prepared.snakemake[1:], "--profile"
    told = prepared.call(*doctor, "profiles/slurm", fails=True)  # its nodes have one core here
    assert "is UP" in told and "sbatch takes nothing but a core (" in told
    assert "sbatch refuses gpu 1, threads 4 (" in told and "mend profiles/slurm" in told
    profile = yaml.safe_load((PROJECT / "profiles/slurm/config.yaml").read_text()) | {"set-threads": {}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(profile, sort_keys=False))
    told = prepared.call(*doctor, str(tmp_path))
    assert (
        "sbatch takes gpu 1 (train_intensity, intensity, embed, cluster, pretrain, finetune, splice_frames, stress)"
        in told
    )
    profile["default-resources"] |= {"slurm_partition": "elsewhere"}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(profile, sort_keys=False))
    told = prepared.call(*doctor, str(tmp_path), fails=True)
    assert "sbatch refuses slurm_partition elsewhere" in told and "nvalid partition" in told
