import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serflow.evaluation.intensity import (
    agreement,
    intensity_notes,
    levels,
    levels_markdown,
    separation,
    to_markdown,
)


def scored(rng, shift=0.0, emotions=("anger", "neutral", "boredom")):
    """Utterances of two folds and two seeds, each seed with scores of its own."""
    rows = pd.DataFrame(
        [(fold, seed, emotion) for fold in (0, 1) for seed in (0, 1) for emotion in emotions for _ in range(8)],
        columns=["fold", "seed", "emotion"],
    )
    raised = {"anger": shift, "boredom": -shift}
    return rows.assign(
        score=rng.normal(size=len(rows)) + rows.emotion.map(raised).fillna(0), deviation=rng.random(len(rows))
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 9), st.floats(-5, 5))
def test_auc_is_a_matter_of_order_and_of_a_fold_and_seed_alone(seed, scale, offset):
    frame = scored(np.random.default_rng(seed), 0.5)
    first = separation({"a": frame})
    moved = frame.assign(score=scale * frame.score + offset * frame.fold + 2 * frame.seed)
    second = separation({"a": moved})
    columns = ["auc_anger", "auc_boredom"]
    np.testing.assert_allclose(first[columns], second[columns], atol=1e-4)
    np.testing.assert_allclose(second.between, scale * first.between, rtol=1e-2)
    flipped = separation({"a": frame.assign(score=-frame.score)})
    np.testing.assert_allclose(flipped[columns], 1 - first[columns], atol=1e-4)


def test_a_ranker_is_scored_under_each_emotion_and_what_a_fold_lacks_is_left_out():
    rng = np.random.default_rng(0)
    frame = scored(rng, 9.0)
    ranker = frame.drop(columns="score").assign(deviation=np.nan, score_anger=frame.score, score_boredom=-frame.score)
    lacking = frame[(frame.fold == 0) | (frame.emotion != "boredom")]
    table = separation({"plain": frame, "lacking": lacking, "ranker": ranker}).set_index("intensity")
    assert table.loc["plain", ["auc_anger", "auc_boredom"]].tolist() == [1, 0]
    assert table.loc["lacking", ["auc_anger", "auc_boredom"]].tolist() == [1, 0]
    assert table.loc["ranker", ["auc_anger", "auc_boredom"]].tolist() == [1, 1]
    assert table.loc["plain", "within"] == pytest.approx(frame.deviation.mean(), abs=1e-4)
    assert table.loc["ranker", ["within", "between"]].isna().all()


def test_without_a_neutral_class_one_sentence_says_so():
    table = separation({"level": scored(np.random.default_rng(0), emotions=("anger", "boredom"))})
    assert "no neutral class" in to_markdown(table, 2) and intensity_notes(table) == []


def test_the_table_and_its_note_show_what_was_found_and_the_truth_where_it_is_known():
    rng = np.random.default_rng(0)
    table = separation({name: scored(rng, shift) for name, shift in (("learned", 9), ("level", 0))})
    (note,) = intensity_notes(table)
    assert note.startswith(
        "AUC of intensities, unheard emotional against neutral speech: learned anger 1.00, boredom 0.00"
    )
    assert "Against the truth" not in to_markdown(table, 4)
    truth = rng.random((3, 50))
    pairs = {"learned": 0.1, "level": 10.0}
    curves = {
        name: {
            f"s{i}": {seed: (true + noise * rng.random(50), true) for seed in (0, 1)} for i, true in enumerate(truth)
        }
        for name, noise in pairs.items()
    }
    known = agreement(curves)
    assert known.spearman[0] > 0.9 > known.spearman[1] and known.difference[0] > 0 and np.isnan(known.difference[1])
    written = to_markdown(table.merge(known, on="intensity", how="left"), 3)
    assert "Against the truth" in written and "| learned | 1.00" in " ".join(written.split())


def meant(rng, follows, speakers=6, emotions=("anger", "fear"), levels=(1, 2, 3)):
    """Utterances of every speaker, emotion and level, thrice; scores that follow the level by so much, or not."""
    rows = [(s, e, level) for s in range(speakers) for e in emotions for level in levels for _ in range(3)]
    rows = pd.DataFrame(rows, columns=["speaker", "emotion", "level"]).assign(seed=0, fold=0)
    apart = 10 * rows.speaker + 5 * (rows.emotion == "anger")  # which voice and which emotion must not answer
    return rows.assign(score=apart + follows * rows.level + rng.random(len(rows)))


def test_scores_are_compared_within_a_voice_and_an_emotion():
    rng = np.random.default_rng(0)
    scored = {"learned": meant(rng, 2.0), "backwards": meant(rng, -2.0), "level": meant(rng, 0.0)}
    table = levels(scored, "level").set_index("intensity")
    assert table.loc["learned", ["auc_anger", "auc_fear", "mean"]].tolist() == [1, 1, 1]
    assert table.loc["backwards", ["auc_anger", "auc_fear", "mean"]].tolist() == [0, 0, 0]
    assert 0.3 < table.loc["level", "mean"] < 0.7 and np.isnan(table.loc["level", "p"])
    assert table.loc["learned", "spearman"] > 0.9 and table.loc["learned", "p"] < 0.01
    written = levels_markdown(table.reset_index(), "level", 6)
    assert "| learned | 1.00 | 1.00 | 1.00 [1.00, 1.00] |" in " ".join(written.split()).replace("  ", " ")


def test_two_levels_have_the_usual_auc_and_what_says_no_level_says_nothing():
    from sklearn.metrics import roc_auc_score

    frame = meant(np.random.default_rng(1), 0.3, levels=(1, 2))
    expected = [roc_auc_score(part.level == 2, part.score) for _, part in frame.groupby(["speaker", "emotion"])]
    silent = pd.concat([frame, frame.assign(level=np.nan), frame.assign(emotion="neutral", level=1)])
    table = levels({"a": silent, "b": frame}, "b")
    assert table["mean"].tolist() == pytest.approx([np.mean(expected)] * 2, abs=1e-4)
    assert "auc_neutral" not in table


def test_a_ranker_is_asked_for_the_emotion():
    frame = meant(np.random.default_rng(2), 2.0)
    ranker = frame.rename(columns={"score": "score_anger"}).assign(score_fear=-frame.score)
    assert levels({"ranker": ranker, "a": frame}, "a").loc[0, ["auc_anger", "auc_fear"]].tolist() == [1, 0]
