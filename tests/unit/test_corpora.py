import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from serflow import artifacts
from serflow.corpora import COLUMNS, adapters, emodb, folders, iemocap, labels, nemo, read_corpus, savee
from serflow.errors import UserError
from serflow.provenance import listing_digest

NAMES = ["03a01Wa", "03a02Na", "03b01Wb", "08a01Na", "08a02Wa", "08a02Wc", "10b10Nd"]
EMODB = os.environ.get("SERFLOW_EMODB")


def wav(path, seed=0, seconds=0.2):
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * 16000))
    soundfile.write(path, samples, 16000)


def berlin(root, names=NAMES, folder="wav"):
    for seed, name in enumerate(names):
        wav(root / folder / f"{name}.wav", seed)
    return root


def test_emodb_names_are_read(tmp_path):
    utterances, quarantined = read_corpus("emodb", berlin(tmp_path))
    assert list(utterances) == COLUMNS and list(utterances["utterance"]) == sorted(NAMES)
    assert quarantined.empty and list(quarantined) == ["file", "reason"]
    row = utterances.set_index("utterance").loc["10b10Nd"].to_dict()
    assert np.isnan(row.pop("end")) and np.isnan(row.pop("level")) and len(row.pop("samples")) == 64
    assert row == {
        "corpus": "emodb",
        "path": "wav/10b10Nd.wav",
        "speaker": "10",
        "gender": "male",
        "session": "10",
        "text": "b10",
        "label": "N",
        "emotion": "neutral",
        "start": 0.0,
        "seconds": 0.2,
        "sample_rate": 16000,
        "sha256": artifacts.digest(tmp_path / "wav/10b10Nd.wav"),
    }


def test_emodb_layouts_agree_and_clutter_is_ignored(tmp_path):
    plain, _ = read_corpus("emodb", berlin(tmp_path / "plain", folder=""))
    deep = berlin(tmp_path / "deep", reversed(NAMES), "EmoDB/wav")
    for path in (deep / "EmoDB/wav").iterdir():
        path.rename(path.with_suffix(".WAV"))
    for name in ["._03a01Wa.wav", ".DS_Store", "notes.txt"]:
        (deep / "EmoDB/wav" / name).write_text("clutter")
    nested, quarantined = read_corpus("emodb", deep)
    assert quarantined.empty
    labels = ["utterance", "speaker", "gender", "session", "text", "emotion"]
    pd.testing.assert_frame_equal(plain[labels], nested[labels])


def test_folders_that_are_links_are_entered_once_whatever_circles_they_make(tmp_path):
    root, elsewhere = tmp_path / "root", berlin(tmp_path / "elsewhere")
    root.mkdir()
    (root / "again").symlink_to(elsewhere / "wav")
    (root / "speech").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(root)
    (root / "up").symlink_to(root)
    assert folders.below(root) == [f"again/{name}.wav" for name in sorted(NAMES)]
    assert len(read_corpus("emodb", root)[0]) == len(NAMES)
    wav(root / "own/real/x.wav")
    (root / "a").symlink_to(root / "own/real")
    assert "own/real/x.wav" in folders.below(root) and "a/x.wav" not in folders.below(root)
    with pytest.raises(UserError, match="found again/03a01Wa.wav, "):
        read_corpus("ravdess", root)


def test_names_that_tell_no_emotion_are_quarantined(tmp_path):
    berlin(tmp_path, [*NAMES, "03a01Xa", "take two"])
    utterances, quarantined = read_corpus("emodb", tmp_path, max_quarantined=2 / 9)
    assert list(utterances["utterance"]) == sorted(NAMES)
    assert list(quarantined["file"]) == ["wav/03a01Xa.wav", "wav/take two.wav"]


def test_the_case_of_file_names_does_not_matter(tmp_path):
    for name in ["DC_a01", "dc_N02", "WR0_anger_1", "wr0_Fear_2", "SES01F_IMPRO01_M003", "ses01f_impro01_f000"]:
        (tmp_path / f"{name}.wav").touch()
    (tmp_path / "data.tsv").write_text("file_id\traw_text\tgender\n" + "WR0_fear_2.wav\tTak.\tmale\n")
    turns = "".join(f"[0.0 - 1.0]\tSes01F_impro01_{turn}\tang\t[2.5, 2.5, 2.5]\n" for turn in ("M003", "F000"))
    (tmp_path / "EmoEvaluation").mkdir()
    (tmp_path / "EmoEvaluation/Ses01F_impro01.txt").write_text(turns)

    def known(corpus, *columns):
        rows = (
            corpus.scan(tmp_path).dropna(subset="emotion").sort_values("utterance", key=lambda name: name.str.lower())
        )
        return rows[["speaker", "emotion", *columns]].to_numpy().tolist()

    assert known(savee, "utterance") == [["DC", "anger", "DC_a01"], ["DC", "neutral", "DC_n02"]]
    assert known(nemo, "text", "gender") == [["WR0", "anger", "1", "unknown"], ["WR0", "fear", "Tak.", "male"]]
    paths = ["ses01f_impro01_f000.wav", "SES01F_IMPRO01_M003.wav"]
    assert known(iemocap, "path") == [["1F", "anger", paths[0]], ["1M", "anger", paths[1]]]


