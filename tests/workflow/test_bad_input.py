"""Whatever a user gets wrong: one sentence that names it and says what to do, an exit code, nothing half-written."""

import re
import shutil
import subprocess

import numpy as np
import pytest
import soundfile
import torch
import yaml
from safetensors.torch import save_file
from snakemake.utils import update_config
from tests.conftest import PAPERS, PROJECT, TINY

from serflow.artifacts import write_json
from serflow.config import check_intensity, complete
from serflow.errors import UserError
from serflow.models import build


def speech(path, seconds=0.5):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(abs(hash(path.name)) % 2**32).normal(0, 0.1, int(16000 * seconds))
    soundfile.write(path, noise, 16000)


def emodb(root, speakers=("03", "08", "09", "10"), emotions="WN", texts=("a01", "b02")):
    for speaker in speakers:
        for emotion in emotions:
            for text in texts:
                speech(root / "wav" / f"{speaker}{text}{emotion}a.wav")
    return root


def refused(checkout, *arguments, target="all", **config):
    """What was printed by a run that had to fail."""
    base = PROJECT / "config" / "config.yaml" if "root" in config else TINY
    code, printed = checkout.run(*arguments, "--", target, configfile=base, **config)
    assert code != 0
    assert "Traceback" not in printed, printed
    assert not list(checkout.folder.glob("results/**/*.partial-*"))
    return printed


EMBEDDING = "results/demo/fold-0/seed-0/embeddings/hubert/layer-5/frames.arrow"
FOLDS = "results/emodb/corpus/folds.parquet"
EMODB = {"corpus": {"name": "emodb", "adapter": "emodb"}}


def test_missing_root(checkout, tmp_path):
    printed = refused(checkout, **EMODB)
    assert "root is not set" in printed and "--config root=<folder>" in printed
    printed = refused(checkout, **EMODB, root=str(tmp_path / "nowhere"))
    assert "nowhere', which is no folder" in printed


@pytest.mark.parametrize(
    ("build", "config", "sentence"),
    [
        (lambda root: root.mkdir(), {}, "expected"),
        (lambda root: speech(root / "wav" / "song.wav"), {}, "found wav/song.wav"),
        (lambda root: emodb(root, speakers=["03"]), {}, "its only speaker is '03'"),
        (lambda root: emodb(root), {"folds": {"count": 5}}, "folds.count 5"),
        (lambda root: (emodb(root), speech(root / "wav" / "03a01Fa.wav")), {}, "happiness"),
        (lambda root: emodb(root), {"corpus": {**EMODB["corpus"], "adapter": "emobd"}}, "emodb"),
    ],
    ids=["empty", "wrong kind", "one speaker", "fewer speakers than folds", "lone class member", "unknown adapter"],
)
def test_unusable_corpora(checkout, tmp_path, build, config, sentence):
    root = tmp_path / "speech"
    build(root)
    printed = refused(checkout, target=FOLDS, **{**EMODB, **config}, root=str(root))
    told = [line for line in printed.splitlines() if line.startswith("serflow: ")]
    assert len(told) == 1 and sentence in told[0], printed
    assert not (checkout.folder / FOLDS).exists()


