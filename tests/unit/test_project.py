"""What must stay in step: environments with the lock, the configuration's page with its schema, digests with code."""

import ast
import re
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from serflow import config, lineage, provenance
from serflow.errors import UserError
from serflow.evaluation.recipes import recipe_sentences
from serflow.provenance import code_digest, listing_digest
from serflow.reference import reference

PROJECT = Path(__file__).parents[2]
CONDA_NAMES = {"pytorch": "torch", "faiss": "faiss-gpu", "pysoundfile": "soundfile"}


def locked():
    """{package: version} as resolved for Python 3.11."""
    found = re.findall(r"^([\w.-]+)==(\S+)(?: ; (.*?))? \\$", (PROJECT / "envs/lock.txt").read_text(), re.MULTILINE)
    return {name: version for name, version, marker in found if "python_full_version >= '3.12'" not in marker}


@pytest.mark.parametrize("path", sorted((PROJECT / "envs").glob("*.yaml")), ids=lambda path: path.stem)
def test_conda_environments_follow_the_lock(path):
    versions, seen = locked(), 0
    for entry in yaml.safe_load(path.read_text())["dependencies"]:
        for requirement in entry["pip"] if isinstance(entry, dict) else [entry]:
            name, _, version = requirement.replace("==", "=").partition("=")
            if name not in ("python", "pip"):
                assert version == versions[CONDA_NAMES.get(name, name)], f"{path.name}: {name}"
                seen += 1
    assert seen > 5


def scripts_of_environments():
    """{environment: the scripts of its rules}; every rule has both."""
    found = {}
    for rules in (PROJECT / "workflow/rules").glob("*.smk"):
        for rule in re.split(r"^rule ", rules.read_text(), flags=re.MULTILINE)[1:]:
            (environment,) = re.findall(r'conda:\s+"\.\./\.\./envs/(\w+)\.yaml"', rule)
            (script,) = re.findall(r'script:\s+"\.\./scripts/(\w+)\.py"', rule)
            found.setdefault(environment, set()).add(script)
    return found


def test_every_rule_has_an_environment_that_exists():
    assert set(scripts_of_environments()) == {path.stem for path in (PROJECT / "envs").glob("*.yaml")}


# What an environment is reached by, and does without: no table and no figure decodes audio or asks for a GPU.
UNUSED = {"evaluation": {"torch", "torchaudio"}}
IMPORTED_AS = {"yaml": "pyyaml", "sklearn": "scikit-learn", "torch": "pytorch", "soundfile": "pysoundfile"}


@pytest.mark.parametrize("environment", ["features", "training", "evaluation"])
def test_conda_environments_have_every_import_of_their_scripts(environment):
    """Of modules and of functions, however indirectly."""
    stated = yaml.safe_load((PROJECT / "envs" / f"{environment}.yaml").read_text())["dependencies"]
    provided = {name for entry in stated for name in (entry["pip"] if isinstance(entry, dict) else [entry])}
    provided = {re.split("[=<>]", name)[0] for name in provided}
    waiting = [PROJECT / "workflow/scripts/job.py"]
    waiting += [PROJECT / "workflow/scripts" / f"{script}.py" for script in scripts_of_environments()[environment]]
    if environment != "evaluation":  # which model and which adapter, config decides
        waiting += (PROJECT / "workflow/serflow/corpora").glob("*.py")
    if environment == "training":
        waiting += [
            *(PROJECT / "workflow/serflow/models").glob("*.py"),
            *(PROJECT / "workflow/serflow/heads").glob("*.py"),
        ]
    seen, imported = set(), set()
    while waiting:
        file = waiting.pop()
        if file not in seen:
            seen.add(file)
            waiting += provenance._read(file)[1]
            imported |= third_party(file)
    assert len(seen) > 10 and "pandas" in imported
    missing = {IMPORTED_AS.get(name, name) for name in imported - UNUSED.get(environment, set())} - provided
    assert missing == set()


def third_party(file):
    """The packages that a file imports, from neither Python nor serflow; for type checkers alone does not count."""
    tree = ast.parse(file.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"serflow", "job"}


def test_no_import_runs_upwards():
    """Rooms are the packages and modules of the library; what imports stands above what it imports."""
    below = TopologicalSorter()
    for file in provenance.LIBRARY.rglob("*.py"):
        for reached in provenance._read(file)[1]:
            room, other = (path.relative_to(provenance.LIBRARY).parts[0] for path in (file, reached))
            if room != other and "__init__.py" not in (room, other):  # that of the library has what others offer
                below.add(room, other)
    rooms = list(below.static_order())  # CycleError, with the circle, where there is no order
    assert rooms.index("models") < rooms.index("heads") < rooms.index("report") < rooms.index("cli.py")


