"""The first answer on one file, start-up included: `serflow predict` against transformers' pipeline.

The same network for both, random weights of HuBERT's shape under a linear layer; one file of 4 s, a new process each
time, interleaved, the least of the rounds. Beside it `serflow --help`, and, where `--nkululeko` names a Python
whose environment has it, what importing its module for predictions takes, before it reads anything. Run:
.venv/bin/python benchmarks/predict.py
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from serflow.audio import RATE
from serflow.export import export
from serflow.heads.classifier import EmotionClassifier
from serflow.models import build

PIPELINE = """
import sys, soundfile; from transformers import pipeline
print(pipeline("audio-classification", sys.argv[1])(soundfile.read(sys.argv[2], dtype="float32")[0]))
"""  # it would read files by ffmpeg


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="base")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--nkululeko", metavar="PYTHON")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs, file = (f"{folder}/{name}" for name in ("ours", "theirs", "speech.wav"))
        settings = {"options": {"pooling": "mean"}}
        classes = ["anger", "happiness", "neutral", "sadness"]
        EmotionClassifier.around(build("hubert", {"size": chosen.size}, 0), classes, settings, 0).save_pretrained(
            ours
        )
        export(ours, theirs)
        soundfile.write(file, np.random.default_rng(0).normal(0, 0.1, 4 * RATE), RATE)
        serflow = [sys.executable, "-m", "serflow.cli"]
        ways = {
            "serflow --help": [*serflow, "--help"],
            "serflow predict": [*serflow, "predict", file, "--model", ours],
            "transformers pipeline": [sys.executable, "-c", PIPELINE, theirs, file],
        }
        if chosen.nkululeko:
            ways["import nkululeko.predict"] = [chosen.nkululeko, "-c", "import nkululeko.predict"]
        best = dict.fromkeys(ways, (np.inf, np.inf))
        for _ in range(chosen.rounds):
            for name, command in ways.items():
                best[name] = tuple(np.minimum(best[name], taken(command, folder)))
    for name, (wall, cpu) in best.items():
        print(f"{name:>22}: {wall:5.2f} s, of which a core worked {cpu:5.2f} s")


def taken(command, folder):
    """Seconds that passed, and that cores worked."""
    before, started = worked(), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, cwd=Path(folder))  # noqa: S603 (its own)
    return time.perf_counter() - started, worked() - before


def worked():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
