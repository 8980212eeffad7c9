import re
import shutil
import sys
from collections import Counter, namedtuple

import numpy as np
import pytest
import soundfile
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import PAPERS, PROJECT, TINY

from serflow import cli
from serflow.doctor import _findings, jobs, machine
from serflow.doctor.findings import ERROR, OK, WARNING, Run
from serflow.doctor.inputs import configuration, corpus
from serflow.doctor.scheduler import scheduler

EMODB = ["--configfile", "config/emodb.yaml", "--config"]


@pytest.fixture
def project(checkout, monkeypatch):
    shutil.copy(PROJECT / "pyproject.toml", checkout.folder)
    monkeypatch.chdir(checkout.folder)
    return checkout


def told(*checks, configfiles=(), config=()):
    """Every (mark, sentence) of `checks`, up to the first error, and the run."""
    run, found = Run(list(configfiles), list(config), cores=2), []
    for check in checks:
        found += _findings(check, run)
        if found[-1][0] == ERROR:
            break
    return found, run


def overlay(folder, **config):
    (folder / "over.yaml").write_text(yaml.safe_dump(config))


def emodb(root, speakers, emotions="WN", texts=("a01", "b02")):
    (root / "wav").mkdir(parents=True)
    for number, (speaker, emotion, text) in enumerate((s, e, t) for s in speakers for e in emotions for t in texts):
        noise = np.random.default_rng(number).normal(0, 0.1, 8000)
        soundfile.write(root / "wav" / f"{speaker}{text}{emotion}a.wav", noise, 16000)
    return root


def test_a_healthy_demo(project, capsys):
    assert cli.main(["doctor", "--cores", "2", "--configfile", *map(str, PAPERS), str(TINY)]) == 0
    printed = capsys.readouterr().out
    assert "36 utterances of 6 speakers (12 anger, 12 neutral, 12 sadness)" in printed
    assert "trainings of" in printed and "will be written" in printed and "error" not in printed
    assert sorted(path.name for path in project.folder.iterdir() if path.name in ("results", "logs")) == []
    (line,) = [line for line in printed.splitlines() if " jobs: " in line]
    rules = {rule: int(count) for count, rule in map(str.split, line.partition(": ")[2].split(", "))}
    assert rules | {"all": 1} == project.planned()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (EMODB[:2], "root is not set"),
        ([*EMODB, "root=nowhere"], "nowhere', which is no folder"),
        (["--config", "folds={cuont: 3}"], "did you mean 'count'?"),
        (["--config", "folds"], "folds cannot be read"),
        (["--configfile", "config/mine.yaml"], "config/mine.yaml cannot be read"),
        (["--config", "corpus={options: {speakers: many}}"], "corpus.options of the demo corpus"),
        (["--config", "corpus={options: {speaker: 3}}"], "'speaker'"),
        (["--config", "folds={count: two}"], "'two' is not of type 'integer'"),
    ],
)
def test_errors_end_it_with_one_sentence(project, capsys, arguments, sentence):
    assert cli.main(["doctor", *arguments]) == 1
    printed = capsys.readouterr().out
    (line,) = [line for line in printed.splitlines() if line.startswith("  error ")]
    assert sentence in line and "1 to mend" in printed


def test_a_template_is_refused_before_its_code_is_run(project, capsys):
    (project.folder / "over.yaml").write_text("__use_yte__: true\nseeds: [\"?open('ran', 'w')\"]\n")
    assert cli.main(["doctor", "--configfile", "over.yaml"]) == 1
    assert "over.yaml is a template" in capsys.readouterr().out and not (project.folder / "ran").exists()


def test_outside_of_a_project(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["doctor"]) == 1
    assert "call serflow in the project's folder" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--help"], ["doctor", "--help"], ["doctor", "--cores", "some"], []])
