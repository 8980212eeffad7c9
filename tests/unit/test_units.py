import pandas as pd
import pytest

from serflow.evaluation.units import sweep_points, to_markdown, units_table

MFCC = {"units": "mfcc", "frames": "mfcc", "layer": None, "k": 10}
HIDDEN = {"units": "hidden", "frames": "first", "layer": 1, "k": 8}


def quality(emotion, speaker):
    measured = {"emotion": emotion, "speaker": speaker}
    return {name: {"pnmi": value, "purity": 2 * value} for name, value in measured.items()} | {"empty_clusters": 0}


def test_pools_are_averaged_and_what_is_not_known_is_left_open():
    table = units_table([(MFCC, quality(0.1, 0.3)), (MFCC, quality(0.3, 0.1)), (HIDDEN, {"empty_clusters": 2})])
    assert table.units.tolist() == ["mfcc", "hidden"] and table.pools.tolist() == [2, 1]
    assert table.emotion_pnmi[0] == 0.2 and table.speaker_purity[0] == 0.4 and table.empty_clusters[1] == 2
    text = to_markdown(table)
    assert "mfcc   | mfcc      | -     | 10 | .200" in text and "hidden | first     | 1     | 8  | -" in text


def test_speech_without_labels_and_speakers_has_a_table_too():
    assert "| Units | Frames of | Layer | k  |" in to_markdown(units_table([(MFCC, {"empty_clusters": 0})]))


def test_a_fold_that_tests_one_class_is_a_point_of_a_sweep_too():
    sweep = {
        f"ours{end}": {"of": "ours", "units": f"hidden{end}", "k": k, "layer": 1} for end, k in (("", 8), ("-k4", 4))
    }
    tested = pd.DataFrame({"fold": [0, 0, 1], "seed": 0, "emotion": list("aba"), "prediction": list("abb")})
    watched = pd.DataFrame({"fold": 0, "seed": 0, "step": [5, 10], "quantity": "validation UA", "value": [0.75, 0.5]})
    units = units_table(
        [({**HIDDEN, "units": told["units"], "k": told["k"]}, quality(0.1, 0.3)) for told in sweep.values()]
    )
    points = sweep_points(
        sweep, {"ours": "Ours"}, *(dict.fromkeys(sweep, one) for one in (tested, watched)), units, ["a", "b"]
    )
    values = points.groupby(["measure", "k"])["value"].apply(list)
    assert values["UA, test speakers", 4] == [1, 0] and values["UA, validation speakers", 8] == [0.75]
    assert values["Emotion PNMI", 4] == [pytest.approx(0.1)] and set(points["line"]) == {"Ours", ""}
