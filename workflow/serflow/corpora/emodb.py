"""EMO-DB, the Berlin Database of Emotional Speech (Burkhardt et al., Interspeech 2005).

A file name is speaker (2 digits), sentence (3 characters), emotion (first letter, in German) and version.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from serflow.corpora import folders

if TYPE_CHECKING:
    import pandas as pd

LAYOUT = "recordings named like wav/03a01Wa.wav"
EMOTIONS = {
    "W": "anger",
    "L": "boredom",
    "N": "neutral",
    "F": "happiness",
    "A": "fear",
    "T": "sadness",
    "E": "disgust",
}
GENDERS = dict.fromkeys(["03", "10", "11", "12", "15"], "male")
GENDERS |= dict.fromkeys(["08", "09", "13", "14", "16"], "female")
PUBLISHED = {
    "utterances": 535,
    "speakers": 10,
    "emotion": dict(zip(EMOTIONS.values(), [127, 81, 79, 71, 69, 62, 46], strict=True)),
}


def scan(root: Path) -> pd.DataFrame:
    """A row for each recording at any depth below `root`; emotion is NaN where the name does not tell it."""
    rows = folders.recordings(root, r"(?P<speaker>\d\d)(?P<text>[ab]\d\d)(?P<label>[A-Z])[a-z]")
    return rows.assign(gender=rows["speaker"].map(GENDERS), emotion=rows["label"].str.upper().map(EMOTIONS))