def test_help_and_usage(capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == (0 if "--help" in arguments else 2)
    printed = capsys.readouterr()
    assert ("doctor" in printed.out and "disk" in printed.out) or "usage: serflow" in printed.err


def test_configuration_is_merged_as_snakemake_does(project):
    overlay(project.folder, folds={"count": 4}, seeds=[1, 2])
    files, config = ["config/emodb.yaml", "over.yaml"], ["seeds=[]", "root=.", "corpus={name: mine}"]
    found, run = told(configuration, configfiles=files, config=config[1:])
    assert {mark for mark, _ in found} == {OK}
    assert run.config["folds"]["count"] == 4 and run.config["folds"]["validation_speakers"] == 2
    assert run.config["corpus"]["name"] == "mine" and run.config["seeds"] == [1, 2]
    assert told(configuration, configfiles=files, config=config)[0][-1][0] == ERROR


def test_too_few_speakers_and_missing_files(project, tmp_path):
    root = emodb(tmp_path / "speech", ["03", "08", "09", "10"])
    config = [f"root={root}"]
    found, _ = told(configuration, corpus, configfiles=["config/emodb.yaml"], config=config)
    assert found[-1][0] == ERROR and "has 4 speakers, too few" in found[-1][1]
    overlay(project.folder, folds={"count": 2, "validation_speakers": 1})
    files = ["config/emodb.yaml", "over.yaml"]
    found, run = told(configuration, corpus, configfiles=files, config=config)
    assert run.speech["utterances"] == 16
    assert all(mark == OK or " expected, " in text or " be resolved: " in text for mark, text in found)
    assert (
        WARNING,
        "table flea: 2 folds, 1 seed: no difference of methods can be resolved: raise folds.count.",
    ) in found
    assert (WARNING, "Corpus emodb: 535 utterances expected, 16 found") in found
    overlay(project.folder, folds={"count": 4}, seeds=[1, 2], tables={"flea": {"claims": ["hubert-mean"]}})
    again, _ = told(configuration, corpus, configfiles=files, config=config)
    (design,) = [text for mark, text in again if mark == OK and text.startswith("table flea: 4 folds, 2 seeds: ")]
    assert re.fullmatch(r".* from about \d\d points on are resolved 4 times in 5 \(1 claim\)", design)
    assert run.speech["mean"] == pytest.approx(0.5)
    for path in (root / "wav").iterdir():
        path.write_bytes(b"RIFF, but no more")
    found, _ = told(configuration, corpus, configfiles=files, config=config)
    assert any(mark == ERROR and "files tried are unusable" in text for mark, text in found)


def test_what_the_corpus_stage_would_find_is_told_before(project, tmp_path):
    root = emodb(tmp_path / "speech", ["03", "08", "09", "10", "11", "12"])
    shutil.copy(root / "wav" / "03a01Wa.wav", root / "wav" / "03a02Wa.wav")
    shutil.copy(root / "wav" / "08a01Wa.wav", root / "wav" / "13a01Xa.wav")  # X is no emotion
    overlay(project.folder, folds={"count": 3, "validation_speakers": 1}, corpus={"max_quarantined": 0.5})
    found, _ = told(configuration, corpus, configfiles=["config/emodb.yaml", "over.yaml"], config=[f"root={root}"])
    warned = [text for mark, text in found if mark == WARNING]
    assert "1 files are copies of others and will be quarantined: wav/03a02Wa.wav." in warned
    assert "1 speakers have no utterance of any class and are left out: 13." in warned
    systems, pretrainings = re.search(
        r"(\d+) systems, (\d+) pretrainings a fold for the tables flea", str(found)
    ).groups()
    assert (systems, pretrainings) == ("9", "4")


def test_speakers_with_one_emotion_are_told_before_anything_is_trained(project, tmp_path):
    names = [
        f"{speaker}{text}{emotion}a"
        for speaker, emotion in zip(("03", "08", "09", "10", "11", "12"), "WNWNWN", strict=True)
        for text in ("a01", "a02")
    ]
    root = emodb(tmp_path / "speech", ["03", "08", "09", "10", "11", "12"], texts=("a01", "a02"))
    for path in (root / "wav").iterdir():
        if path.stem not in names:
            path.unlink()
    overlay(project.folder, folds={"count": 3, "validation_speakers": 0})
    found, _ = told(configuration, corpus, configfiles=["config/emodb.yaml", "over.yaml"], config=[f"root={root}"])
    assert any(mark == WARNING and text.startswith("6 of 6 speakers have one emotion alone") for mark, text in found)


def test_a_table_that_names_absent_files(project, tmp_path):
    rows = [
        f"{speaker}{n}.wav,{speaker},{emotion}" for speaker in "ab" for n, emotion in enumerate(("joy", "anger") * 3)
    ]
    (tmp_path / "labels.csv").write_text("\n".join(["path,speaker,emotion", *rows]))
    config = [f"root={tmp_path}", "corpus={adapter: table}"]
    found, _ = told(configuration, corpus, config=config)
    assert found[-1][0] == ERROR and "12 utterances lack their file" in found[-1][1] and "a0.wav" in found[-1][1]


@settings(max_examples=40, deadline=None)
@given(st.recursive(st.none() | st.integers(-3, 3) | st.text(max_size=4) | st.booleans(), lambda inner: (
    st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(
        ["corpus", "folds", "options", "systems", "units", "count", "frames", "schedule", "adapter", "a", "1"]
    ), inner, max_size=3)
), max_leaves=8))  # fmt: skip
def test_no_configuration_brings_a_traceback(tmp_path_factory, values):
    overlay = tmp_path_factory.mktemp("hostile") / "over.yaml"
    overlay.write_text(yaml.safe_dump(values))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(PROJECT)
        found, _ = told(configuration, configfiles=[overlay])
    assert found and all("\n" not in sentence for _, sentence in found)