def test_what_was_refused_is_listed_until_it_is_mended(checkout, tmp_path):
    root = emodb(tmp_path / "speech")
    listed = (checkout.folder / FOLDS).with_name("refused.csv")
    (root / "wav/03a01Wa.wav").write_bytes(b"")
    assert str(listed.relative_to(checkout.folder)) in refused(checkout, target=FOLDS, **EMODB, root=str(root))
    assert "03a01Wa.wav,empty: 0 bytes" in listed.read_text()
    speech(root / "wav/03a01Wa.wav")
    base, folds = PROJECT / "config" / "config.yaml", {"count": 2}
    code, printed = checkout.run("--", FOLDS, configfile=base, **EMODB, root=str(root), folds=folds)
    assert code == 0 and not listed.exists(), printed


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"copus": {}}, "there is no key 'copus' in the configuration: did you mean 'corpus'?"),
        ({"folds": {"cuont": 3}}, "there is no key 'cuont' in folds: did you mean 'count'?"),
        ({"folds": {"count": 0}}, "folds.count is wrong: 0 is less than the minimum of 1"),
        ({"encoders": {"hubert": {"model": "mel-hubart"}}}, "no encoder 'mel-hubart': did you mean 'mel-hubert'?"),
        (
            {"encoders": {"hubert": {"options": {"size": "smal"}}}},
            'cannot have size "smal": it is tiny, small, medium',
        ),
        ({"encoders": {"hubert": {"options": {"layrdrop": 0.1}}}}, "no option 'layrdrop': did you mean 'layerdrop'?"),
        ({"encoders": {"hubert": {"options": {"stack": 4}}}}, "Model mel-hubert has no option 'stack'"),
        ({"encoders": {"hubert": {"from": "lab/hubert"}}}, "a checkpoint has its own; remove them"),
        ({"encoders": {"hubert": "/no/such/folder"}}, "'/no/such/folder' is no folder"),
        ({"systems": {"hubert-mean": {"head": "poled"}}}, "There is no head 'poled': did you mean 'pooled'?"),
        ({"systems": {"hubert-mean": {"options": {"pooling": "max"}}}}, 'cannot have pooling "max": it is mean,'),
        ({"pretraining": {"first": {"units": None}}}, "first lacks the key 'units': model mel-hubert needs it"),
        ({"units": {"mfcc": {"layer": [1, 2]}}}, "units.mfcc.layer is a list, but MFCC have no layers: remove it."),
        ({"units": {"generic": {"frames": "time-frequency"}}}, "tokens of model tf-transformer are segments"),
        ({"pretraining": {"random-spans": {"units": "mfcc"}}}, "random-spans.units is not for model mockingjay"),
        (
            {"pretraining": {"surroundings": {"schedule": {"parts": 2}}}},
            "parts: model npc norms over the whole batch",
        ),
        ({"pretraining": {"random-spans": {"masking": "matched"}}}, "masking needs the key 'intensity' too"),
        ({"pretraining": {"surroundings": {"intensity": "energy"}}}, "without score_branch or weighted: set one"),
        ({"pretraining": {"random-spans": {"intensity": "energy"}}}, "without masking or score_branch: set one"),
        ({"tables": {"intensity": {"title": "x", "rows": {"majority": None}}}}, "give yours another name"),
        ({"intensity": {"energy": {"method": "energie"}}}, "There is no method 'energie': did you mean 'energy'?"),
        ({"intensity": {"strengthnet": {"corpus": "esd"}}}, "corpus is esd, but there is no results/esd/fold-0"),
        ({"intensity": {"strengthnet": {"corpus": "demo"}}}, "whose test speakers the network would have heard"),
        ({"intensity": {"energy": {"corpus": "esd"}}}, "method energy has no network to take: remove it"),
        (
            {"systems": {"hubert-mean": {"encoder": "genric"}}},
            "'genric', which is not defined: did you mean 'generic'?",
        ),
        ({"pretraining": {"first": {"start": "emotion"}}}, "goes in a circle"),
        (
            {"finetuning_schedule": {"step": 3}},
            "there is no key 'step' in finetuning_schedule: did you mean 'steps'?",
        ),
        ({"corpus": {"classes": {}}}, "corpus.classes is wrong: {} should be non-empty"),
        ({"corpus": {"classes": {"a\n": ["anger"]}}}, "corpus.classes has the key 'a\\n', which cannot be a name"),
        ({"corpus": {"name": "demo\n"}}, "corpus.name is wrong: 'demo\\n' does not match"),
        ({"corpus": {"name": "x" * 300}}, "is too long"),
        ({"corpus": {"min_seconds": float("nan")}}, "corpus.min_seconds is wrong: nan is no size"),
        ({"corpus": {"max_seconds": float("inf")}}, "corpus.max_seconds is wrong: inf is no size"),
        ({"root": "{x}"}, "root is wrong: '{x}' does not match"),
        ({"root": "x\0"}, "characters that no file can be named with"),
        ({"systems": {"majority": {"options": {"pooling": "mean"}}}}, "majority.options: method majority takes none"),
        (
            {"intensity": {"energy": {"options": {"size": "tiny"}}}},
            "method energy has no options: remove them",
        ),
        ({"corpus": {"options": {"a": [float("nan")]}}}, "corpus.options.a.0 is wrong: nan is no size"),
        ({"folds": {"count": 2.0}}, "folds.count is wrong: 2.0 is not of type 'integer'"),
        ({"units": {"generic": {"k": 50.0}}}, "units.generic.k is wrong: 50.0 is not of type 'integer'"),
        ({"units": {"generic": {"layer": 1.0}}}, "units.generic.layer is wrong: 1.0 is not of type 'integer'"),
        ({"folds": {"count": 100000}}, "folds.count is wrong: 100000 is greater than the maximum of 1000"),
        ({"seeds": [1.0]}, "seeds.0 is wrong: 1.0 is not of type 'integer'"),
        ({"seeds": [2**40]}, "seeds.0 is wrong: 1099511627776 is beyond 1000000000"),
        ({"finetuning_schedule": {"learning_rate": float("nan")}}, "learning_rate is wrong: nan is no size"),
        ({"finetuning_schedule": {"betas": [0.9, 2]}}, "betas.1 is wrong: 2 is greater than or equal to"),
        ({"units": {7: {"frames": "mfcc"}}}, "units has the key 7, which YAML does not read as text: write it in"),
        ({"systems": {True: {"title": "x", "method": "svm"}}}, "systems has the key True, which YAML does not read"),
        ({"systems": {"{x}": {"title": "x", "method": "svm"}}}, "systems has the key '{x}', which cannot be a name"),
        ({"encoders": {"x" * 300: {"model": "hubert"}}}, "which cannot be a name: use letters, digits, - and _"),
        (
            {"encoders": {"hubert": {"options": {"num_hidden_layers": 10**6}}}},
            "cannot have num_hidden_layers 1000000: it is of type integer from 0 to 10000",
        ),
        (
            {"tables": {"t": {"title": "x", "rows": {"majority": "statistics", "statistics": "majority"}}}},
            "tables.t.rows: majority -> statistics -> majority goes in a circle: break it",
        ),
        (
            {"tables": {"t": {"title": "x", "rows": {"majority": "majority"}}}},
            "majority -> majority goes in a circle",
        ),
        (
            {
                "protocol": {"transductive": True},
                "final": None,
                "systems": {"hubert-mean-transductive": {"title": "x", "method": "svm"}},
            },
            "systems.hubert-mean-transductive is made by protocol.transductive: rename yours",
        ),
    ],
)
def test_wrong_configuration(monkeypatch, config, sentence):
    """As the Snakefile does it, without its start: that it says so, the next test shows."""
    merged = {}
    for file in (PROJECT / "config" / "config.yaml", *PAPERS, TINY):
        update_config(merged, yaml.safe_load(file.read_text()))
    update_config(merged, config)
    monkeypatch.chdir(PROJECT)
    with pytest.raises(UserError, match=re.escape(sentence)):
        check_intensity(complete(merged))


