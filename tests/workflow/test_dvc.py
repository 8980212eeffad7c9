"""DVC over the workflow: a real repository, cache and folder remote, on the demo corpus at its smallest."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from base64 import b64encode
from pathlib import Path

import pytest
import soundfile
import yaml
from tests.conftest import PROJECT, Checkout

from serflow.corpora.demo import synthesise

CORPORA = {"mine": {"overlays": ["config/mine.yaml"], "root": "data/mine", "push_audio": True}}
CONFIG = {
    "corpus": {"name": "mine"},
    "encoders": {"hubert": {"options": {"size": "tiny"}}, "untrained": {"options": {"size": "tiny"}}},
    "units": {"mfcc": {"k": 10}, "generic": {"k": 9, "layer": 1}, "again": None, "emotion": None},
    "pretraining": {"again": None, "emotion": None},
    "pretraining_schedule": {"steps": 6, "batch_seconds": 8, "report_steps": 3},
    "finetuning_schedule": {"steps": 6, "batch_size": 4, "report_steps": 3},
    # No table has hubert-scratch.
    "systems": dict.fromkeys(["hubert-twin", "hubert-frame-labels", "hubert-frame-labels-attention"]),
    "tables": {
        "flea": None,
        "small": {"title": "Small", "rows": {"majority": None, "egemaps-svm": "majority", "hubert-mean": "majority"}},
    },
}
MAKE = "make", "--old-file", ".venv/bin/.ready"  # the environment is the tests' own
BEHIND_UNITS = {"mine-pretraining-mel-hubert-2", "mine-systems-mel-hubert", "mine-tables", "overview"}
BEHIND_CORPUS = BEHIND_UNITS | {
    "mine-corpus", "mine-features", "mine-units-mfcc", "mine-pretraining-mel-hubert", "mine-units-generic",
    "mine-systems-classical",
}  # fmt: skip


class Repository:
    """A git and DVC repository of the project at `folder`, in which commands run as in an activated environment."""

    def __init__(self, folder):
        self.folder = folder
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(folder / "workflow"),
            **{f"GIT_{who}_{what}": "x@y" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }

    @property
    def snakemake(self):
        """The command that makes everything of its corpus."""
        ((_, corpus),) = yaml.safe_load((self.folder / "config" / "corpora.yaml").read_text()).items()
        root = ("--config", f"root={corpus['root']}") if "root" in corpus else ()
        return "snakemake", "--configfile", *corpus["overlays"], *root

    def start(self, *command):
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # what runs in the background ignores it
        )

    def call(self, *command, fails=False):
        process = self.start(*command)
        printed, _ = process.communicate(timeout=900)
        assert bool(process.returncode) == fails, printed
        return printed

    def kill(self, *command, once):
        """End a command as a power cut would, once a path is there."""
        process, deadline = self.start(*command), time.monotonic() + 300
        while not once.exists():
            assert process.poll() is None and time.monotonic() < deadline, process.communicate()[0]
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()

    def save(self):
        self.call("git", "add", "--all")
        self.call("git", "commit", "--quiet", "--message", "a state")

    def make(self, target, fails=False):
        return self.call(*MAKE, target, fails=fails)

    def repro(self, *arguments):
        """The stages that ran."""
        return stages_run(self.call("dvc", "repro", *arguments))

    def status(self):
        """The stages that DVC would run."""
        return set(json.loads(self.call("dvc", "status", "--json").splitlines()[-1]))

    def is_clean(self):
        assert "Nothing to be done" in self.call(*self.snakemake, "--dry-run")
        return self.status() == set()

    def edit(self, path, old, new):
        text = (self.folder / path).read_text()
        assert old in text
        (self.folder / path).write_text(text.replace(old, new, 1))

    def change_corpus(self):
        """One training and test recording says something else."""
        wav = sorted((self.folder / "data" / "mine" / "wav").iterdir())[0]
        samples, rate = soundfile.read(wav, dtype="int16")
        soundfile.write(wav, samples[::-1], rate, subtype="PCM_16")

    def digests(self):
        """{path: digest} of everything below results that both tools see: not of how a run went."""
        files = [path for path in (self.folder / "results").rglob("*") if path.is_file() and "run" not in path.parts]
        return {
            str(path.relative_to(self.folder)): hashlib.md5(path.read_bytes()).hexdigest()  # noqa: S324
            for path in files
            if path.name != ".snakemake_timestamp"
        }


def stages_run(printed):
    return set(re.findall(r"Running stage '([\w-]+)'", printed))


def repository_at(folder, corpora):
    """A repository of the project in which nothing has run."""
    repository = Repository(Checkout(folder).folder)
    (folder / ".dvc").mkdir()
    for name in (".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore", "Makefile"):
        shutil.copy(PROJECT / name, folder / name)
    (folder / "config" / "corpora.yaml").write_text(yaml.safe_dump(corpora))
    repository.call("git", "init", "--quiet", "--initial-branch", "main")
    return repository


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A repository in which `dvc repro` has made everything from nothing, through an interruption."""
    repository = repository_at(tmp_path_factory.mktemp("dvc") / "project", CORPORA)
    speech, configuration = repository.folder / "data" / "mine", repository.folder / "config" / "mine.yaml"
    synthesise(speech, speakers=6, sentences=2, emotions=("neutral", "anger", "sadness"))
    configuration.write_text(yaml.safe_dump(CONFIG))
    store = repository.folder.with_name("store")
    repository.call("dvc", "remote", "add", "--default", "store", str(store))
    ran, process = set(), repository.start(*MAKE, "tables")
    for line in process.stdout:
        ran |= stages_run(line)
        if "mine-pretraining-mel-hubert" in ran and "Provided cores" in line:
            break
    time.sleep(2)  # both its jobs have begun
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode != 0
    assert ran | stages_run(repository.make("tables")) == BEHIND_CORPUS | {"mine-plan"}
    repository.save()
    return repository


