"""Generated configurations, tables and audio: each is right, or refused in one sentence, and nothing is written.

Every test tries as many as hypothesis' profile says: a hundred each, and `make fuzz` ten thousand in all.
"""

import json
import tempfile
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from snakemake.utils import update_config
from tests.conftest import PAPERS, PROJECT, TINY

from serflow import audio, corpora
from serflow.config import check_files, check_intensity, check_root, complete, schema
from serflow.errors import UserError
from serflow.evaluation.recipes import recipe_sentences
from serflow.folds import split

LONGEST = 1500  # characters of a sentence, which may quote names of 300
quick = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty folder in which only what a test writes itself may be."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    assert {path.name for path in tmp_path.iterdir()} <= {"overlay.yaml", "corpus"}


def outcome(call, *given):
    """What a call returns, None where it refuses in one sentence."""
    try:
        returned = call(*given)
    except UserError as error:
        told = str(error)
        assert told and "\n" not in told and len(told) < LONGEST, told
        event("refused")
        return None
    event("right")
    return returned


# Configurations: the papers' own, with a few keys of the schema set to anything that YAML can say.

TEXTS = st.sampled_from(
    [
        "",
        " ",
        "x",
        "1",
        "1.0",
        "true",
        "null",
        "ü",
        "a b",
        "a\n",
        "{x}",
        "../x",
        "/",
        "~",
        "~x",
        "\0",
        "\ud800",
        "x" * 300,
        "-",
        "chance",
        "mfcc",
        "hubert",
        "first",
        "demo",
        "energy",
        "majority",
    ]
)
NUMBERS = st.sampled_from(
    [0, 1, 2, -1, 2.0, 0.5, -0.5, 1e-30, 1e30, 10**6, 2**31, 2**40, 10**30, float("nan"), float("inf"), float("-inf")]
)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS
KEYS = TEXTS | st.sampled_from([1, True, None, 2.5])
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=5
)


def merged():
    config = {}
    for file in (PROJECT / "config/config.yaml", *PAPERS, TINY):
        update_config(config, yaml.safe_load(file.read_text()))
    return config


BASE = merged()


def places(description, value, path=()):
    """(path, its schema) of all keys that the schema knows, and of the entries that `value` names."""
    for key, inner in description.get("properties", {}).items():
        yield (*path, key), inner
        yield from places(inner, value.get(key, {}) if isinstance(value, dict) else {}, (*path, key))
    entries = description.get("additionalProperties")
    for key, inner in value.items() if isinstance(entries, dict) and isinstance(value, dict) else ():
        yield (*path, key), entries
        yield from places(entries, inner, (*path, key))


PLACES = dict(places(schema(), BASE)) | {
    ("systems", "hubert-mean", "options", "projection"): {"type": "integer", "default": 8},
    ("encoders", "hubert", "options", "num_hidden_layers"): {"type": "integer", "default": 2},
    ("encoders", "hubert", "options", "hidden_size"): {"type": "integer", "default": 64},
    ("corpus", "classes", "one"): {"default": ["anger"]},
}


def plausible(told):
    """Values that a key may well have, by its schema."""
    numbers = [1, 2, 5] if "integer" in str(told.get("type")) else [0.5, 2] if told.get("type") == "number" else []
    values = [*numbers, *told.get("enum", ()), *([told["default"]] if told.get("default", {}) != {} else [])]
    return st.sampled_from(values) if values else VALUES


RENAMED = st.none() | st.integers(0, 9).flatmap(lambda number: st.none() if number else KEYS)
CHANGE = st.sampled_from(sorted(PLACES)).flatmap(
    lambda path: st.tuples(st.just(path), RENAMED, plausible(PLACES[path]) | plausible(PLACES[path]) | VALUES)
)
CHANGES = st.lists(CHANGE, min_size=1, max_size=3)


SPOKEN = product(["s1", "s2", "s3", "s4", "s5", "s6"], ["anger", "neutral", "sadness"], "ab")
UTTERANCES = pd.DataFrame(
    [
        ("".join(row), "demo", row[0], "female" if row[0] < "s4" else "male", row[0], row[1], "".join(row))
        for row in SPOKEN
    ],
    columns=["utterance", "corpus", "speaker", "gender", "session", "emotion", "sha256"],
)


def changed(changes):
    config = json.loads(json.dumps(BASE))
    for path, key, value in changes:
        place = config
        for step in path[:-1]:
            if not isinstance(place.get(step), dict):
                place[step] = {}
            place = place[step]
        place[path[-1] if key is None else key] = value
    return config


def planned(config):
    """What the Snakefile does of it before it plans."""
    config = complete(config)
    check_root(config)
    check_intensity(config)
    for table in config["tables"].values():
        list(recipe_sentences(config, table["rows"]))
    split(UTTERANCES, **config["folds"])
    return config


def at(config, path):
    for step in path:
        config = config.get(step) if isinstance(config, dict) else None
    return config


@quick
@given(changes=CHANGES)
def test_a_configuration_is_complete_or_refused(changes):
    config = outcome(planned, changed(changes))
    if config is not None:
        json.dumps(config, allow_nan=False).encode()
        whole = [at(config, path) for path, told in PLACES.items() if told.get("type", "")[:1] in ("i", ["integer"])]
        assert {type(number) for number in whole} <= {int, list, type(None)}
        names = [name for section in ("encoders", "units", "systems", "tables") for name in config[section]]
        assert all(isinstance(name, str) and len(name) < 120 for name in names)


