"""CREMA-D, the Crowd-sourced Emotional Multimodal Actors Dataset (Cao et al., IEEE T-AC 2014).

A file name is actor, sentence, emotion and level; the actors' genders stand in VideoDemographics.csv.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from serflow.corpora import folders

if TYPE_CHECKING:
    import pandas as pd

LAYOUT = "recordings named like AudioWAV/1001_DFA_ANG_XX.wav, and VideoDemographics.csv"
EMOTIONS = {
    "ANG": "anger",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happiness",
    "NEU": "neutral",
    "SAD": "sadness",
}
SENTENCES = {
    "DFA": "Don't forget a jacket",
    "IEO": "It's eleven o'clock",
    "IOM": "I'm on my way to the meeting",
    "ITH": "I think I have a doctor's appointment",
    "ITS": "I think I've seen this before",
    "IWL": "I would like a new alarm clock",
    "IWW": "I wonder what this is about",
    "MTI": "Maybe tomorrow it will be cold",
    "TAI": "The airplane is almost full",
    "TIE": "That is exactly what happened",
    "TSI": "The surface is slick",
    "WSI": "We'll stop in a couple of minutes",
}
LEVELS, STRENGTHS = True, {"LO": 1.0, "MD": 2.0, "HI": 3.0}  # most files have XX, unspecified
PUBLISHED = {
    "utterances": 7442,
    "speakers": 91,
    "emotion": {emotion: 1087 if emotion == "neutral" else 1271 for emotion in EMOTIONS.values()},
}


def scan(root: Path) -> pd.DataFrame:
    """A row for each recording below `root`; genders are unknown without VideoDemographics.csv."""
    name = r"(?P<speaker>\d{4})_(?P<text>[A-Z]{3})_(?P<label>[A-Z]{3})_(?P<level>[A-Z]{1,2})"
    rows = folders.recordings(root, name)
    genders = {}
    for path in folders.companions(root, "VideoDemographics.csv", "genders"):
        about = folders.read_columns(root / path, ["ActorID", "Sex"])
        genders |= zip(about["ActorID"].str.strip(), about["Sex"].str.strip().str.lower(), strict=True)
    return rows.assign(
        gender=rows["speaker"].map(genders),
        text=rows["text"].str.upper().replace(SENTENCES),
        emotion=rows["label"].str.upper().map(EMOTIONS),
        level=rows["level"].str.upper().map(STRENGTHS),
    )
