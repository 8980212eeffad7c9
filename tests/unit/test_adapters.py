"""Every corpus that has an adapter, as its owner lays it out, in miniature."""

import numpy as np
import pandas as pd
import pytest
import soundfile

from serflow.corpora import adapter, adapters, esd, folders, has_levels, iemocap, labels, ravdess, read_corpus
from serflow.errors import UserError

FACTS = ["speaker", "gender", "session", "text", "label", "emotion"]


def wavs(root, paths, rate=16000):
    for seed, path in enumerate(paths):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng([seed, rate]).uniform(-0.5, 0.5, round(0.3 * rate))
        soundfile.write(root / path, noise, rate, format="WAV")
    return root


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def build_casia(root):
    parents = [f"{speaker}/{emotion}" for speaker in ["liuchanhg", "ZhaoZuoxiang"] for emotion in ["angry", "sad"]]
    return wavs(root, [f"{parent}/{number}.wav" for parent in parents for number in (201, 250)])


def build_ravdess(root):
    names = [f"03-01-0{e}-01-0{s}-01-{a}" for a in ("01", "02") for e in (1, 5) for s in (1, 2)]
    return wavs(root, [f"Actor_{name[-2:]}/{name}.wav" for name in names], 48000)


def build_nemo(root):
    lines = "file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage\n"
    for name in ["WR0_surprised_64", "WR0_surprised_65"]:
        lines += f"{name}.wav\tsurprised\tUcho wykrywa dźwięki {name[-2:]}.\tucho\tWR0\tmale\t23\n"
    write(root / "data.tsv", lines)
    names = ["WR0_surprised_64", "WR0_surprised_65", "MK0_anger_64", "MK0_anger_7"]
    return wavs(root, [f"samples/{name}.wav" for name in names], 24000)


def build_savee(root):
    return wavs(root, [f"AudioData/{name}.wav" for name in ["DC/sa01", "DC/a15", "KL/sa01", "KL/a15"]], 44100)


def build_cremad(root):
    actors = "1001,51,Male,Asian,Not Hispanic\n1002,21,Female,Asian,Not Hispanic\n"
    write(root / "VideoDemographics.csv", "ActorID,Age,Sex,Race,Ethnicity\n" + actors)
    names = ["1001_DFA_ANG_XX", "1001_IEO_ANG_HI", "1002_IEO_NEU_XX", "1002_ITH_NEU_X"]
    return wavs(root, [f"AudioWAV/{name}.wav" for name in names])


def build_esd(root):
    write(root / "0011/0011.txt", "0011_000001\tThe nine.\tNeutral\r\n0011_000351\t I did go.\tAngry\r\n")
    write(root / "0001/0001.txt", "0001_000001\t打远一看\t中立\n".encode("gb18030"))
    mandarin = ["0001/Neutral/0001_000001.wav", "0001/Angry/0001_000352.wav"]
    return wavs(root, [*mandarin, "0011/Neutral/train/0011_000001.wav", "0011/Angry/evaluation/0011_000351.wav"])


HEADER = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
RATERS = "C-E2:\tNeutral;\t()\nC-F1:\tOther;\t(curious)\nA-E3:\tval 3; act 2; dom  2;\t()\n\n"
TURNS = {
    "Ses01F_impro01": "F000 neu F001 xxx F002 hap M002 exc M003 ang",
    "Ses01M_script01_1": "F000 neu F011 sad M000 exc M011 ang M012 fru",
    "Ses02F_script01_1": "F000 ang F001 sad M000 neu M001 hap",
    "Ses02M_impro05": "F000 sad F001 ang M000 neu M001 fru M002 hap M003 oth M004 sad",
}
DIALOGS = {dialog: dict(zip(turns.split()[::2], turns.split()[1::2], strict=True)) for dialog, turns in TURNS.items()}


def build_iemocap(root, newline="\n"):
    paths = []
    for dialog, turns in DIALOGS.items():
        folder = root / f"Session{dialog[4]}/dialog"
        evaluation, transcript = HEADER, ""
        for second, (turn, label) in enumerate(turns.items()):
            times = second, second + 0.3
            line = "[{:.4f} - {:.4f}]\t{}_{}\t{}\t[2.5000, 2.5000, 2.5000]\n"
            evaluation += line.format(*times, dialog, turn, label) + RATERS
            transcript += "{}_{} [{:08.4f}-{:08.4f}]: Caf\xe9, {}?\n".format(dialog, turn, *times, turn)
            paths.append(f"Session{dialog[4]}/sentences/wav/{dialog}/{dialog}_{turn}.wav")
        transcript += f"{dialog}_MXX0 [009.0000-009.1000]: Mmhm.\nM: Hm.\n"
        write(folder / f"EmoEvaluation/{dialog}.txt", evaluation.replace("\n", newline))
        write(folder / f"transcriptions/{dialog}.txt", transcript.replace("\n", newline).encode("latin-1"))
        decoy = f"[1.0000 - 2.0000]\t{dialog}_F000\tdis\t[2.5000, 2.5000, 2.5000]\n"
        write(folder / f"EmoEvaluation/._{dialog}.txt", b"\0\5\x16\7\0\2\0\0Mac OS X\n" + decoy.encode())
        write(folder / f"EmoEvaluation/Categorical/{dialog}_e2_cat.txt", f"{dialog}_F000 :Neutral state; ()\n{decoy}")
        write(folder / f"EmoEvaluation/Attribute/{dialog}_e3_atr.txt", f"{dialog}_F000 :act 2; :val 3; ;\n{decoy}")
        write(folder / f"EmoEvaluation/Self-evaluation/{dialog}_f1_cat.txt", decoy)
        paths.append(f"Session{dialog[4]}/dialog/wav/{dialog}.wav")
    return wavs(root, paths)


