"""nEMO, emotional speech in Polish (Christop, LREC-COLING 2024).

A file name is speaker, emotion and number of the sentence; data.tsv has the sentences and the speakers' genders.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from serflow.corpora import folders

if TYPE_CHECKING:
    import pandas as pd

LAYOUT = "recordings named like samples/WR0_surprised_64.wav, and data.tsv"
EMOTIONS = {
    "anger": "anger",
    "fear": "fear",
    "happiness": "happiness",
    "neutral": "neutral",
    "sadness": "sadness",
    "surprised": "surprise",
}
PUBLISHED = {"utterances": 4481, "speakers": 9}


def scan(root: Path) -> pd.DataFrame:
    """A row for each recording below `root`; without data.tsv the text is the number and genders are unknown."""
    rows = folders.recordings(root, r"(?P<speaker>[A-Z]+\d)_(?P<label>[a-z]+)_(?P<text>\w+)")
    emotion = rows["label"].str.lower().map(EMOTIONS)
    rows = rows.assign(speaker=rows["speaker"].str.upper(), gender="unknown", emotion=emotion)
    for path in folders.companions(root, "data.tsv", "sentences and genders"):
        about = folders.read_columns(root / path, ["file_id", "raw_text", "gender"])
        names = about["file_id"].str.lower().str.replace(r"\.wav$", "", regex=True)
        for column, told in [("text", "raw_text"), ("gender", "gender")]:
            known = dict(zip(names, about[told], strict=True))
            rows[column] = rows["utterance"].str.lower().map(known).astype(object).fillna(rows[column])
    return rows