def test_classes_pick_and_merge_silently(tmp_path):
    root = berlin(tmp_path, [*NAMES, "03a01Ta", "08a01Tb", "10a01La"])
    classes = {"loud": ["anger"], "quiet": ["neutral", "sadness"]}
    utterances, quarantined = read_corpus("emodb", root, classes=classes)
    assert quarantined.empty
    assert utterances["emotion"].value_counts().to_dict() == {"quiet": 5, "loud": 4}
    assert "10a01La" not in set(utterances["utterance"])


def test_class_that_quarantine_empties_is_an_error(tmp_path):
    berlin(tmp_path, [*NAMES, "03a01Ta", "08a01Tb"])
    for name in ["03a01Ta", "08a01Tb"]:
        (tmp_path / f"wav/{name}.wav").write_bytes(b"")
    with pytest.raises(UserError, match="class 'sadness' has 0 utterances"):
        read_corpus("emodb", tmp_path, max_quarantined=0.5)


def test_progress_sees_every_file_once(tmp_path):
    seen = []

    def progress(files):
        seen.extend(path for path, _ in files)
        return files

    read_corpus("emodb", berlin(tmp_path), progress=progress)
    assert sorted(seen) == [f"wav/{name}.wav" for name in sorted(NAMES)]


def test_differences_from_the_published_counts_are_told_and_completeness_is_not(tmp_path, caplog, monkeypatch):
    counts = {"utterances": 7, "speakers": 3, "emotion": {"anger": 4, "neutral": 3}, "names": NAMES}
    monkeypatch.setattr(emodb, "PUBLISHED", counts)
    root = berlin(tmp_path)
    with caplog.at_level(logging.WARNING):
        read_corpus("emodb", root)
        assert caplog.messages == []
        (root / "wav/08a02Wa.wav").unlink()
        read_corpus("emodb", root)
    assert caplog.messages == [
        "Corpus emodb: 7 utterances expected, 6 found",
        "Corpus emodb, emotion anger: 4 utterances expected, 3 found",
        "Corpus emodb: missing 08a02Wa",
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_text_of_every_encoding(tmp_path, encoding):
    (tmp_path / "x.txt").write_bytes("déjà\r\n".encode(encoding))
    assert folders.read_text(tmp_path / "x.txt") == "déjà\r\n"


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from([*labels.SYNONYMS, "Ärger", "x"]), min_size=1), st.data())
def test_harmonising_twice_is_harmonising_once_and_every_row_goes_where_its_label_says(own, data):
    own = pd.Series(own, dtype=object)
    common = labels.harmonised(own.str.upper())
    assert labels.harmonised(common).equals(common)
    assert set(common) <= {*labels.VOCABULARY, "ÄRGER", "X"}
    rows = pd.DataFrame({"utterance": map(str, own.index), "label": own, "emotion": labels.harmonised(own)})
    wanted = data.draw(st.lists(st.sampled_from(sorted({*rows["emotion"]})), min_size=1, unique=True))
    chosen, _ = labels.choose("x", emodb, rows, {f"class {emotion}": [emotion] for emotion in wanted})
    assert len(chosen) == rows["emotion"].isin(wanted).sum()
    assert (chosen["emotion"] == "class " + rows["emotion"][chosen.index]).all()


def test_importing_corpora_does_not_import_torch():
    code = "import sys, serflow.corpora.emodb, serflow.corpora.table; sys.exit('torch' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0
    assert {"emodb", "joined", "table"} <= {*adapters()} and not {"audformat", "folders"} & {*adapters()}


@pytest.mark.skipif(not EMODB, reason="SERFLOW_EMODB does not name the corpus' folder")
def test_real_emodb_has_its_published_counts():
    utterances, quarantined = read_corpus("emodb", EMODB)
    assert quarantined.empty and len(utterances) == emodb.PUBLISHED["utterances"]
    assert utterances["emotion"].value_counts().to_dict() == emodb.PUBLISHED["emotion"]
    assert utterances["speaker"].nunique() == emodb.PUBLISHED["speakers"]
    assert (utterances["sample_rate"] == 16000).all() and 24.7 < utterances["seconds"].sum() / 60 < 24.9


def test_names_that_are_not_utf8_are_told_where_a_corpus_needs_them_and_count_elsewhere(tmp_path):
    for name in (b"03a01Wa.wav", b"notes-caf\xe9.doc"):
        Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))).touch()
    before = listing_digest(tmp_path)
    assert folders.files(tmp_path, r"[^/]+\.wav") == ["03a01Wa.wav"]
    Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), b"caf\xe9.wav"))).touch()
    assert listing_digest(tmp_path) != before
    with pytest.raises(UserError, match=r"caf\\udce9\.wav: this name is not UTF-8; rename the file or its folder\.$"):
        folders.files(tmp_path, r"[^/]+\.wav")
