"""Any folder of speech without labels, nested as it likes: what encoders are pretrained on."""

import math
import re
from pathlib import Path

import pandas as pd
import soundfile

from serflow.corpora import folders
from serflow.errors import UserError

LAYOUT = "recordings at any depth, in any format that soundfile reads"
UNLABELLED = "unlabelled"  # in place of an emotion


def scan(root: Path, speaker: int | str | None = None, longest: float = 30.0) -> pd.DataFrame:
    """A row for each recording below `root`, or for each of the equal pieces of one that lasts more than `longest` s.

    speaker: which folder of the path names the speaker, 1 being the first below `root`, or a regular expression whose
    group `speaker` does; None: unknown, and every recording counts as a voice of its own.
    """
    paths = folders.files(root, rf"[^/]+\.(?:{'|'.join(folders.SUFFIXES)})")
    rows = [
        {"utterance": path + piece, "path": path, "start": start, "end": end}
        for path in paths
        for piece, start, end in _pieces(root / path, longest)
    ]
    rows = pd.DataFrame(rows, columns=["utterance", "path", "start", "end"])
    return rows.assign(speaker=_speakers(rows["path"], speaker), label=UNLABELLED, emotion=UNLABELLED)


def _pieces(path, longest):
    """(what names a piece, its start, its end) in seconds; of a file that tells no length, the whole of it."""
    try:
        seconds = soundfile.info(path).duration
    except (soundfile.LibsndfileError, TypeError):  # what is wrong with it is told when it is opened
        seconds = 0.0
    count = math.ceil(seconds / longest)
    if count < 2:
        return [("", 0.0, math.nan)]
    return [(f"#{n}", n * seconds / count, (n + 1) * seconds / count) for n in range(count)]


def _speakers(paths, speaker):
    if speaker is None:
        return paths
    if isinstance(speaker, int):
        names = paths.str.split("/").str[:-1].str[speaker - 1]
    elif "speaker" in re.compile(speaker).groupindex:
        names = paths.str.extract(speaker)["speaker"]
    else:
        raise UserError(f"corpus.options.speaker {speaker!r} has no group (?P<speaker>...): name one.")
    if names.isna().any():
        raise UserError(f"corpus.options.speaker {speaker!r} finds no speaker in {paths[names.isna()].iloc[0]}.")
    return names