def test_every_job_is_measured_beside_its_log():
    for rules in (PROJECT / "workflow/rules").glob("*.smk"):
        text = rules.read_text()
        logs = re.findall(r'log:\s+f"\{LOGS\}/(\S+)\.log",\n', text)
        assert len(logs) == len(re.findall(r"^rule ", text, re.MULTILINE))
        assert re.findall(r'benchmark:\s+f"\{RUN\}/jobs/(\S+)\.jsonl"\n', text) == logs


@pytest.mark.parametrize("name", ["lock.txt", "uv.txt"])
def test_locks_carry_hashes_and_no_address(name):
    text = (PROJECT / "envs" / name).read_text()
    assert "://" not in text and "--index" not in text and "--find-links" not in text
    packages = re.split(r"\n(?=[a-z])", text)
    assert all("--hash=sha256:" in package for package in packages)


def test_the_configuration_page_is_made_of_what_can_be_configured():
    committed, now = (text.split("## Encoders") for text in ((PROJECT / "config/README.md").read_text(), reference()))
    stale = "run: .venv/bin/python -m serflow.reference > config/README.md"
    assert committed[0] == now[0], stale
    assert {*committed[1].splitlines()} <= {*now[1].splitlines()}, stale  # there may be a stranger's files more
    assert "<" not in re.sub("`[^`]*`", "", "".join(now))


OVERLAYS = sorted(path for path in (PROJECT / "config").glob("*.yaml") if path.name != "corpora.yaml")


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.stem)
def test_shipped_configurations_are_complete(overlay, tmp_path, monkeypatch):
    (tmp_path / "results/speech/fold-0/seed-0/ssl/second").mkdir(parents=True)  # what config/speech.yaml ends in
    (tmp_path / "results/speech/fold-0/seed-0/ssl/second/model.safetensors").touch()
    monkeypatch.chdir(tmp_path)

    def merge(base, over):
        both = {**base, **over}
        nested = {key for key in base if isinstance(base[key], dict) and isinstance(over.get(key), dict)}
        return both | {key: merge(base[key], over[key]) for key in nested}

    base = yaml.safe_load((PROJECT / "config/config.yaml").read_text())
    if overlay.stem.endswith("-pretrained"):  # what it changes is in the paper's
        paper = overlay.stem.removesuffix("-pretrained")
        base = merge(base, yaml.safe_load((PROJECT / f"config/{paper}.yaml").read_text()))
    config.complete(merge(base, yaml.safe_load(overlay.read_text())))


def test_every_key_is_described():
    def keys(description, path=""):
        for key, inner in description.get("properties", {}).items():
            assert inner.get("description"), f"{path}{key} has no description"
            assert "default" in inner or key in description.get("required", ()) or key == "encoder"
            keys(inner, f"{path}{key}.")
        if isinstance(description.get("additionalProperties"), dict):
            keys(description["additionalProperties"], f"{path}<name>.")

    keys(config.schema())


def test_defaults_reach_every_entry():
    complete = config.complete(yaml.safe_load((PROJECT / "config/config.yaml").read_text()))
    assert complete["pretraining"]["first"]["schedule"]["steps"] == complete["pretraining_schedule"]["steps"]
    assert complete["systems"]["hubert-mean"]["head"] == "pooled"
    new = {"model": "mel-hubert", "from": None, "options": {"size": "small"}, "normalisation": "utterance"}
    elsewhere = {"corpus": None, "pretraining": None}
    assert lineage.origin(complete, "hubert-frame-labels") == complete["encoders"]["hubert"] == new | elsewhere
    known = {"model": "hubert", "from": "lab/hubert", "options": None}
    complete = config.complete({"corpus": {"adapter": "demo"}, "encoders": {"hubert": known}})
    assert complete["encoders"]["hubert"] == {
        **known, **elsewhere, "options": {}, "normalisation": "utterance"
    }  # fmt: skip
    complete = demo()
    assert lineage.hears_emotions(complete, "emotion") and not lineage.hears_emotions(complete, "generic")


PARTS = st.lists(st.tuples(st.booleans(), st.integers(0, 99), st.integers(0, 99)), max_size=12)