def test_room_on_the_disk(project, monkeypatch):
    usage = namedtuple("usage", "total used free")(10**9, 0, 10**9)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    run = Run([], [], 2)
    marks = []
    for run.bytes in (10**8, 9 * 10**8, 2 * 10**9):
        marks += machine.disk(run)
    assert [mark for mark, _ in marks] == [OK, WARNING, ERROR]
    assert "2.0 GB of audio and features will be written to results/, 1.0 GB free: free space" in marks[-1][1]


@pytest.mark.parametrize(
    ("text", "mark"),
    [("[cache]\ntype = reflink\n", OK), ("[cache]\ntype = hardlink,copy\n", WARNING), ("no", WARNING)],
)
def test_dvc_links(project, text, mark):
    (project.folder / ".dvc").mkdir()
    (project.folder / ".dvc" / "config").write_text(text)
    found, _ = told(configuration, machine.results)
    assert found[-1][0] == mark


def test_versions_follow_the_lock(project):
    lock = project.folder / "envs" / "lock.txt"
    lock.write_text(lock.read_text().replace("\nsoundfile==", "\nsoundfile==9."))
    (project.folder / "pyproject.toml").write_text(
        (project.folder / "pyproject.toml").read_text().replace('"accelerate>=1.10"', '"nonesuch>=1"')
    )
    found, _ = told(machine.environment)
    assert ["nonesuch is not installed" in text for mark, text in found if mark == ERROR] == [True]
    assert ["soundfile is" in text for mark, text in found if mark == WARNING] == [True]


def test_jobs_are_counted_once_and_their_audio_and_features_add_up():
    summary = "\n".join(
        f"results/demo/{path}\t-\t{rule}\t-\tmissing\tupdate pending"
        for rule, path in [
            ("corpus", "corpus/audio.arrow"),
            ("pretrain", "fold-0/seed-0/ssl/first/model.safetensors"),
            ("pretrain", "fold-0/seed-0/ssl/first/config.json"),
            ("pretrain", "fold-1/seed-0/ssl/first/model.safetensors"),
            ("finetune", "systems/hubert-mean/fold-0/seed-0/model/config.json"),
            ("finetune", "systems/hubert-mean/fold-0/seed-0/predictions.parquet"),
            ("frame_features", "features/fbank.arrow"), ("frame_features", "features/mfcc.arrow"),
        ]
    )  # fmt: skip
    pending = jobs._jobs(summary + "\nresults/demo/figures/flea\t-\tfigures\t-\tok\tno update\n")
    assert Counter(pending) == {
        ("corpus", "corpus"): 1, ("pretrain", "first"): 2, ("finetune", "hubert-mean"): 1,
        ("frame_features", "fbank"): 1, ("frame_features", "mfcc"): 1,
    }  # fmt: skip
    size = jobs._size(pending, {"utterances": 100, "mean": 2.0})
    assert size == pytest.approx(200 * (2 * 16000 + 100 * 2 * (80 + 39)))


def test_a_profile_without_its_cluster_is_told(project, monkeypatch):
    assert told(scheduler)[0] == [(OK, "jobs run on this machine: no --profile names another place")]
    monkeypatch.setenv("PATH", "/nowhere")

    def of(profile):
        return list(_findings(scheduler, Run([], [], 2, str(profile))))

    assert of("profiles/default") == [(OK, "profiles/default: executor local")]
    monkeypatch.setattr(sys.modules[scheduler.__module__], "find_spec", lambda name: None)
    plugin, (mark, sentence) = of("profiles/slurm")
    assert plugin == (ERROR, "Snakemake of this environment knows no SLURM: make slurm.") and mark == ERROR
    assert sentence.startswith("There is no sbatch, squeue, scontrol, scancel here: ")
    for text, fault in ((None, "cannot be read (No such"), ("a: [", "is not YAML"), ("- a", "holds no options")):
        (project.folder / "config.yaml").unlink(missing_ok=True)
        if text:
            (project.folder / "config.yaml").write_text(text)
        ((mark, sentence),) = of(project.folder)
        assert mark == ERROR and fault in sentence
