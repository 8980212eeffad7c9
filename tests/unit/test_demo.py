from collections import Counter

import numpy as np
import pandas as pd
import pytest
import soundfile

from serflow.artifacts import digest
from serflow.corpora import demo, read_corpus
from serflow.errors import UserError

SMALL = {"speakers": 2, "emotions": ("neutral", "fear"), "sentences": 2}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("demo") / "corpus"
    demo.synthesise(root, speakers=4)
    return root


@pytest.fixture(scope="module")
def measured(corpus):
    """Every voiced frame of 40 ms, F0 by autocorrelation (Boersma 1993)."""
    return pd.concat([frames(corpus, row) for row in demo.scan(corpus).itertuples()], ignore_index=True)


def frames(root, row):
    samples, rate = soundfile.read(root / row.path)
    blocks = np.lib.stride_tricks.sliding_window_view(samples, 640)[::160]
    decibel = 10 * np.log10(np.mean(blocks**2, axis=1) + 1e-12)
    window = np.hanning(640)
    powers = np.abs(np.fft.rfft(np.stack([blocks * window, np.broadcast_to(window, blocks.shape)]), 2048)) ** 2
    correlation, bias = np.fft.irfft(powers)[:, :, : rate // 60]
    correlation /= correlation[:, :1] * bias / bias[:, :1]
    lags = np.arange(rate // 450, rate // 60)
    table = {
        "intensity": pd.read_csv(root / "intensity" / f"{row.utterance}.csv").intensity[2 : 2 + len(blocks)],
        "decibel": decibel,
        "semitones": 12 * np.log2(rate / lags[np.argmax(correlation[:, lags], axis=1)]),
        "seconds": len(samples) / rate,
    }
    voiced = correlation[:, lags].max(axis=1) > 0.7
    return pd.DataFrame(table).assign(speaker=row.speaker, emotion=row.emotion)[voiced]


def test_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path):
    for name, seed in [("one", 1), ("two", 1), ("other", 2)]:
        demo.synthesise(tmp_path / name, seed=seed, **SMALL)
    assert digest(tmp_path / "one") == digest(tmp_path / "two") != digest(tmp_path / "other")


def test_an_utterance_is_the_same_whichever_others_are_asked_for(corpus, tmp_path):
    demo.synthesise(tmp_path / "few", speakers=2, emotions=("sadness",), sentences=1)
    for path in (tmp_path / "few").glob("*/*"):
        assert path.read_bytes() == (corpus / path.parent.name / path.name).read_bytes()


def test_the_folder_is_complete_and_replaces_what_was_there(tmp_path):
    root = tmp_path / "corpus"
    root.mkdir()
    (root / "stale.wav").touch()
    demo.synthesise(root, **SMALL)
    names = {f"s0{s}_{emotion}_{i}" for s in (1, 2) for emotion in SMALL["emotions"] for i in (1, 2)}
    assert {path.name for path in root.iterdir()} == {"wav", "intensity", "labels.csv"}
    assert {path.name for path in (root / "wav").iterdir()} == {f"{name}.wav" for name in names}
    assert {path.name for path in (root / "intensity").iterdir()} == {f"{name}.csv" for name in names}


def test_intensity_is_on_the_grid_of_the_audio_and_zero_when_neutral(corpus):
    for row in demo.scan(corpus).itertuples():
        info = soundfile.info(corpus / row.path)
        assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")
        assert 1 < info.duration < 4
        table = pd.read_csv(corpus / "intensity" / f"{row.utterance}.csv")
        np.testing.assert_allclose(table.time, np.arange(info.frames / 160) / 100)
        assert table.intensity.between(0, 1).all()
        assert table.intensity.diff().abs().max() < 0.15
        assert (table.intensity.max() == 0) if row.emotion == "neutral" else (table.intensity.max() > 0.5)


def test_every_speaker_says_the_same_sentences_in_every_emotion(corpus):
    rows = demo.scan(corpus)
    assert rows.groupby(["speaker", "emotion"]).text.apply(tuple).nunique() == 1
    assert rows.text.nunique() == 6


def test_scan_is_what_read_corpus_asks_for(corpus):
    rows = demo.scan(corpus)
    assert set(rows) == {"utterance", "path", "speaker", "gender", "session", "text", "label", "emotion"}
    assert len(rows) == 4 * 4 * 6 and (rows.session == rows.speaker).all()
    assert Counter(rows.groupby("speaker").gender.first()) == {"female": 2, "male": 2}
    utterances, quarantined = read_corpus("demo", corpus)
    assert len(utterances) == len(rows) and quarantined.empty


@pytest.mark.parametrize("emotion, sign", [("anger", 1), ("happiness", 1), ("sadness", -1)])
def test_emotion_moves_loudness_pitch_and_rate_of_every_speaker_as_the_table_says(measured, emotion, sign):
    means = measured.groupby(["emotion", "speaker"])[["decibel", "semitones", "seconds"]].mean()
    change = (means.loc[emotion] - means.loc["neutral"]) * [sign, sign, -sign]
    assert (change > 0).all(axis=None)
    assert (change.mean() > [1.5, 1.5, 0.1]).all()


def test_speech_is_emotional_where_intensity_is_high_and_neutral_where_it_is_low(measured):
    neutral = measured[measured.emotion == "neutral"].groupby("speaker")[["decibel", "semitones"]].mean()
    for emotion, sign in [("anger", 1), ("happiness", 1), ("sadness", -1)]:
        rows = measured[measured.emotion == emotion]
        change = sign * (rows[["decibel", "semitones"]] - neutral.loc[rows.speaker].to_numpy())
        low, high = change[rows.intensity < 0.25].mean(), change[rows.intensity > 0.6].mean()
        assert (high > 2).all(), emotion
        assert (low.abs() < high / 2).all(), emotion


@pytest.mark.parametrize("emotion", demo.EMOTIONS)
def test_every_emotion_is_audible_and_unclipped(emotion):
    samples, curve = demo.utter(0, 0, 0, emotion)
    assert np.abs(samples.astype(int)).max() > 1000
    assert np.mean(np.abs(samples.astype(int)) >= 32767) < 1e-3
    assert len(samples) == 160 * len(curve)


def test_an_unknown_emotion_is_named_and_nothing_is_written(tmp_path):
    with pytest.raises(UserError, match=r"'joy'.*happiness"):
        demo.synthesise(tmp_path / "corpus", emotions=("neutral", "joy"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"\xff\xfe\x00",
        b"utterance,path\na,b\n",
        b"utterance,path,speaker,gender,text,emotion\na,b\n",
    ],
)
def test_scan_refuses_labels_that_synthesise_did_not_write(tmp_path, content):
    if content is not None:
        (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(UserError, match=r"labels\.csv.*synthesise the demo corpus again"):
        demo.scan(tmp_path)
