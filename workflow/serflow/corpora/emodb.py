"""EMO-DB, the Berlin Database of Emotional Speech (Burkhardt et al., Interspeech 2005).

A file name is speaker (2 digits), sentence (3 characters), emotion (first letter, in German) and version.
"""

import os

import pandas as pd

LAYOUT = "WAV files named like wav/03a01Wa.wav"
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


def scan(root):
    """A row for each WAV file at any depth below `root`; emotion is NaN where the name does not tell it."""
    files = sorted(
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.suffix.lower() == ".wav" and not path.name.startswith(".")
    )
    rows = pd.DataFrame({"path": pd.Series(files, dtype=str)})
    rows["utterance"] = rows["path"].map(lambda path: os.path.splitext(os.path.basename(path))[0])
    parts = rows["utterance"].str.extract(r"^(\d\d)([ab]\d\d)([A-Z])[a-z]$")
    return rows.assign(
        speaker=parts[0],
        gender=parts[0].map(GENDERS).fillna("unknown"),
        session=parts[0],
        text=parts[1],
        emotion=parts[2].map(EMOTIONS),
    )
