"""Training the Time-Frequency Transformer by serflow against the floor: the same network, optimiser and precision on
one batch that is on the device already, with nothing drawn, read, cropped, reported or saved.

Utterances a second, same machine, interleaved; frames are random. Run: .venv/bin/python benchmarks/tf_transformer.py
"""

import argparse
import contextlib
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from serflow.batches import Inputs, LabelledBatches
from serflow.frames import FrameStore, writing_frames
from serflow.heads.classifier import EmotionClassifier
from serflow.kernels import FastTraining, kept_memory
from serflow.models import build
from serflow.training import train

CLASSES, UTTERANCES, SECONDS = ["anger", "neutral"], 64, 3


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--branches", nargs="+", default=["time", "full"])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=300, help="steps a round")
    parser.add_argument("--rounds", type=int, default=2)
    chosen = parser.parse_args()
    schedule = {
        "steps": chosen.steps, "batch_size": chosen.batch, "crop_seconds": 2.56, "learning_rate": 0.0005,
        "warmup": 0.1, "weight_decay": 0.01, "betas": [0.9, 0.999], "epsilon": 1e-8, "clip": 5,
        "checkpoint_steps": 10**6, "report_steps": 50,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["TENSORBOARD_LOGGING_DIR"] = temporary
        batches = speech(Path(temporary), schedule)
        for branches in chosen.branches:
            seconds = {"serflow": [], "floor": []}
            for number in range(chosen.rounds):
                folder = Path(temporary) / f"{branches}-{number}"
                seconds["serflow"].append(serflow(network(branches), batches, schedule, folder))
                seconds["floor"].append(floor(network(branches), batches, schedule))
            taken = {name: min(values) for name, values in seconds.items()}  # the others were disturbed
            rate = {name: chosen.steps * chosen.batch / value for name, value in taken.items()}
            print(
                f"{branches}, {torch.get_num_threads()} threads: serflow {rate['serflow']:.1f} utterances a second, "
                f"the floor {rate['floor']:.1f}: {rate['serflow'] / rate['floor']:.2f} of it"
            )


def speech(folder, schedule):
    """Batches of random frames of utterances of two classes."""
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"utterance": [f"{number}" for number in range(UTTERANCES)]})
    rows["emotion"] = [CLASSES[number % 2] for number in range(UTTERANCES)]
    with writing_frames(folder / "fbank.arrow", 80) as writer:
        for name in rows["utterance"]:
            writer.append(name, rng.standard_normal((100 * SECONDS, 80)))
    return LabelledBatches(Inputs(FrameStore(folder / "fbank.arrow"), 1), rows, CLASSES, schedule, 0)


def network(branches):
    options = {"branches": branches, "segment": 256, "hop": 128}
    settings = {"head": "segments", "options": {}, "layers": "last", "frozen": "nothing"}
    return EmotionClassifier.around(build("tf-transformer", options, 0), CLASSES, settings, 0)


def serflow(model, batches, schedule, folder):
    """Seconds of a whole training."""
    started = time.perf_counter()
    train(model, batches, folder, schedule, 0, {})
    return time.perf_counter() - started


def floor(model, batches, schedule):
    """Seconds of as many bare steps."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.to(device).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=schedule["learning_rate"], fused=True)
    batch = {name: values.to(device) for name, values in batches[0].items()}
    started = time.perf_counter()
    with kept_memory(), contextlib.nullcontext() if device == "cuda" else FastTraining():  # the same arithmetic
        for _ in range(schedule["steps"]):
            with precision(device):
                loss = model(**batch).loss
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), schedule["clip"])
            optimiser.step()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def precision(device):
    """What serflow.training chooses on this machine."""
    from serflow.training import has_bfloat16

    return torch.autocast(device, torch.bfloat16) if has_bfloat16() else contextlib.nullcontext()


if __name__ == "__main__":
    main()
