import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serflow.errors import UserError
from serflow.folds import heard_by, labelled_parts, refuse_heard, split


def corpus(speakers, utterances=4, emotions=("neutral", "anger")):
    """Rows of `utterances` a speaker; speakers are (name, gender, session, corpus) as far as given."""
    rows = [
        (
            f"{speaker}-{number}",
            speaker,
            *more,
            *("unknown", speaker, "x")[len(more) :],
            emotions[number % len(emotions)],
        )
        for speaker, *more in speakers
        for number in range(utterances)
    ]
    rows = pd.DataFrame(rows, columns=["utterance", "speaker", "gender", "session", "corpus", "emotion"])
    return rows.assign(sha256=rows.utterance)


@st.composite
def corpora(draw):
    """Any number of sessions, speakers and utterances; some speakers share a recording, some have only long ones."""
    sessions = draw(st.lists(st.integers(1, 3), min_size=1, max_size=6))
    names = [(f"s{session}-{n}", f"session-{session}") for session, size in enumerate(sessions) for n in range(size)]
    genders = draw(st.lists(st.sampled_from(["female", "male", "unknown"]), min_size=len(names), max_size=len(names)))
    speakers = [(name, gender, session, session[-1]) for (name, session), gender in zip(names, genders, strict=True)]
    rows = corpus(speakers, draw(st.integers(2, 5)))
    rows = rows.assign(sha256=rows.speaker + "-" + (rows.index // draw(st.integers(1, 3))).astype(str))
    shared = draw(st.lists(st.sampled_from(range(len(rows))), max_size=3))
    return rows.assign(sha256=rows.sha256.mask(rows.index.isin(shared), "the same"))


LEFT_OUT = {"leave-one-speaker-out": "speaker", "leave-one-session-out": "session", "cross-corpus": "corpus"}


@settings(deadline=None)  # the first one imports SciPy
@given(corpora(), st.sampled_from(["k-fold", *LEFT_OUT]), st.integers(2, 6), st.integers(0, 2), st.integers(0, 5))
def test_parts_share_no_voice_and_no_recording_and_everything_is_tested_once(rows, protocol, count, validation, seed):
    if protocol in LEFT_OUT:
        count = rows[LEFT_OUT[protocol]].nunique()
    try:
        folds = split(rows, protocol, count, validation, seed)
    except UserError as error:
        assert str(error).endswith(".") and "\n" not in str(error)
        return
    assert sorted(folds.utterance[folds.part == "test"]) == sorted(rows.utterance)
    assert set(folds.fold) == set(range(count))
    assert (folds.groupby("fold").part.nunique() == 3).all() and not folds.duplicated(["utterance", "fold"]).any()
    side = folds.part if validation else folds.part.replace("validation", "train")
    sides = folds.assign(side=side).merge(rows, on="utterance")
    assert (sides.groupby(["fold", "speaker"]).side.nunique() == 1).all()
    assert (sides.groupby(["fold", "sha256"]).part.nunique() == 1).all()
    shuffled = rows.sample(frac=1, random_state=seed)
    pd.testing.assert_frame_equal(folds, split(shuffled, protocol, count, validation, seed))


def speakers(count, **columns):
    return [(f"s{number}", "male" if number % 2 else "female", *columns.values()) for number in range(count)]


@pytest.mark.parametrize(
    ("protocol", "column", "count"),
    [("leave-one-speaker-out", "speaker", 6), ("leave-one-session-out", "session", 3), ("cross-corpus", "corpus", 2)],
)
def test_one_of_them_is_left_out_a_fold(protocol, column, count):
    rows = corpus([(f"s{n}", "female", f"session-{n % 3}", f"corpus-{n % 2}") for n in range(6)])
    folds = split(rows, protocol, count).merge(rows, on="utterance")
    tested = folds[folds.part == "test"].groupby("fold")[column].unique()
    assert sorted(name for names in tested for name in names) == sorted(set(rows[column]))


def test_test_parts_are_balanced_by_gender_and_class():
    rows = corpus([(f"s{number}", "female" if number < 5 else "male") for number in range(10)])
    angry = rows.speaker.isin(["s0", "s1", "s2", "s3", "s4"])
    rows = rows[~angry | (rows.emotion == "anger")]  # five women who are only angry
    for seed in range(5):
        folds = split(rows, count=5, validation_speakers=2, seed=seed).merge(rows, on="utterance")
        tested = folds[folds.part == "test"].groupby("fold")
        assert (tested.gender.nunique() == 2).all() and (tested.emotion.nunique() == 2).all()
        assert (folds[folds.part == "validation"].groupby("fold").gender.nunique() == 2).all()


def test_classes_decide_where_genders_do_not():
    rows = corpus([(f"s{number}", "male") for number in range(8)])
    rows = rows[(rows.emotion == "anger") == rows.speaker.isin(["s0", "s1", "s2", "s3"])]
    for seed in range(5):
        folds = split(rows, count=4, validation_speakers=1, seed=seed).merge(rows, on="utterance")
        assert (folds[folds.part == "test"].groupby("fold").emotion.nunique() == 2).all()


def test_trained_on_some_corpora_and_tested_on_others():
    rows = corpus([(f"s{n}", "female", "one", f"corpus-{n % 3}") for n in range(9)])
    folds = split(rows, "cross-corpus", 1, test=["corpus-1"]).merge(rows, on="utterance")
    assert set(folds.corpus[folds.part == "test"]) == {"corpus-1"}
    assert set(folds.corpus[folds.part != "test"]) == {"corpus-0", "corpus-2"}
    with pytest.raises(UserError, match="'corpus-7' is none of them"):
        split(rows, "cross-corpus", 1, test=["corpus-7"])


def test_with_no_speaker_to_spare_a_tenth_of_every_class_watches():
    rows = corpus(speakers(4), utterances=40)
    folds = split(rows, "leave-one-speaker-out", 4, validation_speakers=0).merge(rows, on="utterance")
    watching = folds[folds.part == "validation"].groupby(["fold", "emotion"]).size()
    assert (watching == 6).all() and len(watching) == 8  # of 60 an emotion and fold


def test_with_no_speaker_to_spare_long_recordings_stay_whole_and_classes_in_training():
    rows = corpus(speakers(4), utterances=120, emotions=("neutral", "neutral", "anger", "sadness"))
    rows = rows.assign(sha256=rows.speaker + "-" + (rows.index // 3).astype(str))  # of two or three classes each
    rows.loc[rows.index % 120 == 0, "emotion"] = "fear"  # one a speaker
    for seed in range(5):
        folds = split(rows, "leave-one-speaker-out", 4, 0, seed).merge(rows, on="utterance")
        assert (folds.groupby(["fold", "sha256"]).part.nunique() == 1).all()
        assert (folds[folds.part == "train"].groupby("fold").emotion.nunique() == 4).all()
        watching = folds[folds.part == "validation"].groupby(["fold", "emotion"]).size().unstack()
        assert watching["neutral"].between(12, 24).all()  # of 180 a fold


def listed(tmp_path, rows, name="lists.csv"):
    file = tmp_path / name
    file.write_text("\n".join(rows) + "\n")
    return file


def test_lists_are_followed(tmp_path):
    rows = corpus(speakers(4))
    lines = [
        "fold,part,speaker",
        "b,test,s0",
        "b,train,s1",
        "b,validation,s2",
        "a,test,s1",
        "a,train,s2",
        "a,train,s3",
    ]
    folds = split(rows, "list", 2, file=listed(tmp_path, lines)).merge(rows, on="utterance")
    told = folds.groupby(["fold", "part"]).speaker.agg(lambda names: " ".join(sorted(set(names))))
    assert told[1].to_dict() == {"test": "s0", "train": "s1", "validation": "s2"}
    assert told[0]["test"] == "s1" and {told[0]["train"], told[0]["validation"]} == {"s2", "s3"}


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["fold,part,name", "0,test,s0"], "its columns must be fold, part and one of"),
        (["fold,part,speaker", "0,test,s0", "0,tset,s1"], "line 3: part must be one of train, validation, test"),
        (["fold,part,speaker", "0,test,s0", "0,train,s9"], r"line 3: the corpus has no such speaker: 's9'"),
        (["fold,part,speaker", "0,test,s0", "0,train,s0"], "line 3: this speaker was listed before in its fold"),
        (
            ["fold,part,utterance", "0,test,s0-0", "0,train,s0-1", "0,validation,s1-0"],
            "speaker s0 is in the test part",
        ),
        (
            ["fold,part,utterance", "0,test,s0-0", "0,train,s1-0", "0,train,s1-1", "0,validation,s1-2"],
            r"s1 is in the validation part and in the train part .*, or set folds.validation_speakers to 0\.",
        ),
        (["fold,part,speaker"], "lists nothing: give it a line for each speaker"),
        (["fold,part,speaker", "0,test,s0", "1,test,s1"], "lists 2 folds: set folds.count to 2"),
        (["fold,part,speaker", "0,train,s0", "0,validation,s1"], "Fold 0 has no test part"),
        (["fold,part,speaker", "0,test,s0", "0,train,s1"], "too few: 1 beside those of a test part"),
    ],
)
def test_a_wrong_list_is_told(tmp_path, lines, sentence):
    with pytest.raises(UserError, match=sentence):
        split(corpus(speakers(4)), "list", 1, file=listed(tmp_path, lines))


def test_a_list_may_validate_on_training_speakers_where_none_is_set_aside_but_not_on_their_recordings(tmp_path):
    rows = corpus(speakers(2), utterances=6)
    parts = ["train"] * 4 + ["validation"] * 2
    lines = [f"0,{part},s1-{number}" for number, part in enumerate(parts)]
    file = listed(tmp_path, ["fold,part,utterance", "0,test,s0-0", *lines])
    folds = split(rows, "list", 1, 0, file=file).set_index("utterance").part
    assert [folds[f"s1-{number}"] for number in range(6)] == parts
    with pytest.raises(UserError, match="Fold 0 has no train part"):
        split(rows, "list", 1, 0, file=listed(tmp_path, ["fold,part,speaker", "0,test,s0"], "few.csv"))
    rows.loc[rows.utterance.isin(["s1-3", "s1-4"]), "sha256"] = "the same"
    with pytest.raises(UserError, match="the recording of s1-3 is in the validation part and in the train part"):
        split(rows, "list", 1, 0, file=file)


def test_a_published_list_that_tests_twice_is_told(tmp_path):
    lines = ["fold\tpart\tspeaker"] + [
        f"{f}\t{part}\ts{s}" for f in (0, 1) for s, part in [(0, "test"), (1, "train"), (2, "validation")]
    ]
    with pytest.raises(UserError, match="utterance s0-0 is in the test part of two folds"):
        split(corpus(speakers(4)), "list", 2, file=listed(tmp_path, lines, "lists.tsv"))


def test_too_few_speakers_is_told():
    with pytest.raises(UserError, match="3 speakers, too few: 2 beside those of a test part"):
        split(corpus(speakers(3)), count=3, validation_speakers=2)
    with pytest.raises(UserError, match="leave-one-speaker-out of 3 speakers makes 3 folds: set folds.count to 3"):
        split(corpus(speakers(3)), "leave-one-speaker-out")


def test_a_speaker_of_two_sessions_is_told():
    rows = corpus(speakers(4))
    rows.loc[0, "session"] = "other"
    with pytest.raises(UserError, match="speaker s0 is in sessions"):
        split(rows, "leave-one-session-out", 5)


def test_a_class_that_no_training_speaker_has_may_be_unheard():
    utterances = corpus(speakers(4))
    utterances.loc[(utterances.emotion == "anger") & (utterances.speaker != "a"), "emotion"] = "neutral"
    utterances.loc[0, "emotion"] = "anger"
    assert len(split(utterances, "leave-one-speaker-out", utterances.speaker.nunique(), unheard=["anger"]))
    with pytest.raises(UserError, match="no class 'angre': did you mean 'anger'"):
        split(utterances, unheard=["angre"])


def test_a_class_no_training_speaker_has_is_told():
    utterances = corpus(speakers(4))
    utterances.loc[(utterances.emotion == "anger") & (utterances.speaker != "a"), "emotion"] = "neutral"
    utterances.loc[0, "emotion"] = "anger"
    with pytest.raises(UserError, match="No training speaker of fold . has class 'anger'"):
        split(utterances, count=2)


def test_a_pool_hears_what_it_may():
    speakers = [(f"s{number}", "male") for number in range(4)]
    utterances = corpus(speakers)
    folds = split(utterances, count=4)
    tested = set(folds.utterance[(folds.fold == 2) & (folds.part == "test")])
    heard, watched = heard_by(folds, "fold-2", "validation")
    assert heard and watched
    assert heard_by(folds, "fold-2", "last") == [sorted(heard + watched), []]  # nothing is chosen on anybody
    assert not tested & {*heard, *watched} and not set(heard) & set(watched)
    for pool in ("all", "all-fold-2"):
        assert heard_by(folds, pool, "last") == [sorted(utterances.utterance), []]


def test_labelled_parts_are_whole_rows_and_classes_stand_in_alphabetical_order():
    utterances = corpus([(f"s{number}", "male") for number in range(4)])
    parts, classes = labelled_parts(utterances, split(utterances, count=4), 0, "last")
    assert classes == ["anger", "neutral"]
    own = utterances[utterances.utterance.isin(parts["train"].utterance)].sort_values("utterance", ignore_index=True)
    pd.testing.assert_frame_equal(parts["train"], own)


@pytest.mark.parametrize("validation_speakers", [0, 1])
def test_speech_without_labels_has_a_fold_that_tests_nobody(validation_speakers):
    rows = corpus(speakers(4)).assign(emotion="unlabelled")
    folds = split(rows, "pretraining", 1, validation_speakers)
    assert set(folds.part) == {"train", "validation"} and len(folds) == len(rows)
    heard, watched = heard_by(folds, "fold-0", "validation")
    assert not set(heard) & set(watched) and len(heard) > len(watched) > 0
    with pytest.raises(UserError, match="set folds.count to 1 instead of 2"):
        split(rows, "pretraining", 2)


def test_what_an_encoder_heard_elsewhere_is_not_tested():
    tested = pd.DataFrame({"utterance": ["a", "b"], "samples": ["1", "2"]})
    heard = pd.DataFrame({"utterance": ["x", "y"], "samples": ["3", "2"], "corpus": "speech"})
    refuse_heard(tested, heard[:1])
    with pytest.raises(UserError, match=r"1 utterances.*of corpus speech, the first is b \(y there\)"):
        refuse_heard(tested, heard)
