"""Leak-free comparison of speech emotion recognition methods, from a folder of audio to a table."""

import importlib

__version__ = "0.1.0"


def load(folder: str, classes: list[str] | None = None) -> object:
    """The trained system in a folder of results/, a `serflow.recognition.recogniser.Recogniser`: called with a
    waveform and its rate, it tells the emotion. Raises UserError."""
    # By name, so that no job's code is all of this.
    return importlib.import_module("serflow.recognition.recogniser").Recogniser(folder, classes)
