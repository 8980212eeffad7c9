"""SAVEE, Surrey Audio-Visual Expressed Emotion (Haq & Jackson 2010): four men.

A file is speaker, emotion and number of the sentence, `DC_a01.wav` in one release and `DC/a01.wav` in the other.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from serflow.corpora import folders

if TYPE_CHECKING:
    import pandas as pd

LAYOUT = "recordings named like DC_a01.wav or DC/a01.wav"
EMOTIONS = {
    "a": "anger",
    "d": "disgust",
    "f": "fear",
    "h": "happiness",
    "n": "neutral",
    "sa": "sadness",
    "su": "surprise",
}
SENTENCES = {label: 30 if label == "n" else 15 for label in EMOTIONS}
PUBLISHED = {
    "utterances": 480,
    "speakers": 4,
    "emotion": {EMOTIONS[label]: 4 * count for label, count in SENTENCES.items()},
    "names": [
        f"{speaker}_{label}{number:02}"
        for speaker in ["DC", "JE", "JK", "KL"]
        for label, count in SENTENCES.items()
        for number in range(1, count + 1)
    ],
}


def scan(root: Path) -> pd.DataFrame:
    """A row for each recording below `root`; the text is its code (`a01`), the same for all speakers."""
    rows = folders.recordings(root, r"(?P<speaker>[A-Z]{2})[_/](?P<text>(?P<label>[a-z]{1,2})\d\d)")
    rows = rows.assign(speaker=rows["speaker"].str.upper(), text=rows["text"].str.lower())  # dc_A01
    utterance = (rows["speaker"] + "_" + rows["text"]).fillna(rows["utterance"])
    return rows.assign(utterance=utterance, gender="male", emotion=rows["label"].str.lower().map(EMOTIONS))
