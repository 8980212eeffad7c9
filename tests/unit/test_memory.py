"""Ten hours of speech take no more memory than one: what grows with them stays on disk, or is a number a frame."""

import multiprocessing
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from serflow.batches import Inputs, PretrainingBatches
from serflow.clustering import fit_kmeans
from serflow.frames import FrameStore, drawn, writing_frames
from serflow.models import build, pretraining_class
from serflow.objectives import masked_units
from serflow.training import train

SECONDS, FRAMES = 10, 50_000
SCHEDULE = {
    "steps": 6, "batch_seconds": 40, "crop_seconds": 10, "mask_probability": 0.8, "mask_span": 10, "mask_minimum": 2,
    "learning_rate": 1e-3, "warmup": 0.1, "weight_decay": 0.0, "betas": [0.9, 0.98], "epsilon": 1e-6, "clip": 10.0,
    "checkpoint_steps": 3, "report_steps": 3,
}  # fmt: skip


def memory():
    """What the process has for itself, in MB: pages of mapped files are the system's to drop, and do not count."""
    return int(Path("/proc/self/status").read_text().partition("RssAnon:")[2].split()[0]) / 1024


def peaks(folder, all_hours):
    """What clustering and pretraining add at their peak to the process' memory, in MB, for each number of hours."""
    torch.set_num_threads(1)
    return [peak(folder / str(number), hours) for number, hours in enumerate(all_hours)]


def peak(folder, hours):
    seen, over, before = [], threading.Event(), memory()

    def watch():
        while not over.wait(0.01):
            seen.append(memory())

    threading.Thread(target=watch).start()
    try:
        learn(folder, [f"utterance {number}" for number in range(3600 * hours // SECONDS)])
    finally:
        over.set()
    return max(seen) - before


def learn(folder, utterances):
    """k-means on MFCC, and a few steps of pretraining on its units, as the two jobs do them."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, width in (("mfcc", 39), ("fbank", 80)):
        frames = rng.normal(size=(100 * SECONDS, width))
        with writing_frames(folder / name, width) as writer:
            for utterance in utterances:
                writer.append(utterance, frames)
    mfcc = FrameStore(folder / "mfcc")
    kmeans = fit_kmeans(mfcc.stack(drawn(utterances, mfcc.lengths_of(utterances), FRAMES, 0)), 20)
    assigned = {utterance: kmeans.assign(mfcc[utterance]) for utterance in utterances}
    with writing_frames(folder / "units", 0, "int32") as writer:
        for utterance, units in assigned.items():
            writer.append(utterance, units)
    streams, settings = {"units": FrameStore(folder / "units")}, {"schedule": SCHEDULE}
    inputs = Inputs(FrameStore(folder / "fbank"))
    batches = PretrainingBatches(inputs, streams, utterances, settings, masked_units, 0)
    encoder = build("mel-hubert", {"size": "small"}, 0)
    model = pretraining_class("mel_hubert").around(encoder, 20, 0, frozen=False)
    train(model, batches, folder / "training", SCHEDULE, 0, {})


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux alone tells what is the process' own")
def test_ten_hours_take_no_more_memory_than_one(tmp_path):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        _, one, ten = pool.apply(peaks, (tmp_path, (1, 1, 10)))  # the first fills caches
    assert ten < one + 100, (one, ten)  # ten hours of MFCC and mel frames are 1,700 MB in float32