@pytest.fixture
def repository(first, tmp_path):
    """A copy of it, to be changed."""
    return Repository(shutil.copytree(first.folder, tmp_path / "project", symlinks=True))


def test_after_dvc_repro_neither_tool_has_anything_to_do(first):
    assert first.is_clean()
    assert first.repro() == set()
    assert not (first.folder / "results" / "mine" / "systems" / "hubert-scratch").exists()
    page = (first.folder / "results" / "README.md").read_text()
    assert "## mine" in page and "### Small" in page and "eGeMAPS + linear SVM" in page


def test_a_clone_is_restored_and_neither_tool_has_anything_to_do(first, tmp_path):
    first.call("dvc", "push")
    clone = Repository(tmp_path / "clone")
    first.call("git", "clone", "--quiet", ".", str(clone.folder))
    shutil.copytree(first.folder / "data", clone.folder / "data")
    clone.kill("serflow", "restore", once=clone.folder / "results" / "mine" / "features")
    printed = clone.make("restore")
    assert "done in" not in printed and "No longer fitting" not in printed
    assert clone.is_clean()
    assert clone.digests() == first.digests()
    assert clone.call("git", "status", "--porcelain", "--untracked-files=no") == ""


def test_a_damaged_remote_and_what_was_not_recorded_are_told(first, tmp_path):
    first.call("dvc", "push")
    clone = Repository(tmp_path / "clone")
    first.call("git", "clone", "--quiet", ".", str(clone.folder))
    shutil.copytree(first.folder / "data", clone.folder / "data")
    store = shutil.copytree(first.folder.with_name("store"), tmp_path / "store")
    clone.call("dvc", "remote", "modify", "store", "url", str(store))
    digest = first.digests()["results/mine/fold-0/seed-0/ssl/first/model.safetensors"]
    file = store / "files" / "md5" / digest[:2] / digest[2:]
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    printed = clone.make("restore", fails=True)
    assert "results/mine/fold-0/seed-0/ssl/first/model.safetensors, is damaged" in printed
    units = clone.folder / "results" / "mine" / "fold-0" / "seed-0" / "units" / "generic" / "units.arrow"
    assert not units.exists()

    (clone.folder / ".dvc" / "cache" / "files" / "md5" / digest[:2] / digest[2:]).unlink()
    clone.call("dvc", "remote", "modify", "store", "url", str(first.folder.with_name("store")))
    units.parent.mkdir(parents=True)
    units.write_bytes(b"made by Snakemake alone")
    printed = clone.make("restore", fails=True)
    assert "has not recorded would be lost" in printed and "cloud" not in printed


def test_what_no_longer_fits_is_not_blessed_by_restoring(repository):
    repository.call("dvc", "push")
    repository.edit("config/mine.yaml", "k: 9", "k: 7")
    printed = repository.call("serflow", "restore")
    told = printed.split("No longer fitting, to be made anew by `dvc repro`: ")[1].strip()
    assert set(told.split(", ")) == BEHIND_UNITS | {"mine-plan", "mine-units-generic"}
    planned = repository.call(*repository.snakemake, "--dry-run")
    assert "cluster" in planned and "corpus" not in planned.split("Job stats:")[1].split("Reasons:")[0]


