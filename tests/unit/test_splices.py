"""Splices, and measures of what is said of their frames."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serflow.audio import RATE, to_int16
from serflow.clustering import Clustering
from serflow.errors import UserError
from serflow.evaluation.splices import frames_table, layer_points, to_markdown
from serflow.frames import FrameStore, writing_frames
from serflow.recognition.spliced import Splices, told_by_emotions, told_by_scores, told_by_units
from serflow.splices import FADE, LEVEL, NEUTRAL, PATTERNS, SEAM, heard_alone, planned, write_splices

EMOTIONS = (NEUTRAL, "anger", "joy", "sadness")


def corpus(counts):
    """counts: {(speaker, emotion): recordings}"""
    rows = [
        {"utterance": f"{speaker}_{emotion}_{number}", "speaker": speaker, "emotion": emotion}
        for (speaker, emotion), count in counts.items()
        for number in range(count)
    ]
    return pd.DataFrame(rows, columns=["utterance", "speaker", "emotion"])


@given(
    st.dictionaries(st.tuples(st.sampled_from("abc"), st.sampled_from(EMOTIONS)), st.integers(1, 5)),
    st.sets(st.sampled_from(PATTERNS), min_size=1),
    st.integers(0, 9),
)
def test_a_splice_is_of_one_speaker_and_no_recording_is_twice_in_it(counts, patterns, seed):
    utterances = corpus(counts)
    try:
        plan = planned(utterances, sorted(patterns), seed)
    except UserError as error:
        assert "no speaker has neutral and emotional recordings enough" in str(error)
        return
    assert plan == planned(utterances.sample(frac=1, random_state=seed), sorted(patterns), seed)
    assert len({splice.name for splice in plan}) == len(plan)
    known = utterances.set_index("utterance")
    for splice in plan:
        own = [known.loc[piece.utterance] for piece in splice.pieces]
        assert {row.speaker for row in own} == {splice.speaker}
        assert [row.emotion for row in own] == [piece.emotion for piece in splice.pieces]
        assert len({piece.utterance for piece in splice.pieces}) == len(splice.pieces)
        assert "".join("n" if row.emotion == NEUTRAL else "e" for row in own) == splice.pattern
        assert (splice.pieces[0].start, splice.pieces[-1].end) == (0, 0)  # outer ends stay as they are
    for (speaker, pattern), own in pd.DataFrame(plan).groupby(["speaker", "pattern"]):
        emotional = {one.emotion for pieces in own.pieces for one in pieces} - {NEUTRAL}
        have = {emotion for who, emotion in counts if who == speaker and emotion != NEUTRAL}
        assert pattern in ("ee", SEAM) or emotional == have


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(store of splices of noise, the pieces, the plan)"""
    utterances, rng = corpus({(who, what): 4 for who in "ab" for what in EMOTIONS}), np.random.default_rng(0)
    sounds = {
        name: rng.normal(0, rng.uniform(0.01, 0.2), RATE + 16 * place)
        for place, name in enumerate(utterances.utterance)
    }
    sounds = {
        name: np.concatenate([np.zeros(RATE // 4), sound, np.zeros(RATE // 4)]) for name, sound in sounds.items()
    }
    folder = tmp_path_factory.mktemp("splices")
    with writing_frames(folder / "corpus.arrow", 0, "int16", 1 / RATE) as writer:
        for name, sound in sounds.items():
            writer.append(name, to_int16(sound))
    plan = planned(utterances, PATTERNS, 0)
    pieces = write_splices(plan, FrameStore(folder / "corpus.arrow"), folder / "audio.arrow")
    return FrameStore(folder / "audio.arrow"), pieces, plan


def test_pieces_have_one_level_follow_each_other_and_lose_their_silence(made):
    store, pieces, _ = made
    for name, own in pieces.groupby("splice"):
        assert own.start.tolist() == [0, *own.end[:-1]] and own.end.iloc[-1] == len(store[name]) / RATE
        waveform = store[name] / 32768
        for piece in own.itertuples():
            inside = waveform[int(piece.start * RATE) + FADE : int(piece.end * RATE) - FADE]
            assert np.sqrt((inside**2).mean()) == pytest.approx(LEVEL, rel=0.1)
            assert 0.25 < piece.end - piece.start < 1.1  # a second of noise, of which .65 may be skipped


def test_splices_of_some_utterances_hold_no_others(made):
    _, pieces, plan = made
    some = {name for name in pieces.utterance if name.startswith("a_")}
    own = heard_alone(plan, some)
    assert {one.speaker for one in own} == {"a"}
    less = some - {own[0].pieces[0].utterance}
    assert own[0] not in heard_alone(plan, less) and set(heard_alone(plan, less)) < set(own)


def test_the_truth_has_no_errors_and_neutral_everywhere_misses_the_emotion(made):
    store, pieces, _ = made
    every = Splices(store, pieces).without(SEAM)
    found, emotional = [], []
    for name in every.names:
        count = round(every.duration(name) * 1000)
        emotions = np.full(count, NEUTRAL, dtype=object)
        for start, end, emotion in every.emotional(name):
            emotions[round(start * 1000) : round(end * 1000)] = emotion
        found.append((name, emotions.tolist(), NEUTRAL))
        emotional.append((name, (emotions != NEUTRAL) + 0.0))
    emotions = pd.DataFrame(told_by_emotions(every, found, {"name": "truth"})).assign(seed=0)
    scores = pd.DataFrame(told_by_scores(every, emotional, {"kind": "intensity", "name": "truth"})).assign(seed=0)
    table = frames_table(scores, emotions, pd.DataFrame(), None).set_index(["kind", "name", "measure"]).value
    assert table["system", "truth", "UA"] > 0.99 and table["system", "truth", "error"] < 0.01
    assert table["system", "nowhere", "UA"] == 0.25 and 0.4 < table["system", "nowhere", "error"] < 0.7
    assert table["system", "truth", "everywhere"] == table["system", "nowhere", "error"]
    assert table["system", "truth", "boundary"] < 0.002 and table["intensity", "truth", "auc"] > 0.99
    text = to_markdown(frames_table(scores, emotions, pd.DataFrame(), None), {"truth": "The | truth"}, None, 2)
    assert "The \\| truth" in text and "Neutral everywhere" in text and "No splice of two neutral" in text


def test_units_that_are_the_emotion_tell_all_of_it(made, tmp_path):
    store, pieces, _ = made
    every = Splices(store, pieces[pieces.pattern.isin(["ne", "nen"])])
    with writing_frames(tmp_path / "frames.arrow", len(EMOTIONS)) as writer:
        for name in every.names:
            count = round(every.duration(name) * 100)
            times = (np.arange(count) + 0.5) * every.duration(name) / count
            truth = every.truth(name)
            own = [next(one.emotion for one in truth if one.start <= time < one.end) for time in times]
            writer.append(name, np.array([[one == emotion for emotion in EMOTIONS] for one in own], dtype=float))
    frames = FrameStore(tmp_path / "frames.arrow")
    phones = {name: np.arange(len(frames[name])) % 7 for name in every.names}
    kmeans = Clustering(np.eye(4, dtype=np.float32), 0.0)
    told = pd.DataFrame(told_by_units(every, frames, phones, kmeans, 0, {"name": "emotion itself", "layer": 2}))
    assert (told.emotion_pnmi > 0.999).all() and (told.emotion_purity > 0.999).all()
    assert (told.chance_pnmi < 0.3).all() and (told.phone_pnmi < 0.05).all()
    assert frames_table(pd.DataFrame(), pd.DataFrame(), told, None).empty  # none are a run's own units
    points = layer_points(told)
    assert set(points.layer) == {2} and len(points) == 3 * 2  # measures and speakers
    assert (points[points.measure == "Emotion PNMI above chance"].value > 0.7).all()
