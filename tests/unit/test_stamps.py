"""A table says what made it, and what was made otherwise is marked."""

import copy

import pytest

from serflow.evaluation.stamps import MARK, mark_earlier, misfits, stamp

CONFIG = {
    "corpus": {"name": "mine", "classes": None}, "folds": {"count": 2}, "protocol": {},
    "seeds": [0], "seeds_of": "chain",
    "intensity_schedule": {"steps": 3}, "intensity": {"level": {"method": "level"}},
    "encoders": {"hubert": {"model": "hubert"}, "other": {}}, "units": {"mfcc": {"frames": "mfcc", "k": 5}},
    "pretraining": {"first": {"start": "hubert", "units": "mfcc", "intensity": None}},
    "systems": {"ours": {"method": "classifier", "encoder": "first"}, "theirs": {"method": "svm"}, "elsewhere": {}},
    "tables": {"small": {"rows": {"theirs": None, "ours": "theirs"}}},
}  # fmt: skip
CHANGES = {
    "corpus": [("corpus", "classes"), ("folds", "count"), ("seeds",), ("seeds_of",)],
    "table": [("units", "mfcc", "k"), ("encoders", "hubert", "model"), ("systems", "theirs", "method")],
    "nothing": [("encoders", "other", "model"), ("systems", "elsewhere", "method"), ("intensity", "level", "method")],
}


def changed(*path):
    config = copy.deepcopy(CONFIG)
    entry = config
    for key in path[:-1]:
        entry = entry[key]
    entry[path[-1]] = "other"
    return config


@pytest.mark.parametrize(("what", "path"), [(what, path) for what, paths in CHANGES.items() for path in paths])
def test_only_what_a_table_is_made_of_changes_its_stamp(tmp_path, what, path):
    other = changed(*path)
    (tmp_path / "small.md").write_text(f"# Small\n\n| a |\n\n- {stamp(CONFIG, 'small')}\n")
    assert misfits(CONFIG, tmp_path) == [] and mark_earlier(CONFIG, tmp_path) == []
    assert misfits(other, tmp_path) == ["small"] * (what != "nothing")
    assert mark_earlier(other, tmp_path) == mark_earlier(other, tmp_path) == ["small"] * (what == "corpus")
    assert (tmp_path / "small.md").read_text().count(MARK) == (what == "corpus")


def test_a_table_that_does_not_say_fits_nothing(tmp_path):
    assert misfits(CONFIG, tmp_path) == []
    (tmp_path / "small.md").write_text("# Small\n")
    assert misfits(CONFIG, tmp_path) == ["small"] and mark_earlier(CONFIG, tmp_path) == []
