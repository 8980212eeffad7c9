"""Databases as audformat 1.4.3 writes them, byte for byte."""

import pandas as pd
import pytest

from serflow.corpora import table
from serflow.errors import UserError

START = "name: db\nsource: x\nusage: research\nlanguages: [deu]\nraters:\n  gold: {type: human}\nschemes:\n"
SCHEMES = {
    "dict": """  emotion:
    dtype: str
    labels: [anger, neutral]
  speaker:
    dtype: int
    labels:
      3: {gender: male, age: 31}
      8: {gender: female, age: 34}
""",
    "misc": """  emotion:
    dtype: str
    labels: [anger, neutral]
  gender:
    dtype: str
    labels: [male, female]
  speaker: {dtype: int, labels: speaker}
""",
}
TEXT = """  transcription:
    dtype: str
    labels: {a: 'Der Lappen, er', b: 'Das "will"

        sie'}
"""
TABLES = """tables:
  emotion:
    type: KIND
    columns:
      emotion: {scheme_id: emotion, rater_id: gold}
      emotion.confidence: {}
  files:
    type: filewise
    columns:
      speaker: {scheme_id: speaker}
      transcription: {scheme_id: transcription}
"""
MISC = "misc_tables:\n  speaker:\n    levels: {speaker: int}\n    columns:\n      gender: {scheme_id: gender}\n"
FILEWISE = "file,emotion,emotion.confidence\nwav/a.wav,anger,0.1\nwav/b.wav,neutral,0.2\nwav/c.wav,,1\n"
SEGMENTED = """file,start,end,emotion,emotion.confidence
wav/a.wav,0 days 00:00:00.000000,0 days 00:00:00.500000,anger,0.1
wav/a.wav,0 days 00:00:00.500000,,neutral,0.2
wav/c.wav,0 days 00:00:01.250000,0 days 00:00:02.000000,,1
"""
FILES = "file,speaker,transcription\nwav/a.wav,3,a\nwav/b.wav,3,b\nwav/c.wav,8,a\nwav/d.wav,,\n"
COLUMNS = ["utterance", "path", "speaker", "gender", "text", "emotion", "start", "end"]


def database(root, schemes="dict", emotion=FILEWISE, parquet=False, tables=TABLES):
    header = START + SCHEMES[schemes] + TEXT + tables + (MISC if schemes == "misc" else "")
    files = {"emotion": emotion, "files": FILES} | ({"speaker": "speaker,gender\n3,male\n8,female\n"})
    (root / "db.yaml").write_text(header.replace("KIND", "segmented" if "start" in emotion else "filewise"))
    for name, text in files.items():
        (root / f"db.{name}.csv").write_text(text)
        if parquet:
            frame = pd.read_csv(root / f"db.{name}.csv")
            times = {column: pd.to_timedelta(frame[column]) for column in ("start", "end") if column in frame}
            whole = {"speaker": frame["speaker"].astype("Int64")} if "speaker" in frame else {}
            frame.assign(**times, **whole).to_parquet(root / f"db.{name}.parquet", index=False)
            (root / f"db.{name}.csv").unlink()
    return root


def told(root, **options):
    rows = table.scan(root, **options)[COLUMNS]
    return rows.astype(object).where(rows.notna(), None).to_numpy().tolist()


@pytest.mark.parametrize("parquet", [False, True], ids=["csv", "parquet"])
@pytest.mark.parametrize("schemes", SCHEMES)
def test_files_and_their_speakers(tmp_path, schemes, parquet):
    assert told(database(tmp_path, schemes, parquet=parquet)) == [
        ["wav-a", "wav/a.wav", "3", "male", "Der Lappen, er", "anger", 0.0, None],
        ["wav-b", "wav/b.wav", "3", "male", 'Das "will"\nsie', "neutral", 0.0, None],
        ["wav-c", "wav/c.wav", "8", "female", "Der Lappen, er", None, 0.0, None],
    ]


@pytest.mark.parametrize("parquet", [False, True], ids=["csv", "parquet"])
def test_segments_take_what_is_told_of_their_file(tmp_path, parquet):
    assert told(database(tmp_path, emotion=SEGMENTED, parquet=parquet)) == [
        ["wav-a-0-0.5", "wav/a.wav", "3", "male", "Der Lappen, er", "anger", 0.0, 0.5],
        ["wav-a-0.5-end", "wav/a.wav", "3", "male", "Der Lappen, er", "neutral", 0.5, None],
        ["wav-c-1.25-2.0", "wav/c.wav", "8", "female", "Der Lappen, er", None, 1.25, 2.0],
    ]


def test_times_in_seconds_and_NaT_mean_the_same(tmp_path):
    expected = told(database(tmp_path, emotion=SEGMENTED))
    seconds = SEGMENTED.replace("500000,,", "500000,NaT,").replace("0 days 00:00:0", "").replace("0000", "")
    assert "1.25,2.00" in seconds
    assert told(database(tmp_path, emotion=seconds)) == expected


def test_tables_of_a_split_are_taken_together_unless_they_disagree(tmp_path):
    split = TABLES.replace("tables:\n", "tables:\n  test:\n    type: filewise\n    columns:\n      emotion: {}\n")
    database(tmp_path, tables=split)
    expected = told(tmp_path, table="emotion")
    (tmp_path / "db.test.csv").write_text("file,emotion\nwav/a.wav,anger\nwav/c.wav,neutral\n")
    assert sorted(row[5] for row in told(tmp_path)) == ["anger", "neutral", "neutral"]
    (tmp_path / "db.test.csv").write_text("file,emotion\nwav/a.wav,anger\nwav/b.wav,anger\n")
    with pytest.raises(UserError, match="the emotion of wav/b.wav is both 'anger' and 'neutral'; correct one or"):
        table.scan(tmp_path)
    assert told(tmp_path, table="emotion") == expected


def test_a_column_is_found_by_its_scheme_and_pickles_stay_closed(tmp_path):
    database(tmp_path, tables=TABLES.replace("      emotion:", "      perceived:"))
    (tmp_path / "db.emotion.csv").write_text(FILEWISE.replace("emotion,", "perceived,", 1))
    for name in ("emotion", "files"):
        (tmp_path / f"db.{name}.pkl").write_bytes(b"not a pickle")
    assert [row[5] for row in told(tmp_path)] == ["anger", "neutral", None]


def test_a_table_beside_the_database_can_be_named(tmp_path):
    (database(tmp_path) / "own.csv").write_text("path,speaker,emotion\nx.wav,1,joy\n")
    assert [row[0] for row in told(tmp_path, table="own.csv")] == ["x"]
