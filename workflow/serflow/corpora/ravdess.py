"""RAVDESS, the speech of the Ryerson Audio-Visual Database (Livingstone & Russo, PLoS ONE 2018).

A file name is modality, channel, emotion, intensity, statement, repetition and actor, two digits each.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from serflow.corpora import folders

if TYPE_CHECKING:
    import pandas as pd

LAYOUT = "recordings named like Actor_01/03-01-05-01-02-01-01.wav"
EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happiness",
    "04": "sadness",
    "05": "anger",
    "06": "fear",
    "07": "disgust",
    "08": "surprise",
}
LEVELS, STRENGTHS = True, {"01": 1.0, "02": 2.0}  # normal, strong
STATEMENTS = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
ACTORS = [f"{actor:02}" for actor in range(1, 25)]
PUBLISHED = {
    "utterances": 1440,
    "speakers": 24,
    "emotion": {emotion: 96 if emotion == "neutral" else 192 for emotion in EMOTIONS.values()},
    "names": [
        "-".join(["03-01", *parts])
        for parts in product(EMOTIONS, ["01", "02"], STATEMENTS, ["01", "02"], ACTORS)
        if parts[:2] != ("01", "02")  # neutral is never strong
    ],
}


def scan(root: Path) -> pd.DataFrame:
    """A row for each recording below `root` but the songs (03-02); men have odd numbers."""
    rows = folders.recordings(root, r"03-01-(?P<label>\d\d)-(?P<level>\d\d)-(?P<text>\d\d)-\d\d-(?P<speaker>\d\d)")
    rows = rows[~rows["path"].str.contains(r"(?:^|/)03-02-[^/]*$")]
    odd = rows["speaker"].str[-1].isin(list("13579"))
    return rows.assign(
        gender=odd.map({True: "male", False: "female"}),
        text=rows["text"].map(STATEMENTS),
        emotion=rows["label"].map(EMOTIONS),
        level=rows["level"].map(STRENGTHS),
    )
