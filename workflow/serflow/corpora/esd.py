"""ESD, the Emotional Speech Dataset (Zhou et al., Speech Communication 2022): 0001-0010 Mandarin, 0011-0020 English.

Path: speaker, emotion, perhaps a split (ignored: it shares speakers), speaker and number; numbers 1-350 are the
sentences in neutral, and each further 350 are the same in another emotion. Genders are from the owner's ReadMe.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from serflow.corpora import folders

if TYPE_CHECKING:
    import pandas as pd

LAYOUT = "recordings laid out like 0011/Angry/0011_000351.wav"
EMOTIONS = {
    "Neutral": "neutral",
    "Angry": "anger",
    "Happy": "happiness",
    "Sad": "sadness",
    "Surprise": "surprise",
}
SPEAKERS = [f"{number:04}" for number in range(1, 21)]
MEN = ["0004", "0005", "0006", "0008", "0010", "0011", "0012", "0013", "0014", "0020"]
GENDERS = {speaker: "male" if speaker in MEN else "female" for speaker in SPEAKERS}
SENTENCES = 350
PUBLISHED = {
    "utterances": 35_000,
    "speakers": 20,
    "emotion": dict.fromkeys(EMOTIONS.values(), 7000),
    "names": [f"{speaker}_{n:06}" for speaker in SPEAKERS for n in range(1, SENTENCES * len(EMOTIONS) + 1)],
}


def scan(root: Path) -> pd.DataFrame:
    """A row for each recording below `root`; the text is the sentence's number where there is no transcript."""
    rows = folders.recordings(root, r"(?P<speaker>\d{4})/(?P<label>[a-z]+)/(?:[a-z]+/)?\d{4}_(?P<text>\d{6})")
    number = (rows["text"].astype(float) - 1) % SENTENCES + 1
    told = rows["utterance"].map(_transcripts(root)).astype(object)
    return rows.assign(
        gender=rows["speaker"].map(GENDERS),
        text=told.fillna(number.map("{:.0f}".format, na_action="ignore")),
        emotion=rows["label"].str.capitalize().map(EMOTIONS),
    )


def _transcripts(root):
    """{utterance: text} of `<speaker>/<speaker>.txt`: utterance, text and emotion between tabs."""
    texts = {}
    for path in folders.files(root, r"\d{4}\.txt"):
        mandarin = path[-8:-4] <= "0010"  # whose transcripts are of several encodings
        text = folders.read_text(root / path, otherwise="gb18030" if mandarin else "latin-1")
        texts |= re.findall(r"^(\d{4}_\d{6})\t[ ]*([^\t\r\n]+)", text, re.MULTILINE)
    return texts