BUILD = {name.removeprefix("build_"): value for name, value in list(globals().items()) if name.startswith("build_")}
EXPECTED = {
    "casia": "zhaozuoxiang_sad_250|zhaozuoxiang|unknown|zhaozuoxiang|250|sad|sadness",
    "ravdess": "03-01-05-01-02-01-01|01|male|01|Dogs are sitting by the door|05|anger",
    "nemo": "WR0_surprised_64|WR0|male|WR0|Ucho wykrywa dźwięki 64.|surprised|surprise",
    "savee": "KL_sa01|KL|male|KL|sa01|sa|sadness",
    "cremad": "1002_ITH_NEU_X|1002|female|1002|I think I have a doctor's appointment|NEU|neutral",
    "esd": "0001_000352|0001|female|0001|2|Angry|anger",
    "iemocap": "Ses01F_impro01_M003|1M|male|1|Café, M003?|ang|anger",
}


@pytest.mark.parametrize("name", BUILD)
def test_a_corpus_is_read_as_its_owner_lays_it_out(tmp_path, name):
    root = BUILD[name](tmp_path)
    utterances, quarantined = read_corpus(name, root)
    assert quarantined.empty
    utterance, *facts = EXPECTED[name].split("|")
    assert utterances.set_index("utterance").loc[utterance, FACTS].to_list() == facts
    assert set(utterances["emotion"]) <= set(labels.VOCABULARY)
    assert len(utterances) == len([*root.rglob("*.wav")]) - len([*root.rglob("dialog/wav/*")])


@pytest.mark.parametrize(("name", "levels"), [("ravdess", [1] * 8), ("cremad", [np.nan, 3, np.nan, np.nan])])
def test_how_strongly_an_emotion_was_meant_is_read(tmp_path, name, levels):
    assert has_levels(name) and not has_levels("emodb")
    utterances = read_corpus(name, BUILD[name](tmp_path))[0].sort_values("path" if name == "cremad" else "utterance")
    np.testing.assert_equal(utterances["level"].to_numpy(), levels)


@pytest.mark.parametrize("name", BUILD)
def test_almost_right_folders_are_read_all_the_same(tmp_path, name):
    plain, _ = read_corpus(name, BUILD[name](tmp_path / "plain"))
    root = BUILD[name](tmp_path / "odd/another level/and one")
    for path in [*root.rglob("*.wav")]:
        path.rename(path.with_suffix(".WAV"))
        write(path.with_name(f"._{path.name}"), b"\0\5\x16\7")
        write(path.with_name(".DS_Store"), b"\0\0\0\1Bud1")
    odd, quarantined = read_corpus(name, tmp_path / "odd")
    assert quarantined.empty
    pd.testing.assert_frame_equal(plain[["utterance", *FACTS]], odd[["utterance", *FACTS]])