@given(parts=PARTS)
def test_what_is_trained_in_one_turn_needs_nothing_of_a_later_one(parts):
    complete = {"encoders": {"e": {"model": "mel-hubert"}}, "units": {}, "pretraining": {}, "systems": {}}
    names = ["e"]
    for number, (is_system, first, second) in enumerate(parts):
        name, source, heard = f"p{number}", names[first % len(names)], names[second % len(names)]
        if is_system:
            complete["systems"][name] = {"encoder": source}
        else:
            complete["units"][name] = {"frames": heard}
            complete["pretraining"][name] = {"start": source, "units": name}
        names.append(name)

    def order(name):
        systems, pretrainings = lineage.turn(complete, name)
        return systems, name in complete["systems"], pretrainings

    for name in names[1:]:
        assert all(order(source) < order(name) for source in lineage.needs(complete, name) if source != "e")


def demo(**changes):
    return config.complete(yaml.safe_load((PROJECT / "config/config.yaml").read_text()) | changes)


def test_an_overlay_takes_an_entry_out_with_null():
    assert demo(tables={"flea": None})["tables"] == {}


def test_transductive_and_inductive_stand_side_by_side():
    plain, both = (demo(protocol={"transductive": how}) for how in (False, "both"))
    assert not any(system["transductive"] for system in plain["systems"].values())
    variants = {name for name, system in both["systems"].items() if system["transductive"]}
    rows, added = both["tables"]["flea"]["rows"], {name for name in variants if name.startswith("hubert-")}
    # Pretraining decides four systems; the baselines and the control without pretraining hear nobody in either.
    decided = ("mean", "twin", "frame-labels", "frame-labels-attention")
    assert added == {f"hubert-{name}-transductive" for name in decided}
    assert rows == plain["tables"]["flea"]["rows"] | {name: name.removesuffix("-transductive") for name in added}


def test_transductive_alone_replaces_the_rows():
    rows = demo(protocol={"transductive": True})["tables"]["flea"]["rows"]
    assert rows["hubert-mean-transductive"] == "hubert-scratch" and "hubert-mean" not in rows
    assert rows["hubert-frame-labels-transductive"] == "hubert-twin-transductive"


def test_the_command_line_s_numbers_are_numbers():
    # Snakemake reads what stands inside brackets and braces of --config as text.
    given = demo(seeds=["0", "1"], folds={"count": "3", "seed": "1"}, corpus={"min_seconds": "0.5", "name": "12"})
    assert given["seeds"] == [0, 1] and given["folds"]["count"] == 3
    assert given["corpus"]["min_seconds"] == 0.5 and given["corpus"]["name"] == "12"
    assert demo(protocol={"transductive": "true"})["protocol"]["transductive"] is True


def test_a_speaker_s_statistics_are_marked_as_transductive():
    encoders = demo()["encoders"]
    encoders["hubert"]["normalisation"] = "speaker"
    titles = {name: system["title"] for name, system in demo(encoders=encoders)["systems"].items()}
    assert titles["hubert-mean"] == "HuBERT (speaker-normalised, transductive)"
    assert titles["hubert-scratch"] == "HuBERT, no pretraining"


def test_a_table_says_how_its_rows_were_made():
    rows = ["majority", "egemaps-svm", "hubert-scratch", "hubert-frame-labels", "hubert-frame-labels-attention"]
    networks, heads, trained, pretrained, C = recipe_sentences(demo(), rows)
    assert networks == "Networks: mel-hubert (size small), input normalised over the utterance."
    assert heads == (
        "Heads: pooled (pooling mean+std, standardise) of the last layer; "
        '"HuBERT + frame labels + attention (FLEA)": '
        "pooled (pooling attention+std, standardise) of the last layer."
    )
    assert trained == "Trained: 48 steps of 16 utterances, at most 6 s each, learning rate 0.0005."
    assert pretrained == "Pretrained: 120 steps of 20 s, learning rate 0.001, 50 units."
    assert C == 'C: "eGeMAPS + linear SVM" 0.1; fixed beforehand.'
    assert list(recipe_sentences(demo(), ["majority"])) == []


def test_scoring_as_published_needs_speakers_who_are_not_trained_on():
    tables = {"flea": demo()["tables"]["flea"] | {"as_published": True}}
    with pytest.raises(
        UserError, match="tables.flea.as_published scores validation speakers, and protocol.selection"
    ):
        demo(tables=tables)
    assert demo(tables=tables, protocol={"selection": "validation"})["tables"]["flea"]["as_published"]