@quick
@given(
    content=st.binary(max_size=60)
    | VALUES.map(lambda value: yaml.safe_dump(value, allow_unicode=True).encode("utf-8", "surrogatepass"))
    | st.lists(
        st.sampled_from(
            [
                "seeds: [0]\n",
                "folds:\n",
                "  count: 2\n",
                "\tcount: 2\n",
                "? [a]\n: b\n",
                "<<: {a: 1}\n",
                "a: &a [*a]\n",
                "ä: é\n",
                "__use_yte__: true\n",
            ]
        )
    ).map(lambda lines: "".join(lines).encode("latin-1"))
)
def test_an_overlay_is_read_or_refused(here, content):
    (here / "overlay.yaml").write_bytes(content)
    outcome(check_files, ["overlay.yaml"])


# Tables: a small right one, with cells and columns changed, in any encoding.

FEELINGS = ["joy", "joy", "fear", "fear"]
CELLS = st.sampled_from(
    [
        "",
        "a.wav",
        "b.wav",
        "no.wav",
        "../a.wav",
        "/a.wav",
        "a\\b.wav",
        "01",
        "02",
        "1",
        "1.0",
        "joy",
        "fear",
        " joy ",
        "Joy",
        "jo\u200by",
        "nan",
        "inf",
        "-1",
        "0.1",
        "0.5",
        "1e400",
        "=1+1",
        '"',
        "x" * 300,
        "ü",
        "u\u0308",
        "\0",
        "\r",
        "[a](b)",
        "{x}",
    ]
)
COLUMNS = st.sampled_from(
    [
        "path",
        " path",
        "speaker",
        "emotion",
        "gender",
        "session",
        "text",
        "start",
        "end",
        "utterance",
        "",
        "Unnamed: 0",
        "label",
    ]
)


@st.composite
def tables(draw):
    columns = ["path", "speaker", "emotion", *draw(st.lists(COLUMNS, max_size=3))]
    fine = {"start": st.sampled_from(["", "0", "0.1"]), "end": st.sampled_from(["", "0.4"]), "utterance": st.just("")}
    rows = [
        [f"{file}.wav", speaker, emotion]
        for file, speaker, emotion in zip("abcd", ["01", "02"] * 2, FEELINGS, strict=True)
    ]
    rows = [row + [draw(fine.get(column, CELLS)) for column in columns[3:]] for row in rows]
    for row in draw(st.lists(st.sampled_from(rows), max_size=2)):
        row[draw(st.integers(0, len(row) - 1))] = draw(CELLS)
    rows += draw(st.lists(st.lists(CELLS, min_size=1, max_size=5), max_size=2))
    text = draw(st.sampled_from(["\n", "\n", "\r\n", "\n\n"])).join(",".join(row) for row in [columns, *rows])
    content = text.encode(draw(st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"])), "replace")
    return content[: draw(st.sampled_from([None, None, None, 10, 50, -3]))]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("corpus")
    for seed, name in enumerate("abcd"):
        samples = np.random.default_rng(seed).uniform(-0.5, 0.5, 8000)
        soundfile.write(root / f"{name}.wav", samples, 16000)
    return root


@quick
@given(content=tables(), suffix=st.sampled_from(["csv", "csv", "csv", "csv", "tsv", "parquet"]))
def test_a_table_is_a_corpus_or_refused(corpus, content, suffix):
    table = corpus / f"labels.{suffix}"
    table.write_bytes(content)
    try:
        read = outcome(lambda: corpora.read_corpus("table", corpus, table=table.name, max_quarantined=1))
    finally:
        table.unlink()
    if read is not None:
        utterances, quarantined = read
        assert utterances["utterance"].is_unique and utterances["speaker"].nunique() > 1
        assert not quarantined["reason"].str.contains("\n").any()


# Audio: whole files of every format, with bytes changed in their headers, cut or repeated.

FORMATS = [
    ("wav", "PCM_16"),
    ("wav", "FLOAT"),
    ("wav", "IMA_ADPCM"),
    ("wav", "GSM610"),
    ("flac", "PCM_16"),
    ("aiff", "PCM_16"),
    ("au", "PCM_16"),
    ("caf", "PCM_16"),
    ("w64", "PCM_16"),
    ("rf64", "PCM_16"),
    ("nist", "PCM_16"),
    ("ogg", "VORBIS"),
    ("mp3", "MPEG_LAYER_III"),
]


@cache
def whole(suffix, subtype):
    """The bytes of half a second of noise."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"a.{suffix}")
        soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 4000), 8000, subtype=subtype)
        return path.read_bytes()


BYTES = st.lists(
    st.tuples(st.integers(0, 99), st.sampled_from([0, 1, 2, 127, 128, 255]) | st.integers(0, 255)), max_size=6
)


@quick
@given(kind=st.sampled_from(FORMATS), bytes_=BYTES, length=st.none() | st.integers(0, 9000))
def test_audio_is_decoded_or_its_fault_named(corpus, kind, bytes_, length):
    content = bytearray(whole(*kind))
    for place, value in bytes_:
        content[place] = value
    path = corpus / f"changed.{kind[0]}"
    path.write_bytes(content[:length])
    told = audio.inspect(path, [(0.0, None), (0.1, 0.2)], max_seconds=60)
    for fact, (start, end) in zip(told, [(0.0, None), (0.1, 0.2)], strict=True):
        if isinstance(fact, audio.AudioFault):
            event("refused")
            assert "\n" not in str(fact) and len(str(fact)) < LONGEST
            continue
        event("right")
        samples = audio.load(path, start, end)
        assert samples.dtype == np.float32 and samples.ndim == 1 and np.isfinite(samples).all()
        assert abs(len(samples) / audio.RATE - fact["seconds"]) < 0.01
