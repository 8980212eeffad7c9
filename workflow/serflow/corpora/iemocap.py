"""IEMOCAP, the Interactive Emotional Dyadic Motion Capture Database (Busso et al. 2008), as its owner lays it out.

`Ses01F_impro01_M003` is said by the man of session 1: the last token's letter is the speaker's, the first's only
tells who wore the markers. Where raters did not agree (xxx) the emotion is `other`, so that class sets leave it out.
"""

import re
from itertools import product
from pathlib import Path

import pandas as pd

from serflow.corpora import folders

LAYOUT = "Session1/sentences/wav/<dialog>/<utterance>.wav and Session1/dialog/EmoEvaluation/<dialog>.txt"
EMOTIONS = {
    "ang": "anger",
    "hap": "happiness",
    "exc": "excitement",
    "sad": "sadness",
    "neu": "neutral",
    "fru": "frustration",
    "fea": "fear",
    "sur": "surprise",
    "dis": "disgust",
    "oth": "other",
    "xxx": "other",
}
FOUR = ["anger", "happiness", "neutral", "sadness"]
CLASSES = {
    "4-class": {emotion: [emotion] for emotion in FOUR} | {"happiness": ["happiness", "excitement"]},
    "4-class-improvised": {emotion: [emotion] for emotion in FOUR},
    "6-class": {emotion: [emotion] for emotion in [*FOUR, "excitement", "frustration"]},
}
SUBSETS = {"4-class-improvised": "_impro"}  # takes only utterances that have this in their name

PARTS = [*(f"impro0{n}" for n in range(1, 9)), *(f"script0{n}_{m}" for n, m in [(1, 1), (1, 2), (1, 3)])]
PARTS += [f"script0{n}_{m}" for n, m in product([2, 3], [1, 2])]
DIALOGS = {f"Ses0{session}{marked}_{part}_" for session, marked, part in product(range(1, 6), "FM", PARTS)}
DIALOGS -= {"Ses01F_impro08_", "Ses01M_impro08_", "Ses03M_impro05_", "Ses03M_impro08_"}
DIALOGS |= {"Ses03M_impro05a_", "Ses03M_impro05b_", "Ses03M_impro08a_", "Ses03M_impro08b_", "Ses05M_script01_1b_"}
SPEAKERS = ["1F", "1M", "2F", "2M", "3F", "3M", "4F", "4M", "5F", "5M"]
PUBLISHED = {
    "utterances": 10_039,
    "speakers": 10,
    "label": dict(zip(EMOTIONS, [1103, 595, 1041, 1084, 1708, 1849, 40, 107, 2, 3, 2507], strict=True)),
    "names": sorted(DIALOGS),
    "4-class": {
        "utterances": 5531,
        "emotion": dict(zip(FOUR, [1103, 1636, 1708, 1084], strict=True)),
        "session": dict(zip("12345", [1085, 1023, 1151, 1031, 1241], strict=True)),
        "speaker": dict(zip(SPEAKERS, [528, 557, 481, 542, 522, 629, 528, 503, 590, 651], strict=True)),
    },
    "4-class-improvised": {"utterances": 2280, "emotion": dict(zip(FOUR, [289, 284, 1099, 608], strict=True))},
}
UTTERANCE = r"Ses\d\d[FM]_\w+_[FM]\d+"
EVALUATION = re.compile(rf"^\[[\d. -]+\][\t ]+({UTTERANCE})[\t ]+(\w+)[\t ]", re.MULTILINE)
TURN = re.compile(rf"^({UTTERANCE})[\t ]+\[[\d. -]+\]:[\t ]*(.*?)\s*$", re.MULTILINE)


def scan(root: Path) -> pd.DataFrame:
    """A row for each utterance that is labelled or is recorded; emotion is NaN where there is only the file."""
    wavs = folders.recordings(root, f"(?P<utterance>{UTTERANCE})")
    wavs = wavs[~wavs["path"].str.contains(r"(?:^|/)dialog/", case=False)]  # recordings of whole dialogs
    labels = _labels(root)
    own = {name.lower(): name for name in labels["utterance"]}  # a copy's files may have lost their capitals
    names = wavs["utterance"].str.lower().map(own).astype(object).fillna(wavs["utterance"])
    rows = wavs.assign(utterance=names).merge(labels, on="utterance", how="outer")
    voice = rows["utterance"].str.extract(r"(?:^|/)Ses0?(\d+)[FM]_\w+_([FM])\d+$")
    return rows.assign(
        path=rows["path"].fillna(rows["promised"]),
        speaker=voice[0] + voice[1],
        gender=voice[1].map({"F": "female", "M": "male"}),
        session=voice[0],
        text=rows["utterance"].map(_transcripts(root)),
        emotion=rows["label"].map(EMOTIONS),
    )


def _labels(root):
    """utterance, label and promised path, of the files in EmoEvaluation itself: its subfolders are single raters'."""
    rows = []
    for path in folders.files(root, r"EmoEvaluation/[^/]+\.txt"):
        *above, dialog = path[:-4].split("/")
        for utterance, label in EVALUATION.findall(folders.read_text(root / path)):
            rows.append((utterance, label, "/".join([*above[:-2], "sentences/wav", dialog, f"{utterance}.wav"])))
    rows = pd.DataFrame(rows, columns=["utterance", "label", "promised"], dtype=str)
    return rows.drop_duplicates(["utterance", "label"])


def _transcripts(root):
    """{utterance: text}"""
    paths = folders.files(root, r"transcriptions/[^/]+\.txt")
    return dict(turn for path in paths for turn in TURN.findall(folders.read_text(root / path)))
