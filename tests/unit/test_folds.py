import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serflow.errors import UserError
from serflow.folds import heard_by, labelled_parts, speaker_folds


def corpus(speakers, utterances=4, emotions=("neutral", "anger")):
    rows = [
        (f"{speaker}-{number}", speaker, gender, emotions[number % len(emotions)])
        for speaker, gender in speakers
        for number in range(utterances)
    ]
    return pd.DataFrame(rows, columns=["utterance", "speaker", "gender", "emotion"])


@st.composite
def splits(draw):
    genders = draw(st.lists(st.sampled_from(["female", "male", "unknown"]), min_size=4, max_size=15))
    count = draw(st.integers(2, min(5, len(genders))))
    largest = -(-len(genders) // count)
    validation = draw(st.integers(1, max(1, len(genders) - largest - 1)))
    return corpus([(f"s{number:02}", gender) for number, gender in enumerate(genders)]), count, validation


@given(splits(), st.integers(0, 5))
def test_no_speaker_is_in_two_parts_and_everyone_is_tested_once(split, seed):
    utterances, count, validation = split
    if utterances.speaker.nunique() - -(-utterances.speaker.nunique() // count) - validation < 1:
        with pytest.raises(UserError, match="too few"):
            speaker_folds(utterances, count, validation, seed)
        return
    folds = speaker_folds(utterances, count, validation, seed)
    parts = folds.merge(utterances, on="utterance").groupby(["fold", "speaker"]).part.nunique()
    assert (parts == 1).all()
    assert sorted(folds.utterance[folds.part == "test"]) == sorted(utterances.utterance)
    voices = folds.merge(utterances, on="utterance").groupby(["fold", "part"]).speaker.nunique()
    assert (voices.xs("validation", level="part") == validation).all()
    shuffled = utterances.sample(frac=1, random_state=seed)
    pd.testing.assert_frame_equal(folds, speaker_folds(shuffled, count, validation, seed))


def test_test_speakers_are_balanced_by_gender():
    speakers = [(f"s{number}", "female" if number < 5 else "male") for number in range(10)]
    folds = speaker_folds(corpus(speakers), 5, 2).merge(corpus(speakers), on="utterance")
    tested = folds[folds.part == "test"].groupby("fold").gender.nunique()
    assert (tested == 2).all()


def test_too_few_speakers_is_told():
    with pytest.raises(UserError, match="3 speakers, too few for folds.count 3"):
        speaker_folds(corpus([("a", "female"), ("b", "male"), ("c", "male")]), 3, 2)


def test_a_class_no_training_speaker_has_is_told():
    utterances = corpus([("a", "female"), ("b", "male"), ("c", "female"), ("d", "male")])
    utterances.loc[(utterances.emotion == "anger") & (utterances.speaker != "a"), "emotion"] = "neutral"
    with pytest.raises(UserError, match="No training speaker of fold . has class 'anger'"):
        speaker_folds(utterances, 2, 1)


def test_a_pool_hears_what_it_may():
    speakers = [(f"s{number}", "male") for number in range(4)]
    utterances = corpus(speakers)
    folds = speaker_folds(utterances, 4, 1)
    tested = set(folds.utterance[(folds.fold == 2) & (folds.part == "test")])
    heard, watched = heard_by(folds, "fold-2")
    assert heard and watched
    assert not tested & {*heard, *watched} and not set(heard) & set(watched)
    for pool in ("all", "all-fold-2"):
        assert heard_by(folds, pool) == (sorted(utterances.utterance), [])


def test_labelled_parts_number_the_classes_in_alphabetical_order():
    utterances = corpus([(f"s{number}", "male") for number in range(4)])
    parts, classes = labelled_parts(utterances, speaker_folds(utterances, 4, 1), 0)
    assert classes == ["anger", "neutral"]
    names, numbers = parts["train"]
    assert [classes[number] for number in numbers] == utterances.set_index("utterance").emotion[names].tolist()