def test_snakemake_says_what_is_wrong_with_a_configuration(checkout):
    twice = checkout.folder / "twice.yaml"
    twice.write_text("folds: {count: 2}\nseeds: [0]\nfolds: {seed: 1}\n")
    code, printed = checkout.run("--dry-run", configfile=twice)
    assert code != 0 and "twice.yaml, line 3 cannot be read (the key folds is also in line 1): mend it." in printed
    assert "did you mean 'count'?" in refused(checkout, "--dry-run", folds={"cuont": 3})
    corpus = {"strengthnet": {"corpus": "demo"}}
    assert "network would have heard" in refused(checkout, "--dry-run", intensity=corpus)


def test_a_table_that_lay_there_before_is_told(checkout):
    table = "results/demo/tables/emotional.md"
    (checkout.folder / table).parent.mkdir(parents=True)
    (checkout.folder / table).write_text("# Committed with another configuration\n")
    code, printed = checkout.run("--dry-run", "--", table)
    assert code == 0 and f"{table} was made by another configuration than this one" in printed


def test_a_checkpoint_that_is_none(checkout, tmp_path):
    target = "results/demo/systems/hubert-scratch/fold-0/seed-0/predictions.parquet"
    small = {"corpus": {"options": {"speakers": 6, "sentences": 1}}}
    empty, broken, foreign = (tmp_path / name for name in ("empty", "broken", "foreign"))
    empty.mkdir()
    printed = refused(checkout, target=target, encoders={"untrained": str(empty)}, **small)
    assert f"{empty}' is no checkpoint: it has no config.json" in printed
    write_json(broken / "config.json", {"model_type": "hubert"})
    (broken / "model.safetensors").write_bytes(b"no weights")
    printed = refused(checkout, target=target, encoders={"untrained": str(broken)}, **small)
    assert f"'{broken}' cannot be loaded" in printed
    build("mel-hubert", {"size": "tiny"}, 0).save_pretrained(foreign)
    save_file({"resnet.conv1.weight": torch.zeros(2)}, foreign / "model.safetensors", {"format": "pt"})
    printed = refused(checkout, target=target, encoders={"untrained": str(foreign)}, **small)
    assert f"'{foreign}' lacks" in printed and "give a complete checkpoint" in printed
    write_json(broken / "config.json", [1])
    printed = refused(checkout, "--dry-run", target=target, encoders={"untrained": str(broken)}, **small)
    assert "config.json is no model description" in printed


def test_demo_options(checkout):
    options = {"corpus": {"options": {"speaker": 3}}}
    assert "corpus.options has no 'speaker'" in refused(checkout, target="results/demo/raw", **options)


def test_a_layer_that_the_encoder_lacks(checkout):
    printed = refused(checkout, target=EMBEDDING, units={"generic": {"frames": "hubert", "layer": 5}})
    assert "layer 5 of an encoder with 2" in printed


def test_results_that_cannot_be_written(checkout):
    (checkout.folder / "results").write_text("in the way")
    assert "results is no folder, but results go into one" in refused(checkout, target=FOLDS)
    (checkout.folder / "results").unlink()
    mount, unmount = shutil.which("mount"), shutil.which("umount")
    disk = checkout.folder / "results"
    disk.mkdir()
    sealed = [mount, "-t", "tmpfs", "-o", "ro", "tmpfs", disk]
    if not mount or subprocess.run(sealed, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a disk that nobody may write to")
    try:
        printed = refused(checkout, target="results/demo/corpus/folds.parquet")
        assert "results: Read-only file system: free space or give rights there" in printed
    finally:
        subprocess.run([unmount, disk], check=True)


def test_a_full_disk(checkout):
    disk = checkout.folder / "results"
    disk.mkdir()
    mount, unmount = shutil.which("mount"), shutil.which("umount")
    small = [mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk]
    if not mount or subprocess.run(small, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small disk to fill")
    try:
        printed = refused(checkout, target="results/demo/corpus/folds.parquet")
        assert "No space left on device" in printed and "free space" in printed
        assert not list(disk.rglob("*.parquet"))
    finally:
        subprocess.run([unmount, disk], check=True)