@pytest.mark.parametrize("name", BUILD)
def test_the_wrong_kind_of_folder_is_one_sentence(tmp_path, name):
    wavs(tmp_path, ["wav/03a01Wa.wav", "wav/x.wav"])
    with pytest.raises(UserError, match=f"^Corpus {name}: nothing labelled .* expected .*found wav/03a01Wa") as error:
        read_corpus(name, tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", [name for name in adapters() if hasattr(adapter(name), "PUBLISHED")])
def test_published_counts_agree_with_each_other(name):
    module, published = adapter(name), adapter(name).PUBLISHED
    for column in ("emotion", "label"):
        assert column not in published or sum(published[column].values()) == published["utterances"]
    assert set(module.EMOTIONS.values()) <= set(labels.VOCABULARY)
    if name in ("casia", "ravdess", "savee", "esd"):
        assert len({*published["names"]}) == published["utterances"]
    for chosen in (published[name] for name in getattr(module, "CLASSES", {}) if name in published):
        for counts in (value for value in chosen.values() if isinstance(value, dict)):
            assert sum(counts.values()) == chosen["utterances"]


def test_class_sets_of_iemocap_add_up_to_the_numbers_of_the_papers():
    by_label = iemocap.PUBLISHED["label"]
    for name, expected in [("4-class", 5531), ("6-class", 7380)]:
        wanted = {label for chosen in iemocap.CLASSES[name].values() for label in chosen}
        assert sum(count for label, count in by_label.items() if iemocap.EMOTIONS[label] in wanted) == expected
    assert len(iemocap.DIALOGS) == 151


@pytest.fixture(scope="module")
def sessions(tmp_path_factory):
    return build_iemocap(tmp_path_factory.mktemp("iemocap"))


def test_the_speaker_is_the_letter_of_the_last_token(sessions):
    utterances, _ = read_corpus("iemocap", sessions)
    rows = {row.utterance: (row.speaker, row.label) for row in utterances.itertuples()}
    turns = [(dialog, turn, label) for dialog, turns in DIALOGS.items() for turn, label in turns.items()]
    assert rows == {f"{dialog}_{turn}": (dialog[4] + turn[0], label) for dialog, turn, label in turns}
    assert rows["Ses01F_impro01_M003"] == ("1M", "ang") and rows["Ses01M_script01_1_F000"] == ("1F", "neu")


@pytest.mark.parametrize(
    ("classes", "counts"),
    [
        ("4-class", {"neutral": 4, "happiness": 5, "anger": 4, "sadness": 4}),
        ("4-class-improvised", {"neutral": 2, "happiness": 2, "anger": 2, "sadness": 2}),
        ("6-class", {"neutral": 4, "happiness": 3, "excitement": 2, "anger": 4, "sadness": 4, "frustration": 2}),
        ({"hap": ["hap"], "exc": ["excitement"]}, {"hap": 3, "exc": 2}),
        ({"no agreement": ["xxx", "oth"], "sad": ["sad"]}, {"no agreement": 2, "sad": 4}),
    ],
)
def test_classes_by_name_by_common_and_by_own_labels(sessions, classes, counts):
    utterances, quarantined = read_corpus("iemocap", sessions, classes=classes)
    assert quarantined.empty and utterances["emotion"].value_counts().to_dict() == counts


def test_classes_that_cannot_be_are_one_sentence(sessions):
    with pytest.raises(UserError, match=r"no class set '4class' .*, 6-class\); did you mean '4-class'"):
        read_corpus("iemocap", sessions, classes="4class")
    with pytest.raises(UserError, match="classes lists 'hap' and, meaning it too, 'happiness'"):
        read_corpus("iemocap", sessions, classes={"a": ["hap"], "b": ["happiness"]})
    with pytest.raises(UserError, match=r"lists label 'happy', but the corpus has anger, .*own: ang, exc"):
        read_corpus("iemocap", sessions, classes={"a": ["happy"], "b": ["ang"]})


def test_carriage_returns_change_nothing(tmp_path, sessions):
    plain, _ = read_corpus("iemocap", sessions)
    windows, _ = read_corpus("iemocap", build_iemocap(tmp_path, "\r\n"))
    pd.testing.assert_frame_equal(plain, windows)


def test_missing_and_unlabelled_files_are_told_and_quarantined(tmp_path, caplog):
    root = build_iemocap(tmp_path)
    gone = "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M003.wav"
    extra = "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M099.wav"
    (root / gone).rename(root / extra)
    utterances, quarantined = read_corpus("iemocap", root, classes="4-class", max_quarantined=0.2)
    assert len(utterances) == 16
    assert quarantined.to_numpy().tolist() == [[gone, "missing: no such file"], [extra, "unknown label"]]
    assert "Corpus iemocap: 10039 utterances expected, 20 found" in caplog.messages
    assert "Corpus iemocap, label ang: 1103 utterances expected, 3 found" in caplog.messages
    assert "Corpus iemocap, 4-class, speaker 1M: 557 utterances expected, 3 found" in caplog.messages
    missing = next(line for line in caplog.messages if "missing" in line)
    assert missing.startswith(f"Corpus iemocap: missing {gone}, Ses01F_impro02, Ses01F_impro03, ")
    assert missing.endswith(" and 138 more") and "Ses01F_impro01," not in missing


def test_the_two_layouts_of_savee_agree_and_both_at_once_are_refused(tmp_path):
    apart, _ = read_corpus("savee", build_savee(tmp_path / "folders"))
    flat = wavs(tmp_path / "flat", [f"{name}.wav" for name in ["DC_sa01", "DC_a15", "KL_sa01", "KL_a15"]], 44100)
    pd.testing.assert_frame_equal(apart.drop(columns="path"), read_corpus("savee", flat)[0].drop(columns="path"))
    build_savee(flat)
    with pytest.raises(UserError, match="AudioData/DC/a15.wav and DC_a15.wav are both utterance 'DC_a15'"):
        read_corpus("savee", flat)


def test_songs_are_no_speech(tmp_path):
    root = wavs(build_ravdess(tmp_path), ["Actor_01/03-02-05-01-01-01-01.wav"])
    assert not ravdess.scan(root)["utterance"].str.contains("03-02").any()


@pytest.mark.parametrize(("name", "table"), [("nemo", "data.tsv"), ("cremad", "VideoDemographics.csv")])
def test_tables_beside_the_audio_may_be_missing_but_not_broken(tmp_path, caplog, name, table):
    root = BUILD[name](tmp_path)
    write(root / table, "a\tb\n1\t2\n")
    with pytest.raises(UserError, match=f"{table}: this is no table with the columns"):
        read_corpus(name, root)
    (root / table).unlink()
    assert set(read_corpus(name, root)[0]["gender"]) == {"unknown"}
    assert f"there is no {table}, so" in caplog.text and "genders are unknown" in caplog.text


def test_the_same_sentence_has_the_same_text_in_every_emotion_of_esd(tmp_path):
    root = wavs(tmp_path, [f"0012/{label}/0012_{n:06}.wav" for label, n in [("Neutral", 350), ("Happy", 1050)]])
    assert esd.scan(root)["text"].to_list() == ["350", "350"]
    texts = esd.scan(build_esd(tmp_path / "told")).set_index("utterance")["text"]
    assert texts["0001_000001"] == "打远一看" and texts["0011_000351"] == "I did go."


def test_corpora_are_read_in_other_formats_than_their_owner_s(tmp_path):
    names = ["wav/03a01Wa.wav", "wav/03a02Na.wav", "wav/08a01Na.wav", "wav/08a02Wa.wav"]
    plain, _ = read_corpus("emodb", wavs(tmp_path / "plain", names))
    for suffix in ("flac", "ogg", "mp3", "FLAC"):
        folder = tmp_path / suffix
        for name in names:
            samples, rate = soundfile.read(tmp_path / "plain" / name)
            (folder / "wav").mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / name.replace("wav", suffix).replace(f"{suffix}/", "wav/"), samples, rate)
        other, quarantined = read_corpus("emodb", folder)
        assert quarantined.empty and list(other["utterance"]) == list(plain["utterance"])
        assert list(other["speaker"]) == list(plain["speaker"])


