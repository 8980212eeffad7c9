import logging
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from serflow import artifacts
from serflow.corpora import labelled, read_corpus, table
from serflow.errors import UserError

FOUR = "path,speaker,emotion\na.wav,01,joy\nb.wav,01,fear\nc.wav,02,joy\nd.wav,02,fear\n"


def wav(path, seed=0, seconds=0.2, rate=16000, channels=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(seed).uniform(-0.5, 0.5, (round(seconds * rate), channels))
    soundfile.write(path, samples, rate)


def described(root, text, files=("a.wav", "b.wav", "c.wav", "d.wav"), name="labels.csv"):
    for seed, file in enumerate(files):
        wav(root / file, seed)
    root.mkdir(exist_ok=True)
    (root / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def test_which_table_and_column(tmp_path):
    described(tmp_path, FOUR)
    described(tmp_path, FOUR.replace("joy", "calm").replace("emotion", "mood"), [], "other.csv")
    for name in ["other.csv", tmp_path / "other.csv"]:
        assert set(table.scan(tmp_path, name, "mood")["emotion"]) == {"calm", "fear"}


def test_emotions_get_their_common_names_and_keep_their_own(tmp_path):
    text = FOUR.replace("01,joy", "01,Happy").replace("fear", "Mixed feelings")
    utterances, _ = read_corpus("table", described(tmp_path, text))
    assert list(utterances["label"]) == ["Happy", "Mixed feelings", "joy", "Mixed feelings"]
    assert list(utterances["emotion"]) == ["happiness", "Mixed feelings"] * 2
    own, _ = read_corpus("table", tmp_path, classes={"glad": ["happiness"], "mixed": ["Mixed feelings"]})
    assert list(own["emotion"]) == ["glad", "mixed"] * 2


def test_speakers_and_emotions_that_are_read_alike_are_told_and_count_as_two(tmp_path, caplog):
    emotions = ["Joy", "joy", "Half asleep", "half  asleep"] * 2
    rows = (f"{s}/{n}.wav,{s},{emotion}\n" for s in ("s 01", "S01") for n, emotion in enumerate(emotions))
    (tmp_path / "labels.csv").write_text("path,speaker,emotion\n" + "".join(rows))
    utterances, classes = labelled("table", tmp_path, None, {})
    assert set(utterances["speaker"]) == {"s 01", "S01"}
    assert sorted(classes) == ["Half asleep", "half  asleep", "happiness"]
    alike = ["the speakers 'S01' and 's 01'", "the emotions 'Half asleep' and 'half  asleep'"]
    assert caplog.messages == [
        f"Corpus table: {two} are read alike and count as two; write them alike if they are one" for two in alike
    ]


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ("J\u00f6rg", "Jo\u0308rg", r"'Jo\u0308rg' and 'J\xf6rg'"),
        ("1", "1.0", "'1' and '1.0'"),
        ("1", "01", "'01' and '1'"),
        ("ab", "a\u200bb", r"'ab' and 'a\u200bb'"),
        ("\u00c4rger", "\u00e4rger", "'\u00c4rger' and '\u00e4rger'"),
        ("1", "10", None),
    ],
)
def test_one_voice_in_two_forms_is_told(tmp_path, caplog, one, other, told):
    rows = [
        f"{name}{n}.wav,{name},{emotion}" for name in (one, other) for n, emotion in enumerate(["joy", "fear"] * 2)
    ]
    (tmp_path / "labels.csv").write_text("\n".join(["path,speaker,emotion", *rows]), encoding="utf-8")
    labelled("table", tmp_path, None, {})
    end = "are read alike and count as two; write them alike if they are one"
    assert caplog.messages == ([f"Corpus table: the speakers {told} {end}"] if told else [])


@pytest.mark.parametrize("twice", ["speaker", " speaker", "speaker "])
def test_a_column_that_is_there_twice_is_told(tmp_path, twice):
    (tmp_path / "labels.csv").write_text(FOUR.replace("emotion", f"emotion,{twice}", 1))
    with pytest.raises(UserError, match="labels.csv: the column 'speaker' is there twice; rename or remove one"):
        labelled("table", tmp_path, None, {})


def test_overlapping_segments_of_a_speaker_cannot_have_two_emotions(tmp_path):
    head, rows = (
        "path,speaker,emotion,start,end\n",
        ["a.wav,01,joy,0,1\n", "a.wav,01,fear,1,2\n", "b.wav,02,joy,,\n", "b.wav,03,fear,,\n"],
    )
    labels = tmp_path / "labels.csv"
    labels.write_text(
        head + "".join([*rows[:2], "a.wav,02,fear,0.5,1\n", "b.wav,01,joy,,\n"])
    )  # speakers may overlap
    labelled("table", tmp_path, None, {})
    for wrong in ("a.wav,01,fear,0.5,0.8\n", "a.wav,01,fear,,\n", "a.wav,01,fear,0,1\n"):
        labels.write_text(head + "".join([*rows[:2], wrong]))
        with pytest.raises(UserError, match=r"labels.csv, line \d: it overlaps line \d, another emotion"):
            labelled("table", tmp_path, None, {})


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
@pytest.mark.parametrize(("name", "separator"), [("labels.csv", ","), ("labels.TSV", "\t")])
def test_tables_of_every_hand_are_read(tmp_path, newline, encoding, name, separator):
    text = FOUR.replace("joy", "Ärger").replace("\nc", "\n\nc")
    text = text.replace(",", separator).replace("\n", newline)
    utterances, quarantined = read_corpus("table", described(tmp_path, text.encode(encoding), name=name))
    assert quarantined.empty
    assert list(utterances["speaker"]) == ["01", "01", "02", "02"]
    assert list(utterances["session"]) == ["01", "01", "02", "02"]
    assert list(utterances["emotion"]) == ["Ärger", "fear"] * 2
    assert list(utterances["utterance"]) == ["a", "b", "c", "d"]
    assert set(utterances["gender"]) == {"unknown"} and set(utterances["text"]) == {""}


