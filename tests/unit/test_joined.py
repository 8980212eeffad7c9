import logging

import numpy as np
import pytest
import soundfile

from serflow.corpora import demo, emodb, read_corpus

BERLIN = ["03a01Wa", "03a02Na", "08a01Na", "08a02Wa", "08a02Fc", "03a05Fa"]
TURNS = {"impro01_F000": "ang", "impro01_M001": "exc", "script01_1_M002": "hap", "impro01_F003": "neu"}
SESSIONS = {f"Ses01F_{turn}": label for turn, label in (TURNS | {"impro01_F004": "exc"}).items()}


def sound(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(seed).uniform(-0.5, 0.5, 4000), 16000)


@pytest.fixture
def parts(tmp_path):
    """EMO-DB below the common root, IEMOCAP elsewhere and a table between them."""
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    for seed, name in enumerate(BERLIN):
        sound(root / f"berlin/wav/{name}.wav", seed)
    (elsewhere / "Session1/dialog/EmoEvaluation").mkdir(parents=True)
    for seed, (name, label) in enumerate(SESSIONS.items()):
        dialog = name.rpartition("_")[0]
        sound(elsewhere / f"Session1/sentences/wav/{dialog}/{name}.wav", seed + 100)
        with open(elsewhere / f"Session1/dialog/EmoEvaluation/{dialog}.txt", "a") as file:
            file.write(f"[0.0000 - 1.0000]\t{name}\t{label}\t[2.5, 2.5, 2.5]\n")
    for seed in range(2):
        sound(root / f"own/{seed}.wav", seed + 200)
    (root / "own/a.csv").write_text("path,speaker,mood\n0.wav,03,Angry\n1.wav,03,neu\n")
    (root / "own/b.csv").touch()
    corpora = {
        "de": {"adapter": "emodb", "folder": "berlin"},
        "us": {"adapter": "iemocap", "folder": str(elsewhere)},
        "own": {"adapter": "table", "folder": "own", "options": {"table": "a.csv", "column": "mood"}},
    }
    return root, corpora


def test_parts_keep_their_labels_and_nothing_collides(parts):
    root, corpora = parts
    utterances, quarantined = read_corpus("joined", root, corpora=corpora)
    assert quarantined.empty and len(utterances) == len(BERLIN) + len(SESSIONS) + 2
    assert utterances["utterance"].is_monotonic_increasing
    assert {*utterances["speaker"]} == {"de-03", "de-08", "own-03", "us-1F", "us-1M"}
    columns = ["corpus", "path", "speaker", "session", "gender", "label", "emotion"]
    rows = utterances.set_index("utterance")[columns].T
    assert rows["de-03a01Wa"].to_list() == ["de", "berlin/wav/03a01Wa.wav", "de-03", "de-03", "male", "W", "anger"]
    assert rows["own-0"].to_list() == ["own", "own/0.wav", "own-03", "own-03", "unknown", "Angry", "anger"]
    path = f"{corpora['us']['folder']}/Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M001.wav"
    expected = ["us", path, "us-1M", "us-1", "male", "exc", "excitement"]
    assert rows["us-Ses01F_impro01_M001"].to_list() == expected


def test_classes_are_of_the_common_vocabulary(parts):
    root, corpora = parts
    chosen = {"loud": ["anger", "excitement"], "calm": ["neutral"]}
    utterances, quarantined = read_corpus("joined", root, corpora=corpora, classes=chosen)
    assert quarantined.empty
    counts = {("de", "loud"): 2, ("de", "calm"): 2, ("us", "loud"): 3, ("us", "calm"): 1}
    assert utterances[["corpus", "emotion"]].value_counts().to_dict() == counts | {
        ("own", "loud"): 1,
        ("own", "calm"): 1,
    }
    assert {*utterances["label"]} == {"W", "N", "ang", "exc", "neu", "Angry"}


def test_a_class_set_is_that_of_each_part_and_published_counts_are_told_of_each(parts, caplog, monkeypatch):
    root, corpora = parts
    sad = {"adapter": "table", "folder": "sad"}
    for seed in range(2):
        sound(root / f"sad/{seed}.wav", seed + 300)
    (root / "sad/x.csv").write_text("path,speaker,emotion\n0.wav,1,sad\n1.wav,1,sad\n")
    monkeypatch.setattr(emodb, "PUBLISHED", {"utterances": 7, "4-class": {"speaker": {"03": 3, "08": 4}}})
    with caplog.at_level(logging.WARNING):
        utterances, _ = read_corpus("joined", root, corpora={**corpora, "sad": sad}, classes="4-class")
    happy = utterances[utterances["emotion"] == "happiness"]
    assert {*happy["label"]} == {"F", "exc", "hap"}  # IEMOCAP's set takes the excited as happy
    assert "Corpus de: 7 utterances expected, 6 found" in caplog.messages
    assert "Corpus de, 4-class, speaker 08: 4 utterances expected, 3 found" in caplog.messages
    assert "Corpus us, 4-class, speaker 1F: 528 utterances expected, 3 found" in caplog.messages
    assert not any("speaker 03" in line or "Corpus own" in line for line in caplog.messages)


def test_the_demo_can_be_a_part(parts):
    root, corpora = parts
    demo.synthesise(root / "demo", speakers=2, emotions=["anger", "neutral"], sentences=1)
    joined = {"de": corpora["de"], "made": {"adapter": "demo", "folder": "demo"}}
    utterances, _ = read_corpus("joined", root, corpora=joined, classes={"a": ["anger"], "n": ["neutral"]})
    assert {*utterances["corpus"]} == {"de", "made"}
