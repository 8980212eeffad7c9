"""The command `serflow predict`: recordings in, what was heard in them out."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from serflow.artifacts import check_writable, write_text
from serflow.audio import AudioFault
from serflow.errors import UserError
from serflow.progress import say

ENDINGS = {"tsv": "tsv", "json": "json", "audacity": "txt", "rttm": "rttm"}  # of the files of a format


def predict(
    recordings: list[str],
    model: str | None = None,
    classes: list[str] | None = None,
    frames: bool = False,
    segment: float | None = None,
    format: str = "tsv",
    output: str | None = None,
) -> int:
    """Tell the emotions in `recordings`, files and folders, on standard output or in files of the folder `output`.

    `model`: see `serflow.recognition.recogniser.Recogniser`, as for `classes`, `frames` and `segment`; None takes the
    best of results/. What cannot be heard is named on standard error. Returns 1 where there is such, else 0.
    Raises UserError.
    """
    paths = _paths(recordings)
    if format == "audacity" and len(paths) > 1 and output is None:
        raise UserError("Audacity has a track of labels a recording: name one recording, or a folder by --output.")
    if output is not None:
        names = list(paths.values())
        if len(set(names)) < len(names):
            twice = max(names, key=names.count)
            raise UserError(f"{names.count(twice)} of the recordings are called {twice}: write them to two folders.")
        check_writable(output)
    if model is None:
        model = _best()
    from serflow.recognition.annotations import (
        FORMATS,
        shown,
    )  # after all that can be wrong without them: they bring torch
    from serflow.recognition.recogniser import Recogniser

    recogniser, unheard = Recogniser(model, classes), []
    if recogniser.normalisation == "speaker":
        say(f"{model} normalises what it hears by speaker: the files of a folder are taken for those of one speaker")

    def heard() -> Iterator:
        for path, found in recogniser.files(paths, frames, segment):
            if isinstance(found, AudioFault):
                unheard.append(path)
                print(f"serflow: {shown(path)}: {found}", file=sys.stderr, flush=True)
            else:
                yield path, found

    if output is None:
        for text in FORMATS[format](heard()):
            sys.stdout.write(text)
        sys.stdout.flush()
    else:
        for path, found in heard():
            text = "".join(FORMATS[format]([(path, found)]))
            write_text(Path(output, f"{paths[path]}.{ENDINGS[format]}"), text)
    if unheard:
        print(f"serflow: {len(unheard)} of {len(paths)} recordings cannot be heard.", file=sys.stderr)
    return int(bool(unheard))


def _paths(recordings):
    """{path: its name below what was given} of every recording, each once. UserError where a folder has none."""
    found = {}
    for given in recordings:
        names = [Path(given).name]
        if os.path.isdir(given):  # False, and no error, for what cannot be a name
            from serflow.corpora.folders import SUFFIXES, files  # they bring pandas, which nothing else here needs

            names = files(given, rf"[^/]+\.(?:{'|'.join(SUFFIXES)})")
            if not names:
                raise UserError(
                    f"{given} has no recordings: name a folder with {', '.join(SUFFIXES[:4])}, ... files."
                )
            found |= {str(Path(given, name)): name for name in names}
        else:
            found[given] = names[0]
    return found


def _best():
    from serflow.recognition.trained import best

    found = best()
    say(f"{found.final or found.folder}: {found.title}, UA {found.score()} % in {found.table}, the best of results/")
    return found.final or found.folder