def test_of_an_utterance_in_several_formats_the_owner_s_counts(tmp_path):
    wavs(tmp_path, ["a/03a01Wa.wav", "a/03a02Na.wav", "other.wav", "b/03a01Wa.mp3", "b/08a01Na.flac", "b/jingle.mp3"])
    found = folders.recordings(tmp_path, r"(?P<speaker>\d\d)[ab]\d\d[A-Z][a-z]")
    assert list(found["path"]) == ["a/03a01Wa.wav", "a/03a02Na.wav", "b/08a01Na.flac", "other.wav"]


def test_speech_without_labels_is_read_at_any_depth_and_cut(tmp_path):
    wavs(tmp_path, ["19/198/19-198-0001.wav", "19/227/19-227-0000.wav", "26/495/26-495-0000.wav", "top.wav"])
    long = np.random.default_rng(0).uniform(-0.5, 0.5, 16000 * 5)
    soundfile.write(tmp_path / "26" / "long.flac", long, 16000)
    (tmp_path / "19" / "198" / "19-198.trans.txt").write_text("19-198-0001 SOME WORDS\n")
    utterances, quarantined = read_corpus("speech", tmp_path, longest=2.0)
    assert quarantined.empty and set(utterances["emotion"]) == {"unlabelled"}
    pieces = utterances[utterances["path"] == "26/long.flac"]
    assert list(pieces["utterance"]) == ["26/long.flac#0", "26/long.flac#1", "26/long.flac#2"]
    np.testing.assert_allclose(pieces["seconds"], 5 / 3, atol=1e-4)
    assert len(utterances) == 7 and utterances["speaker"].nunique() == 5  # a recording is a voice of its own
    (tmp_path / "top.wav").unlink()
    for speaker in (1, r"^(?P<speaker>\d+)/"):
        named, _ = read_corpus("speech", tmp_path, speaker=speaker)
        assert set(named["speaker"]) == {"19", "26"}


@pytest.mark.parametrize(
    ("speaker", "told"),
    [(2, "finds no speaker in a.wav"), ("x", r"has no group"), (r"(?P<speaker>\d)/", "finds no speaker in a.wav")],
)
def test_speakers_that_paths_do_not_tell(tmp_path, speaker, told):
    wavs(tmp_path, ["a.wav", "b.wav"])
    with pytest.raises(UserError, match=told):
        read_corpus("speech", tmp_path, speaker=speaker)
