"""The emotion diarization error of SpeechBrain, by its authors, where it is defined: one emotional segment."""

import importlib.util
import random
from pathlib import Path

import pytest

from serflow.evaluation.frames import diarization_error, segments_of

# The file alone: the package puts modules in place that break when pytest looks at them.
FILE = Path(importlib.util.find_spec("speechbrain").origin).parent / "utils" / "EDER.py"
SPEC = importlib.util.spec_from_file_location("EDER", FILE)
MODULE = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(MODULE)


@pytest.mark.parametrize("seed", range(200))
def test_the_error_is_speechbrains(seed):
    rng = random.Random(seed)  # noqa: S311
    frames, hop = rng.choices("nas", k=rng.randint(2, 60)), rng.choice([0.02, 0.25, 1.0])
    window = hop * rng.choice([1.0, 1.5, 2.5, 0.5])
    duration = hop * len(frames) + window + rng.random()
    start, end = sorted(rng.uniform(0, duration) for _ in range(2))
    truth = [{"emo": rng.choice(["angry", "sad"]), "start": start, "end": end}]
    theirs = MODULE.EDER(list(frames), "u", duration, truth, window, hop)
    ours = diarization_error(
        segments_of(frames, hop, window), [(start, end, truth[0]["emo"][0])], duration, elsewhere="n"
    )
    assert ours == pytest.approx(theirs, abs=1e-9)
