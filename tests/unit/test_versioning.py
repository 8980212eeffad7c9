"""What DVC is told of the workflow's jobs."""

import pytest

from serflow.errors import UserError
from serflow.versioning.corpora import corpora
from serflow.versioning.stages import _portable, folders_of, with_what_stands_behind


def test_names_that_the_user_chose_are_no_facts_of_this_machine():
    joined = {"options": {"corpora": {"files": {"folder": "a"}, "root": {"folder": "b"}}}}
    told = {"root": "/here", "files": ["digest"], "settings": joined | {"state": "digest"}, "code": "c"}
    assert _portable(told) == {"settings": joined, "code": "c"}


def test_the_folders_of_joined_corpora_are_told_one_by_one():
    parts = {"options": {"corpora": {"one": {"folder": "a"}, "two": {"folder": "/b"}}}, "adapter": "joined"}
    assert folders_of("data", parts) == ["data/a", "/b"]
    assert folders_of("data/x", {"adapter": "emodb", "options": {}}, code="c") == ["data/x"]
    assert folders_of(settings={"k": 5}) == []


def test_what_stands_behind_a_change_is_reached_however_far():
    stages = {
        "a": {"outs": [{"x": {}}]},
        "b": {"deps": ["x"], "plots": [{"y": {}}]},
        "c": {"deps": ["y"]},
        "d": {"deps": ["z"]},
    }
    assert with_what_stands_behind({"a"}, stages) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "names no corpus"),
        ("demo: [", "cannot be read"),
        ("demo: {overlay: []}", "takes the keys overlays, root, push_audio"),
        ("demo: {overlays: [nowhere.yaml]}", "names the overlay nowhere.yaml"),
        ("demo: {push_audio: 1}", "neither true nor false"),
        ("demo: {root: '2024'}", "YAML takes for no text"),
        ("demo: {root: 'a: b'}", "YAML takes for no text"),
        ("de.mo: {}", "has a dot"),
    ],
)
def test_a_list_of_corpora_that_is_wrong_is_told_in_a_sentence(tmp_path, monkeypatch, text, sentence):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "corpora.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=sentence):
        corpora()
