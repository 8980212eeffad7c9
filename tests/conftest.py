"""A copy of the project in a temporary folder, and Snakemake run in it as a user would."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

os.environ["OMP_NUM_THREADS"] = "1"  # as many processes test as there are cores: more threads would wait in turns
settings.register_profile("serflow", deadline=None)  # how busy the machine is decides no test
settings.register_profile("fuzz", deadline=None, max_examples=2500)  # of `make fuzz`
settings.load_profile("serflow")

PROJECT = Path(__file__).parents[1]
TINY = PROJECT / "tests" / "workflow" / "tiny.yaml"
PAPERS = [PROJECT / "config" / f"{name}.yaml" for name in ("ems", "tf-transformer", "dsnet", "gemo-clap")]
SHARING = {  # modules whose tests take something that is made once
    "finished": ("test_dag", "test_leak", "test_predict", "test_sixth_paper", "test_killed", "test_report"),
    "page": ("test_page",),
    "repository": ("test_dvc",),
}


class Scheduling(LoadScopeScheduling):
    """Every test is for whichever process is free, but those that share something are for one, and come first.

    By files, for the groups that pytest-xdist 3.8 has get lost under pytest 9.2.
    """

    def _split_scope(self, nodeid):
        module = Path(nodeid.partition("::")[0]).stem
        return next((shared for shared, modules in SHARING.items() if module in modules), nodeid)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.parent.name == "unit")  # short ones last: all processes end together


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return Scheduling(config, log)


class Checkout:
    """`folder`: the copy. Its runs use the tiny configuration of all papers unless told otherwise."""

    def __init__(self, folder):
        self.folder = folder
        for name in ("workflow", "config", "profiles", "envs"):
            shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(PROJECT / "Snakefile", folder)

    def start(self, *arguments, configfile=TINY, **config):
        """Snakemake in the background, with `config` laid over `configfile`."""
        extra = self.folder / "extra.yaml"
        extra.write_text(yaml.safe_dump(config))
        files = [*(PAPERS if configfile == TINY else []), configfile, extra]
        command = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", *files, *arguments]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": ""},
            start_new_session=True,
        )

    def run(self, *arguments, **options):
        """(exit code, everything printed)"""
        process = self.start(*arguments, **options)
        try:
            printed, _ = process.communicate(timeout=900)
        finally:
            self.kill(process)
        return process.returncode, printed

    def kill(self, process):
        """End a run and all its jobs at once, as a power cut would."""
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def planned(self, **config):
        """The rules that would run, with how many jobs each."""
        code, printed = self.run("--dry-run", **config)
        assert code == 0, printed
        if "Job stats:" not in printed:
            assert "Nothing to be done" in printed
            return {}
        table = printed.split("Job stats:")[-1].split("\n\n")[0].splitlines()[3:]
        return {rule: int(count) for rule, count in map(str.split, filter(str.strip, table)) if rule != "total"}

    def edit(self, path, old, new):
        file = self.folder / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1))

    def tables(self):
        """{path: bytes} of everything that is committed or compared."""
        files = self.folder.glob("results/*/tables/*")
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in files}


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path / "project")


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A checkout in which everything has run, and what the run printed. Tests must leave its code as they find it."""
    project = Checkout(tmp_path_factory.mktemp("finished") / "project")
    code, printed = project.run()
    assert code == 0, printed
    return project, printed
