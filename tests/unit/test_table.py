import logging
import time

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from serflow import artifacts
from serflow.corpora import read_corpus, table
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


BAD = {
    "no .csv, .tsv or .parquet file; .*option": lambda root: root,
    "expected a table whose rows": lambda root: described(root, "path,speaker,emotion\n"),
    "well-formed table .No columns": lambda root: described(root, ""),
    "fields in line 3, saw 4": lambda root: described(root, "path,speaker,emotion\na,1,x\nb,1,y,z\n"),
    "no column 'emotion' .rename 'Emotion'.*found are 'path', 'speaker', 'Emotion'": lambda root: described(
        root, FOUR.replace("emotion", "Emotion")
    ),
    "line 4: speaker is empty": lambda root: described(root, FOUR.replace("c.wav,02", "c.wav, ")),
    "line 6: path is empty": lambda root: described(root, FOUR.replace("\nc", "\n\nc").replace("d.wav", "")),
    "not a readable Parquet": lambda root: described(root, "PAR1", name="labels.parquet"),
    "a.flac and a.wav are both utterance 'a'": lambda root: described(root, FOUR.replace("b.wav", "a.flac")),
}


@pytest.mark.parametrize("sentence", BAD)
def test_bad_table_is_one_clear_sentence(tmp_path, sentence):
    root = BAD[sentence](tmp_path)
    with pytest.raises(UserError, match=sentence) as error:
        read_corpus("table", root)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("start", "end", "sentence"),
    [
        ("soon", "1", "start is not a time"),
        ("0", "1,5", "end is not a time"),
        ("-1", "1", "start is not a time"),
        ("0", "inf", "end is not a time"),
        ("0", "nan", "end is not a time"),
        ("2", "2", "end is not after start"),
    ],
)
def test_bad_times_name_their_line(tmp_path, start, end, sentence):
    rows = f'path,speaker,emotion,start,end\na.wav,01,joy,,\na.wav,01,joy,{start},"{end}"\n'
    with pytest.raises(UserError, match=f"labels.csv, line 3: {sentence}"):
        table.scan(described(tmp_path, rows, []))


def test_option_that_the_adapter_lacks(tmp_path):
    with pytest.raises(UserError, match="Corpus table: .*tabel"):
        read_corpus("table", tmp_path, tabel="labels.csv")


def test_which_table(tmp_path):
    described(tmp_path, FOUR)
    described(tmp_path, FOUR.replace("joy", "calm"), [], "other.csv")
    with pytest.raises(UserError, match=r"found 2 tables \(labels.csv, other.csv\); .*option `table`"):
        table.scan(tmp_path)
    with pytest.raises(UserError, match="lables.csv: the option `table`"):
        table.scan(tmp_path, "lables.csv")
    for name in ["other.csv", tmp_path / "other.csv"]:
        assert set(table.scan(tmp_path, name)["emotion"]) == {"calm", "fear"}


def test_emotions_get_their_common_names_and_keep_their_own(tmp_path):
    text = FOUR.replace("01,joy", "01,Happy").replace("fear", "Mixed feelings")
    utterances, _ = read_corpus("table", described(tmp_path, text))
    assert list(utterances["label"]) == ["Happy", "Mixed feelings", "joy", "Mixed feelings"]
    assert list(utterances["emotion"]) == ["happiness", "Mixed feelings"] * 2
    own, _ = read_corpus("table", tmp_path, classes={"glad": ["happiness"], "mixed": ["Mixed feelings"]})
    assert list(own["emotion"]) == ["glad", "mixed"] * 2


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
    pd.testing.assert_frame_equal(rows, table.scan(tmp_path, "labels.csv").set_axis([1, 2, 3]))
    assert list(rows["utterance"]) == ["x-a-0.0-0.5", "x-a-0.5-end", "x-b"]
    assert list(rows["speaker"]) == ["1", "1", "2"] and list(rows["gender"]) == ["female", "female", "male"]
    assert rows["emotion"].isna().to_list() == [False, False, True]


def test_segments_missing_files_and_absolute_paths(tmp_path):
    outside = tmp_path / "elsewhere/f.wav"
    wav(outside, 9)
    wav(tmp_path / "corpus/long.wav", 7, seconds=2)
    text = (
        "path,speaker,emotion,start,end,utterance\n"
        "long.wav,1,joy,0,0.5,p\nlong.wav,2,joy,0.5,2.05,q\nlong.wav,1,fear,1,,r\nlong.wav,2,fear,1.5,4,s\n"
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


def test_large_table_scans_in_seconds(tmp_path):
    count = 300_000
    rows = "".join(f"speaker{i % 90}/{i}.wav,{i % 90:02},joy,{i}.25,{i}.75\n" for i in range(count))
    root = described(tmp_path, "path,speaker,emotion,start,end\n" + rows, [])
    began = time.perf_counter()
    scanned = table.scan(root)
    assert time.perf_counter() - began < 15
    assert len(scanned) == count and scanned["utterance"].iloc[-1] == "speaker29-299999-299999.25-299999.75"