def test_claims_are_all_compared_rows_or_those_that_are_named():
    def flea(how=False, **table):
        table = demo()["tables"]["flea"] | {"claims": None} | table
        return demo(tables={"flea": table}, protocol={"transductive": how})["tables"]["flea"]

    plain = flea()
    assert plain["claims"] == [name for name, baseline in plain["rows"].items() if baseline] and plain["claims"]
    assert flea("both")["claims"] == [*plain["claims"], *list(flea("both")["rows"])[-4:]]
    for how in (False, "both"):
        assert flea(how, claims=["hubert-mean"])["claims"] == ["hubert-mean"]
    assert flea(True, claims=["hubert-mean"])["claims"] == ["hubert-mean-transductive"]
    assert flea(claims=[])["claims"] == []
    for wrong, sentence in {
        "hubert-men": "tables.flea.claims names 'hubert-men', which is not defined: did you mean 'hubert-mean'?",
        "majority": "tables.flea.claims names 'majority', which its rows compare with nothing: give it a baseline",
    }.items():
        with pytest.raises(UserError, match=re.escape(sentence)):
            flea(claims=[wrong])


@pytest.mark.parametrize(
    ("folds", "sentence"),
    [
        ({"protocol": "list"}, "folds.protocol list lacks the key 'file'"),
        ({"file": "lists.csv"}, "folds.file belongs to folds.protocol list, not to k-fold"),
        ({"protocol": "leave-one-out"}, "folds.protocol is wrong: 'leave-one-out' is not one of"),
    ],
)
def test_folds_that_contradict_themselves_are_told(folds, sentence):
    with pytest.raises(UserError, match=sentence):
        demo(folds=folds)


@pytest.mark.parametrize("key", [1, True, None, 2.5])
def test_a_class_whose_name_is_no_text_is_told(key):
    with pytest.raises(UserError, match=rf"^config: corpus.classes has the key {key}, .*: write it in quotes\.$"):
        demo(corpus={"classes": {key: ["anger"], "two": ["neutral"]}})
    assert demo(corpus={"classes": {str(key): ["anger"]}})["corpus"]["classes"] == {str(key): ["anger"]}


def test_a_folder_without_the_demo_corpus_is_not_read_as_one(tmp_path):
    with pytest.raises(UserError, match=f"'{tmp_path}' holds no demo corpus: add --configfile config/<corpus>.yaml"):
        config.check_root(demo(root=str(tmp_path)))
    (tmp_path / "labels.csv").touch()
    config.check_root(demo(root=str(tmp_path)))


def test_the_tilde_of_root_is_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert demo(root="~/corpus")["root"] == str(tmp_path / "corpus")
    assert demo(root="corpus~")["root"] == "corpus~" and demo(root=None)["root"] is None


def test_code_digest_follows_imports_and_ignores_remarks(tmp_path):
    from serflow import provenance

    def digest(text, *modules):
        script = tmp_path / "script.py"
        script.write_text(text)
        provenance._read.cache_clear(), code_digest.cache_clear()
        return code_digest(script, *modules)

    plain = digest("def f():\n    return 1\n")
    assert digest("# remark\ndef f():\n    '''Doc.'''\n\n    return 1\n") == plain
    assert digest("def f():\n    return 2\n") != plain
    assert digest("def f():\n    return 1\n", "serflow.masking") != plain
    inside = digest("def f():\n    from serflow import batches\n")
    reached = {path.name for path in provenance._read(tmp_path / "script.py")[1]}
    assert reached == {"__init__.py", "batches.py"}
    assert inside != digest("def f():\n    from serflow import frames\n")
    known = digest(
        "async def f(x: int = 1, *, y=None) -> str:\n    return f'{x!r:>4}' if (z := x) else lambda: [z, *y]"
    )
    assert known == "a7c45fd3549c485065fc0bd914d68c41c28d681de6d1a5a93f106164cb48ded4"  # in every Python


def test_listing_digest_sees_a_changed_file(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x.wav").write_bytes(b"1")
    before = listing_digest(tmp_path)
    assert listing_digest(tmp_path) == before
    (tmp_path / "b" / "x.wav").write_bytes(b"22")
    assert listing_digest(tmp_path) != before
    assert listing_digest(None) is None


def test_listing_digest_sees_through_links(tmp_path):
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    (elsewhere / "deep").mkdir(parents=True), root.mkdir()
    for path in (elsewhere / "deep/x.wav", elsewhere / "y.wav"):
        path.write_bytes(b"1")
    (root / "x").symlink_to(elsewhere / "deep")
    (root / "y.wav").symlink_to(elsewhere / "y.wav")
    (root / "gone.wav").symlink_to(tmp_path / "nowhere")
    digests = {listing_digest(root)}
    for path in (elsewhere / "deep/x.wav", elsewhere / "y.wav"):
        path.write_bytes(b"22")
        digests.add(listing_digest(root))
    assert len(digests) == 3
