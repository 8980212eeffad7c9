"""What DVC is told of the workflow's jobs, and what is believed of its cache and remotes."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import PROJECT

from serflow import versioning
from serflow.errors import UserError
from serflow.versioning import cache
from serflow.versioning.corpora import corpora
from serflow.versioning.stages import _portable, artifacts, watched, with_what_stands_behind


def test_names_that_the_user_chose_are_no_facts_of_this_machine():
    joined = {"options": {"corpora": {"files": {"folder": "a"}, "root": {"folder": "b"}}}}
    told = {"root": "/here", "files": ["digest"], "settings": joined | {"state": "digest"}, "code": "c"}
    assert _portable(told) == {"settings": joined, "code": "c"}


def test_a_link_that_dvc_does_not_enter_is_refused(tmp_path):
    (tmp_path / "corpus" / "wav").mkdir(parents=True)
    (tmp_path / "corpus" / "a.wav").symlink_to(tmp_path / "a.wav")
    (tmp_path / "link").symlink_to(tmp_path / "corpus")
    assert watched(str(tmp_path / "link")) == str(tmp_path / "link")
    (tmp_path / "corpus" / "wav" / "more").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(UserError, match=r"corpus/wav/more is a link, .* put the folder itself there\.$"):
        watched(str(tmp_path / "corpus"))


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
        "demo-units-again",
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
        ("demo: {overlays: [broken.yaml]}", r"^broken\.yaml, line 1 cannot be read"),
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


def named(content):
    return hashlib.md5(content).hexdigest()  # noqa: S324


MARK = named(b"mark")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project two levels down with a DVC of its own and a remote, both of which hold the file `mark`."""
    folder = tmp_path / "above" / "two" / "project"
    for place in (folder / ".dvc/cache", tmp_path / "store"):
        file = place / "files" / "md5" / MARK[:2] / MARK[2:]
        file.parent.mkdir(parents=True)
        file.write_bytes(b"mark")
    (folder / ".dvc" / "config").write_text(
        f"[core]\nno_scm = true\nremote = r\nanalytics = false\n['remote \"r\"']\nurl = {tmp_path}/store"
    )
    monkeypatch.chdir(folder)
    return folder


def record(place, entries, path="results/a/dir", md5=None):
    """dvc.yaml and dvc.lock name `path`, a folder whose listing lies in the cache or remote `place`."""
    listing = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    md5 = md5 or f"{named(listing)}.dir"
    file = Path(place, "files", "md5", md5[:2], md5[2:])
    if ".." not in md5:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(listing)
    out = {"path": path, "hash": "md5", "md5": md5, "size": 4, "nfiles": 1}
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": {"a": {"cmd": "echo", "outs": [path]}}}))
    Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": {"a": {"cmd": "echo", "outs": [out]}}}))


def everything(folder):
    return sorted(path for path in folder.rglob("*") if ".dvc" not in path.parts)


@pytest.mark.parametrize(
    ("place", "entry"),
    [
        (".dvc/cache", {"md5": MARK, "relpath": "../../../../../escaped"}),
        ("../../../store", {"md5": MARK, "relpath": "../../../../../escaped"}),
        ("../../../store", {"md5": "../../../../../../escaped", "relpath": "x"}),  # which `dvc fetch` would write
    ],
    ids=["in cache", "in remote", "names a file of the cache"],
)
def test_a_listing_that_leads_elsewhere_is_told_before_anything_is_written(project, place, entry):
    record(place, [entry])
    before = everything(project.parents[2])
    with pytest.raises(UserError, match=r"^DVC's cache: .*, which holds results/a/dir, is damaged \(delete it\)"):
        versioning.restore()
    assert everything(project.parents[2]) == before


@pytest.mark.parametrize(
    "listing",
    [
        *([{"md5": MARK, "relpath": path}] for path in ("..", "a/../x", "/x", "", "a//x", "a/", "./x", "a\0", 3)),
        *([{"md5": md5, "relpath": "x"}] for md5 in ("../x", MARK.upper(), MARK + "\n", f"{MARK}.dir", None)),
        [{"relpath": "x"}],
        ["x"],
        {"md5": MARK},
        b"[{",
        b"[" * 99999,
        b"\xff",
    ],
    ids=lambda listing: str(listing)[:40],
)
def test_what_is_no_listing_of_a_folder_is_damaged(project, listing):
    record(".dvc/cache", listing)
    assert list(cache.damaged(Path(".dvc/cache")).values()) == ["results/a/dir"]


@given(parts=st.lists(st.text(st.characters(exclude_characters="/\\\0", exclude_categories=["Cs"]), min_size=1)))
def test_a_path_stays_below_its_folder_or_is_refused(parts):
    stays = bool(parts) and not {".", ".."} & set(parts)
    assert cache.LISTING.is_valid([{"md5": MARK, "relpath": "/".join(parts)}]) == stays


@pytest.mark.parametrize(
    ("path", "md5"),
    [
        ("../../x", None),
        ("workflow/x", None),
        ("results/../x", None),
        ("results/x", "../../../../x"),
        ("results/x", 3),
    ],
)
def test_a_lock_that_leads_elsewhere_is_told(project, path, md5):
    record(".dvc/cache", [{"md5": MARK, "relpath": "x"}], path, str(md5) if md5 else None)
    before = everything(project.parents[2])
    with pytest.raises(UserError, match="^dvc.lock records .* restore dvc.lock"):
        versioning.restore()
    assert everything(project.parents[2]) == before


@pytest.mark.parametrize("link", ["results/a", "results/a/dir", "results/a/dir/inner"])
def test_nothing_is_written_behind_a_link(project, link):
    record(".dvc/cache", [{"md5": MARK, "relpath": "inner/x"}])
    Path(link).parent.mkdir(parents=True)
    (project.parent / "elsewhere").mkdir()
    Path(link).symlink_to(project.parent / "elsewhere")
    with pytest.raises(UserError, match="link"):
        versioning.restore()
    assert not list((project.parent / "elsewhere").iterdir())


def test_what_a_remote_holds_whole_is_fetched_and_checked_out(project, monkeypatch):
    shutil.rmtree(".dvc/cache")
    (project.parent / "disk").mkdir()
    Path("results").symlink_to(project.parent / "disk")  # a larger one
    record("../../../store", [{"md5": MARK, "relpath": "inner/x"}])
    monkeypatch.setattr(versioning, "corpora", lambda: {})  # what follows needs Snakemake, and is tested with it
    monkeypatch.setattr(versioning, "plan", lambda known: None)
    versioning.restore()
    assert Path("results/a/dir/inner/x").read_bytes() == b"mark"