def test_speech_goes_to_no_remote_unless_told(repository, tmp_path):
    (repository.folder / "config" / "corpora.yaml").write_text(
        yaml.safe_dump({"mine": {key: CORPORA["mine"][key] for key in ("overlays", "root")}})
    )
    repository.call("serflow", "plan")
    assert repository.repro() == {"mine-plan"}
    repository.call("dvc", "remote", "modify", "store", "url", str(tmp_path / "other"))
    repository.call("dvc", "push")
    stored = {path.parent.name + path.name for path in (tmp_path / "other").rglob("*") if path.is_file()}
    digests = repository.digests()
    assert digests["results/mine/features/fbank.arrow"] in stored
    assert digests["results/mine/corpus/audio.arrow"] not in stored
    repository.save()

    clone = Repository(tmp_path / "clone")
    repository.call("git", "clone", "--quiet", ".", str(clone.folder))
    clone.call("dvc", "pull", "--allow-missing")
    assert {path for path in digests if path not in clone.digests()} == {"results/mine/corpus/audio.arrow"}
    assert "is no folder" in clone.call("serflow", "restore", fails=True)
    shutil.copytree(repository.folder / "data", clone.folder / "data")
    clone.call("serflow", "restore")
    assert clone.is_clean() and clone.digests() == digests


def test_an_experiment_computes_what_the_changed_line_touches(first, repository):
    printed = repository.call("dvc", "exp", "run", "--name", "fewer", "-S", "config/mine.yaml:units.generic.k=6")
    ran = stages_run(printed)
    assert {"mine-plan", "mine-units-generic"} <= ran <= BEHIND_UNITS | {"mine-plan", "mine-units-generic"}
    assert {"mine-pretraining-mel-hubert-2", "mine-systems-mel-hubert"} <= ran
    assert repository.is_clean()
    assert "fewer" in repository.call("dvc", "exp", "show", "--csv")
    changed = repository.call("dvc", "metrics", "diff", "--md")
    assert "results/mine/fold-0/seed-0/units/generic/quality.json" in changed
    assert "units/mfcc" not in changed and "objective" in changed
    repository.call("dvc", "plots", "diff", "HEAD", "--out", "plots")
    assert "hubert-mean-confusion.png" in (repository.folder / "plots" / "index.html").read_text()
    repository.call("git", "restore", ".")
    repository.call("serflow", "restore")
    assert repository.is_clean() and repository.digests() == first.digests()


def test_a_changed_module_touches_what_uses_it(repository):
    repository.edit("workflow/serflow/clustering.py", "import numpy", "import math  # noqa\nimport numpy")
    repository.call("serflow", "plan", "mine")
    assert repository.status() == {"mine-plan", "mine-units-mfcc", "mine-units-generic"}
    repository.call("git", "checkout", "--", "workflow")
    repository.edit("workflow/serflow/evaluation/metrics.py", "import numpy", "import math  # noqa\nimport numpy")
    assert repository.repro() == {"mine-plan", "mine-tables"}
    assert repository.is_clean()


def test_snakemake_alone_makes_the_same_and_is_committed(repository):
    made, results = repository.digests(), repository.folder / "results"
    kept = {results / "mine" / name for name in ("corpus", "features", "fold-0", "run")}
    others = [path for folder in (results, results / "mine") for path in folder.iterdir() if path != results / "mine"]
    forgotten = [repository.folder / name for name in ("dvc.lock", ".dvc/tmp", ".dvc/cache")]
    for path in {*others, *forgotten} - kept:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert "are to be run" in repository.make("commit-artifacts", fails=True)
    repository.call(*repository.snakemake)
    repository.kill("serflow", "commit", once=repository.folder / ".dvc" / "cache" / "files")
    (repository.folder / ".dvc" / "tmp" / "rwlock").write_text('{"write":')  # as DVC is found now and then
    (repository.folder / "results" / "mine" / "features" / ".hdewgjom_7ZPXega5trxsg.tmp").touch()
    repository.make("commit-artifacts")
    assert repository.is_clean()
    assert repository.digests() == made


def test_a_changed_recording_runs_all_that_heard_it(repository):
    repository.change_corpus()
    assert "mine-corpus" in repository.status()
    planned = repository.call(*repository.snakemake, "--dry-run").split("Job stats:")[1].split("total")[0]
    counts = dict(re.findall(r"^(\w+) +(\d+)$", planned, re.MULTILINE))
    assert {"corpus": "1", "cluster": "4", "pretrain": "4", "finetune": "2"}.items() <= counts.items()


