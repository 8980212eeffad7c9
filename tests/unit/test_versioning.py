"""What DVC is told of the workflow's jobs."""

import pytest
import yaml
from tests.conftest import PROJECT

from serflow.errors import UserError
from serflow.versioning.corpora import corpora
from serflow.versioning.stages import _portable, _watched, artifacts, with_what_stands_behind


def test_names_that_the_user_chose_are_no_facts_of_this_machine():
    joined = {"options": {"corpora": {"files": {"folder": "a"}, "root": {"folder": "b"}}}}
    told = {"root": "/here", "files": ["digest"], "settings": joined | {"state": "digest"}, "code": "c"}
    assert _portable(told) == {"settings": joined, "code": "c"}


def test_a_link_that_dvc_does_not_enter_is_refused(tmp_path):
    (tmp_path / "corpus" / "wav").mkdir(parents=True)
    (tmp_path / "corpus" / "a.wav").symlink_to(tmp_path / "a.wav")
    (tmp_path / "link").symlink_to(tmp_path / "corpus")
    assert _watched(str(tmp_path / "link")) == str(tmp_path / "link")
    (tmp_path / "corpus" / "wav" / "more").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(UserError, match=r"corpus/wav/more is a link, .* put the folder itself there\.$"):
        _watched(str(tmp_path / "corpus"))


def test_a_model_has_a_name_of_its_own():
    outs = [
        {f"results/c/{path}": {}} for path in ("systems/a-b/fold-0/seed-0", "fold-0/seed-0/intensity/n/model", "raw")
    ]
    assert artifacts({"c-systems": {"outs": outs}}) == {
        "c-systems-a-b-fold-0-seed-0": {"path": "results/c/systems/a-b/fold-0/seed-0/model", "type": "model"},
        "c-fold-0-seed-0-intensity-n-model": {"path": "results/c/fold-0/seed-0/intensity/n/model", "type": "model"},
    }
    with pytest.raises(UserError, match="c-systems-a-b-fold-0-seed-0"):
        artifacts({"c-systems": {"outs": [*outs, {"results/c/systems/a_b/fold-0/seed-0": {}}]}})


def test_what_stands_behind_a_change_is_reached_however_far():
    stages = {
        "a": {"outs": [{"x": {}}]},
        "b": {"deps": ["x"], "plots": [{"y": {}}]},
        "c": {"deps": ["y/model.safetensors"]},
        "d": {"deps": ["yz", "z"]},
    }
    assert with_what_stands_behind({"a"}, stages) == {"a", "b", "c"}


def test_clustering_anew_leaves_other_papers_alone():
    stages = yaml.safe_load((PROJECT / "dvc.yaml").read_text())["stages"]
    assert with_what_stands_behind({"demo-units-generic"}, stages) == {
        "demo-units-generic",
        "demo-pretraining-mel-hubert-2",
        "demo-systems-mel-hubert",
        "demo-embeddings-generic-layer-2",
        "demo-units-again",
        "demo-embeddings-hubert-mean-layer-2",
        "demo-units-emotion",
        "demo-pretraining-mel-hubert-3",
        "demo-pretraining-mel-hubert-4",
        "demo-systems-mel-hubert-2",
        "demo-tables",
        "overview",
    }


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "names no corpus"),
        ("demo: [", "cannot be read"),
        ("demo: {overlay: []}", "takes the keys overlays, root, push_audio"),
        ("demo: {overlays: [nowhere.yaml]}", "names the overlay nowhere.yaml"),
        ("demo: {overlays: [broken.yaml]}", r"^broken\.yaml cannot be read .*line 1"),
        ("demo: {overlays: [empty.yaml]}", r"^empty\.yaml holds no keys"),
        ("demo: {push_audio: 1}", "neither true nor false"),
        ("demo: {root: '2024'}", "YAML takes for no text"),
        ("demo: {root: 'a: b'}", "YAML takes for no text"),
        ("de.mo: {}", "has a dot"),
    ],
)
def test_a_list_of_corpora_that_is_wrong_is_told_in_a_sentence(tmp_path, monkeypatch, text, sentence):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "corpora.yaml").write_text(text)
    (tmp_path / "broken.yaml").write_text("a: [")
    (tmp_path / "empty.yaml").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=sentence):
        corpora()
