import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score
from tests.unit.test_evaluation import CLASSES

from serflow.evaluation.groups import group_cells, group_columns
from serflow.evaluation.tables import build_table, to_latex, to_markdown

SPEAKERS = 6


def corpus(seed, unknown=()):
    """Predictions of two systems and the utterances, of six speakers in three folds; the last is heard worst."""
    rng = np.random.default_rng(seed)
    utterances = pd.DataFrame({"speaker": np.repeat([f"s{number}" for number in range(SPEAKERS)], 20)})
    utterances["utterance"] = [f"u{number}" for number in range(len(utterances))]
    utterances["emotion"] = np.tile(CLASSES, len(utterances) // 4)
    utterances["gender"] = np.where(utterances["speaker"].isin(["s0", "s2", "s5"]), "female", "male")
    utterances.loc[utterances["speaker"].isin(unknown), "gender"] = "unknown"
    right = np.where(utterances["speaker"] == "s5", 0.1, 0.7)
    predictions = {}
    for system in ("one", "other"):
        frame = utterances[["utterance"]].assign(emotion=utterances["emotion"], seed=0)
        frame["fold"] = utterances["speaker"].str[1].astype(int) // 2
        hit = rng.random(len(frame)) < right
        frame["prediction"] = np.where(
            hit, frame["emotion"], frame["emotion"].map(dict(zip(CLASSES, np.roll(CLASSES, 1), strict=True)))
        )
        predictions[system] = frame.sample(frac=1, random_state=seed)
    return predictions, utterances


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_groups_have_the_scores_of_their_utterances_alone(seed):
    predictions, utterances = corpus(seed)
    found = group_columns(predictions, utterances, "fold", CLASSES, ["gender", "speaker"])
    for system, frame in predictions.items():
        told, own = found.loc[system], frame.merge(utterances.drop(columns="emotion"), on="utterance")
        for gender, part in own.groupby("gender"):
            assert told[f"UA_{gender}"] == pytest.approx(
                balanced_accuracy_score(part["emotion"], part["prediction"]), abs=1e-4
            )
            assert told[f"UA_{gender}_low"] <= told[f"UA_{gender}"] <= told[f"UA_{gender}_high"]
        scores = {
            who: balanced_accuracy_score(part["emotion"], part["prediction"]) for who, part in own.groupby("speaker")
        }
        assert (
            told["UA_worst"]
            == pytest.approx(min(scores.values()), abs=1e-4)
            == pytest.approx(scores[told["worst"]], abs=1e-4)
        )
        assert told["UA_worst_low"] <= told["UA_worst"] <= told["UA_worst_high"]


def test_speakers_whose_gender_is_unknown_are_of_none():
    predictions, utterances = corpus(0, unknown=["s0", "s1", "s2"])
    found = group_columns(predictions, utterances, "fold", CLASSES, ["gender"])
    assert np.isnan(found["UA_female_low"]).all()  # of one fold alone: no interval
    assert "UA_unknown" not in found
    predictions, utterances = corpus(0, unknown=utterances["speaker"].unique())
    assert group_columns(predictions, utterances, "fold", CLASSES, ["gender"]).empty


def test_a_table_shows_the_groups_that_it_is_asked_for():
    predictions, utterances = corpus(0)
    rows = [
        {"system": "one", "name": "One", "baseline": None},
        {"system": "other", "name": "Other", "baseline": "one"},
    ]
    plain = build_table(rows, predictions, utterances, CLASSES)
    assert group_cells(plain) == {} and "worst" not in to_markdown(plain)
    table = plain.join(group_columns(predictions, utterances, "fold", CLASSES, ["gender", "speaker"]), on="system")
    cells = group_cells(table)
    assert list(cells) == ["UA % female", "UA % male", "UA % worst speaker"]
    assert all(cell.endswith("(s5)") for cell in cells["UA % worst speaker"])
    for text in (to_markdown(table), to_latex(table)):
        assert "worst speaker" in text and "Worst speaker: with the lowest UA" in text
