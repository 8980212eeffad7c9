"""GPUs are lent to one process at a time: made-up ones, since only their names matter here."""

import multiprocessing
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from serflow import devices
from serflow.errors import UserError

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture(autouse=True)
def two_gpus(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-b")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(devices.tempfile, "tempdir", None)


def work(folder, count, rounds):
    """Uses its GPUs for a moment, `rounds` times; a file that is there already is another's use of the same GPU."""
    devices.PATIENCE = 0.002
    for _ in range(rounds):
        with devices.lent(count) as names:
            assert os.environ["CUDA_VISIBLE_DEVICES"] == ",".join(names)
            for name in names:
                (folder / name).touch(exist_ok=False)
            time.sleep(0.002)
            for name in names:
                (folder / name).unlink()
        with (folder / "log").open("a") as log:
            log.write(f"{len(names)}\n")


def test_jobs_never_share_a_gpu_and_those_that_want_both_get_them_too(tmp_path):
    used = tmp_path / "used"
    used.mkdir()
    jobs = [SPAWN.Process(target=work, args=(used, count, 40)) for count in (1, 1, 1, 2, 2)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(120)
    assert [job.exitcode for job in jobs] == [0] * 5
    assert sorted((used / "log").read_text().split()) == ["1"] * 120 + ["2"] * 80


def hold(pipe):
    with devices.lent(1) as names:
        pipe.send(names)
        pipe.recv()


def holding():
    """(process that has asked for a GPU, end of its pipe)"""
    here, there = SPAWN.Pipe()
    process = SPAWN.Process(target=hold, args=(there,), daemon=True)
    process.start()
    return process, here


def test_a_third_job_waits_for_its_turn_and_a_dead_ones_gpu_is_free_again(capsys):
    (first, one), (second, two) = holding(), holding()
    (name,), (other,) = one.recv(), two.recv()
    assert {name, other} == {"3", "GPU-b"}
    third, three = holding()
    assert not three.poll(3)  # which is longer than the first two took to start
    first.kill()
    assert three.poll(30) and three.recv() == [name]
    two.send("done")
    second.join(30)
    with devices.lent(1) as names:
        assert names == [other] and third.is_alive()
    three.send("done")
    third.join(30)
    assert second.exitcode == third.exitcode == 0


def test_more_than_there_are_are_refused_none_hides_all_and_the_environment_comes_back():
    with pytest.raises(UserError, match="is to use 3 GPUs and sees 2: lower its resource gpu"), devices.lent(3):
        pass
    with devices.lent(0) as names:
        assert names == [] and os.environ["CUDA_VISIBLE_DEVICES"] == ""
    with devices.lent(2):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "3,GPU-b"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3,GPU-b"


@pytest.mark.parametrize(("named", "names"), [("", []), ("-1", []), ("1,-1,2", ["1"]), (" 0, 1", ["0", "1"])])
def test_the_list_is_read_as_cuda_reads_it(monkeypatch, named, names):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert devices.visible() == names


def test_without_gpus_nothing_is_lent(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with devices.lent(2) as names:
        assert names == []


def test_what_slurm_allots_is_lent_inside_the_job(monkeypatch, tmp_path):
    with devices.lent(2):
        monkeypatch.setenv("SLURM_JOB_ID", "7")  # whose GPUs are numbered from 0 again
        with devices.lent(2) as names:
            assert names == ["3", "GPU-b"]
    folders = sorted(tmp_path.glob("serflow-gpus-*"))
    assert [folder.name for folder in folders] == [f"serflow-gpus-{os.getuid()}{job}" for job in ("", "-7")]
    assert all(stat.S_IMODE(folder.stat().st_mode) == 0o700 for folder in folders)


def test_a_folder_of_another_user_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"serflow-gpus-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="is another user's: set TMPDIR"), devices.lent(1):
        pass


def test_no_script_uses_cuda_before_it_has_a_gpu():
    """CUDA reads the list once: what a script imports must not ask for GPUs."""
    code = """
import ast, importlib, pathlib, sys
import torch
def asked(*_): raise SystemExit("CUDA is used")
torch._C._cuda_getDeviceCount = torch._C._cuda_init = asked
for script in pathlib.Path(sys.argv[1]).glob("*.py"):
    for node in ast.parse(script.read_text()).body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for name in [node.module] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names]:
                importlib.import_module(name)
"""
    environment = {**os.environ, "PYTHONPATH": f"{SCRIPTS}{os.pathsep}{SCRIPTS.parent}"}
    ended = subprocess.run([sys.executable, "-c", code, SCRIPTS], env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