def test_parquet_and_csv_agree(tmp_path):
    frame = pd.DataFrame(
        {
            "path": ["x/a.wav", "x/a.wav", "x/b.wav"],
            "speaker": [1, 1, 2],
            "emotion": pd.Categorical(["joy", "fear", None]),
            "gender": ["F", "f", "male"],
            "start": [0.0, 0.5, np.nan],
            "end": [0.5, np.nan, np.nan],
        }
    )
    frame.to_csv(tmp_path / "labels.csv", index=False)
    frame.to_parquet(tmp_path / "labels.parquet")
    rows = table.scan(tmp_path, "labels.parquet")
    pd.testing.assert_frame_equal(
        *(told.reset_index(drop=True) for told in (rows, table.scan(tmp_path, "labels.csv")))
    )
    assert list(rows["utterance"]) == ["x-a-0.0-0.5", "x-a-0.5-end", "x-b"]
    assert list(rows["speaker"]) == ["1", "1", "2"] and list(rows["gender"]) == ["female", "female", "male"]
    assert rows["emotion"].isna().to_list() == [False, False, True]


def test_segments_missing_files_and_absolute_paths(tmp_path):
    outside = tmp_path / "elsewhere/f.wav"
    wav(outside, 9)
    wav(tmp_path / "corpus/long.wav", 7, seconds=2)
    text = (
        "path,speaker,emotion,start,end,utterance\n"
        "long.wav,1,joy,0,0.5,p\nlong.wav,2,joy,0.5,2.05,q\nlong.wav,1,fear,1,,r\nlong.wav,1,fear,1.5,4,s\n"
        f"gone.wav,1,joy,,,t\n{outside},2,fear,,,u\nlong.wav,2,fear,0,.5,v\n"
    )
    root = described(tmp_path / "corpus", text, [])
    utterances, quarantined = read_corpus("table", root, max_quarantined=0.5)
    assert dict(zip(utterances["utterance"], utterances["seconds"], strict=True)) == {
        "p": 0.5,
        "q": 1.5,
        "r": 1.0,
        "u": 0.2,
    }
    assert list(utterances["path"]) == ["long.wav"] * 3 + [str(outside)]
    assert utterances["sha256"][0] == artifacts.digest(root / "long.wav")
    assert list(quarantined["file"]) == ["long.wav", "gone.wav", "long.wav"]
    assert [reason.split(":")[0] for reason in quarantined["reason"]] == ["outside", "missing", "duplicate"]
    assert quarantined["reason"][0].endswith("(utterance s)")


def test_conversion_is_told_and_the_utterances_stay(tmp_path, caplog):
    root = described(tmp_path, FOUR)
    wav(root / "b.wav", 1, rate=48000, channels=2)
    wav(root / "c.wav", 2, rate=48000)
    with caplog.at_level(logging.INFO, logger="serflow"):
        utterances, _ = read_corpus("table", root)
    assert list(utterances["sample_rate"]) == [16000, 48000, 48000, 16000]
    assert caplog.messages == ["Corpus table: 2 files resampled from 48000 Hz, 1 files mixed down from 2 channels"]


@pytest.fixture(scope="module")
def shuffled(tmp_path_factory):
    root = described(tmp_path_factory.mktemp("shuffled"), FOUR)
    (root / "e.wav").write_bytes((root / "b.wav").read_bytes())
    return root


@settings(max_examples=15, deadline=None)
@given(st.permutations([*FOUR.splitlines()[1:], "e.wav,02,fear"]))
def test_order_of_the_corpus_does_not_matter(shuffled, lines):
    (shuffled / "labels.csv").write_text("\n".join(["path,speaker,emotion", *lines]))
    utterances, quarantined = read_corpus("table", shuffled, max_quarantined=0.5)
    assert list(utterances["utterance"]) == ["a", "b", "c", "d"]
    assert quarantined["reason"].to_list() == ["duplicate: the same samples as b"]


LARGE = """
import sys, time
from pathlib import Path
from serflow import corpora, folds
from serflow.corpora import folders  # with what it imports, so that the clock sees the work alone
began = time.process_time()
rows, _ = corpora.labelled("table", sys.argv[1], {"glad": ["happiness"], "afraid": ["fear"]}, {})
assert len(rows) == 300_000 and rows["utterance"].is_monotonic_increasing
parts = folds.split(rows.assign(sha256=rows["path"] + rows["start"].astype(str)))
assert len(parts) == 5 * 300_000
# Not getrusage, whose maximum a child begins with its parent's.
peak = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
print(time.process_time() - began, int(peak) * 1024)
"""


def test_large_corpus_is_checked_and_split_in_seconds_and_little_memory(tmp_path):
    rows = (f"speaker{i % 90}/{i}.wav,{i % 90:02},{('joy', 'fear')[i % 2]},{i}.25,{i}.75\n" for i in range(300_000))
    (tmp_path / "labels.csv").write_text("path,speaker,emotion,start,end\n" + "".join(rows))
    command = [sys.executable, "-c", LARGE, tmp_path]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    seconds, size = map(float, done.stdout.split())
    assert seconds < 10 and size < 1e9, done.stdout
