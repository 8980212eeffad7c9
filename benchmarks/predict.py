"""The first answer on one file, start-up included: `serflow predict` against transformers' pipeline and nkululeko.

The same network for the first two, random weights of HuBERT's shape under a linear layer; one file of 4 s, a new
process each time, interleaved, the least of the rounds. Beside it `serflow --help`.

nkululeko takes part where `--nkululeko` names the Python of an environment of its own, with `nkululeko==1.14.1`,
`torch` and `transformers<5`: with 5 its fine-tuning stops at an argument that is no more. What it has fine-tuned for
a step, which is not timed, predicts. Its fine-tuning of HuBERT stops too, at an output that transformers' HuBERT does
not have, so it gets wav2vec 2.0, which has the same layers; the head on top is its own, of two linear layers. Run:
.venv/bin/python benchmarks/predict.py [--nkululeko PYTHON]
"""

import argparse
import os
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
CLASSES = ["anger", "happiness", "neutral", "sadness"]
EXPERIMENT = """
[EXP]
root = .
name = experiment
[DATA]
databases = ['training', 'test']
training = utterances.csv
training.type = csv
training.split_strategy = train
test = utterances.csv
test.type = csv
test.split_strategy = test
target = emotion
[FEATS]
type = []
[MODEL]
type = finetune
[FINETUNE]
pretrained_model = pretrained
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="base")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--nkululeko", metavar="PYTHON", type=os.path.abspath)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs, file = (f"{folder}/{name}" for name in ("ours", "theirs", "speech.wav"))
        settings = {"options": {"pooling": "mean"}}
        encoder = build("hubert", {"size": chosen.size}, 0)
        EmotionClassifier.around(encoder, CLASSES, settings, 0).save_pretrained(ours)
        export(ours, theirs)
        write_noise(file, 4)
        serflow = [sys.executable, "-m", "serflow.cli"]
        ways = {
            "serflow --help": [*serflow, "--help"],
            "serflow predict": [*serflow, "predict", file, "--model", ours],
            "transformers pipeline": [sys.executable, "-c", PIPELINE, theirs, file],
        }
        if chosen.nkululeko:
            ways["nkululeko predict"] = [*fine_tuned(chosen.nkululeko, chosen.size, Path(folder)), "--file", file]
        best = dict.fromkeys(ways, (np.inf, np.inf))
        for _ in range(chosen.rounds):
            for name, command in ways.items():
                best[name] = tuple(np.minimum(best[name], taken(command, folder)))
    for name, (wall, cpu) in best.items():
        print(f"{name:>22}: {wall:5.2f} s, of which a core worked {cpu:5.2f} s")


def fine_tuned(python, size, folder):
    """Have nkululeko fine-tune for a step, an utterance of 1 s a class; returns the command that predicts with it."""
    build("wav2vec2", {"size": size}, 0).save_pretrained(folder / "wav2vec2")
    export(folder / "wav2vec2", folder / "pretrained")
    for emotion in CLASSES:
        write_noise(folder / f"{emotion}.wav", 1)
    lines = ["file,emotion", *(f"{emotion}.wav,{emotion}" for emotion in CLASSES)]
    (folder / "utterances.csv").write_text("\n".join(lines))
    (folder / "experiment.ini").write_text(EXPERIMENT)
    config = ["--config", "experiment.ini"]
    run([python, "-m", "nkululeko.nkululeko", *config], folder)
    return [python, "-m", "nkululeko.predict", *config, "--type", "model"]


def write_noise(file, seconds):
    soundfile.write(file, np.random.default_rng(0).normal(0, 0.1, seconds * RATE), RATE)


def taken(command, folder):
    """Seconds that passed, and that cores worked."""
    before, started = worked(), time.perf_counter()
    run(command, folder)
    return time.perf_counter() - started, worked() - before


def run(command, folder):
    offline = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=offline)  # noqa: S603 (its own)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def worked():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
