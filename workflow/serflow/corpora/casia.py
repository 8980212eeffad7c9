"""CASIA, the Chinese emotional corpus of the Institute of Automation, 50 sentences in every emotion.

Path: speaker, emotion, number of the sentence. Who of the four is a woman is not published with it: unknown.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from serflow.corpora import folders

if TYPE_CHECKING:
    import pandas as pd

LAYOUT = "recordings laid out like liuchanhg/angry/201.wav"
EMOTIONS = {
    "angry": "anger",
    "fear": "fear",
    "happy": "happiness",
    "neutral": "neutral",
    "sad": "sadness",
    "surprise": "surprise",
}
SPEAKERS = ["liuchanhg", "wangzhe", "zhaoquanyin", "zhaozuoxiang"]
PUBLISHED = {
    "utterances": 1200,
    "speakers": 4,
    "emotion": dict.fromkeys(EMOTIONS.values(), 200),
    "names": [f"{speaker}_{label}_{n}" for speaker in SPEAKERS for label in EMOTIONS for n in range(201, 251)],
}


def scan(root: Path) -> pd.DataFrame:
    """A row for each recording below `root`; the text is the sentence's number, the same for every emotion."""
    rows = folders.recordings(root, r"(?P<speaker>[^/]+)/(?P<label>[^/]+)/(?P<text>\d+)")
    rows = rows.assign(speaker=rows["speaker"].str.lower(), label=rows["label"].str.lower())  # ZhaoZuoxiang
    utterance = rows["speaker"] + "_" + rows["label"] + "_" + rows["text"]
    return rows.assign(utterance=utterance.fillna(rows["utterance"]), emotion=rows["label"].map(EMOTIONS))