def test_copies_of_the_cache_let_a_changed_corpus_be_seen(repository):
    """With links, of which `serflow doctor` warns, an output may be newer than its changed input once unprotected."""
    repository.call("dvc", "config", "cache.type", "reflink,copy")
    repository.call("dvc", "checkout", "--relink")
    before = repository.digests()
    repository.change_corpus()
    repository.repro("mine-features")
    after = repository.digests()
    for changed in ("results/mine/corpus/audio.arrow", "results/mine/features/fbank.arrow"):
        assert before[changed] != after[changed]


def test_a_half_written_artifact_is_not_committed(repository):
    half = b64encode(b"results/mine/fold-0/seed-0/units/generic/units.arrow").decode()
    (repository.folder / ".snakemake" / "incomplete").mkdir(exist_ok=True)
    (repository.folder / ".snakemake" / "incomplete" / half).touch()  # as Snakemake marks it while its job runs
    assert "are to be run" in repository.call("serflow", "commit", fails=True)


def test_a_damaged_cache_file_is_named(repository):
    assert "DVC's cache" not in repository.make("verify")
    digest = repository.digests()["results/mine/systems/hubert-mean/fold-0/seed-0/model/model.safetensors"]
    cache = repository.folder / ".dvc" / "cache" / "files" / "md5"
    file = cache / digest[:2] / digest[2:]
    mode, content = file.stat().st_mode, bytearray(file.read_bytes())
    file.chmod(0o644)
    content[100] ^= 1
    file.write_bytes(content)
    file.chmod(mode)
    missing = ["results/mine/features/fbank.arrow", "results/mine/fold-0/seed-0/ssl/first/model.safetensors"]
    for path in missing:
        lost = repository.digests()[path]
        (cache / lost[:2] / lost[2:]).unlink()
    printed = repository.make("verify", fails=True)
    assert f"{file}, which holds results/mine/systems/hubert-mean/fold-0/seed-0/model/model.safetensors" in printed
    assert all(f"{path} is missing" in printed for path in missing)


def test_dvc_stops_where_its_stages_no_longer_fit(repository):
    repository.edit(
        "config/mine.yaml",
        "hubert-frame-labels: null",
        "hubert-frame-labels: {title: x, method: classifier, encoder: generic}",
    )
    repository.edit(
        "config/mine.yaml", "egemaps-svm: majority", "egemaps-svm: majority\n      hubert-frame-labels: null"
    )
    printed = repository.call("dvc", "repro", fails=True)
    assert "dvc.yaml does not fit the configuration any more (stage mine-systems-mel-hubert)" in printed


def test_a_corpus_plan_reads_its_overlays_wherever_they_lie(repository):
    (repository.folder / "config" / "mine.yaml").rename(repository.folder / "mine.yaml")
    corpora = {"mine": CORPORA["mine"] | {"overlays": ["mine.yaml"]}}
    (repository.folder / "config" / "corpora.yaml").write_text(yaml.safe_dump(corpora))
    repository.call("serflow", "plan")
    repository.call("dvc", "commit", "--force")
    assert repository.status() == set()
    repository.edit("mine.yaml", "k: 9", "k: 7")
    assert repository.status() == {"mine-plan"}


def test_an_encoder_that_lies_in_a_folder_named_checkpoints_is_seen(repository):
    shutil.copytree(
        repository.folder / "results/mine/fold-0/seed-0/ssl/first", repository.folder / "data/checkpoints/first"
    )
    repository.edit("config/mine.yaml", "hubert:\n    options:\n      size: tiny", "hubert: data/checkpoints/first")
    repository.call("serflow", "plan")
    repository.call("dvc", "commit", "--force")
    assert repository.status() == set()
    repository.edit("data/checkpoints/first/config.json", "{", "{ ")
    assert repository.status() == {"mine-pretraining-mel-hubert"}


@pytest.mark.parametrize(("listed", "named"), [("mine", "mine-two"), ("mine.1", "mine.1")])
def test_a_name_that_would_mix_up_corpora_is_refused(tmp_path, listed, named):
    repository = Repository(Checkout(tmp_path / "project").folder)
    (repository.folder / "config" / "two.yaml").write_text(f"corpus: {{name: {named}}}")
    (repository.folder / "config" / "corpora.yaml").write_text(
        yaml.safe_dump({listed: {"overlays": ["config/two.yaml"]}})
    )
    printed = repository.call("serflow", "plan", fails=True)
    assert printed.startswith("serflow: config/corpora.yaml") and "name" in printed


def test_the_committed_stages_are_those_of_the_workflow(tmp_path):
    repository = Repository(Checkout(tmp_path / "project").folder)
    repository.call("serflow", "plan")
    assert (repository.folder / "dvc.yaml").read_text() == (PROJECT / "dvc.yaml").read_text()
