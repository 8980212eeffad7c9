from serflow.evaluation.units import to_markdown, units_table

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
