"""Features of a whole utterance, one row each: eGeMAPS functionals, log-mel statistics, and what is no emotion."""

import contextlib
import functools
import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

from serflow.audio import RATE, from_int16
from serflow.frames import FrameStore
from serflow.progress import track

CHUNK = 16  # utterances that a worker takes at a time
WINDOW, HOP = RATE // 40, RATE // 100  # samples: 25 ms every 10 ms
QUIETEST = 1e-10  # power of digital silence: -100 dB
SOFTEST = 5  # percentile of frame levels that counts as the noise floor
SPEECH = 30.0  # dB below the loud frames down to which a frame is speech
PAUSE = 0.2  # s: shorter silence inside speech is articulation, a plosive's closure say


def functionals(samples: np.ndarray) -> dict[str, float]:
    """88 eGeMAPSv02 functionals (Eyben et al. 2016) of `samples` `[N]` at 16 kHz: {name: value}."""
    machine = _egemaps()
    return dict(zip(machine.feature_names, machine(samples, RATE).reshape(-1), strict=True))


def statistics(frames: np.ndarray) -> dict[str, float]:
    """A band's mean, standard deviation, mean absolute difference of neighbouring frames, and 90th percentile.

    `frames` `[T, D]` of log-mel energies -> {name: value}, 4 D of them. Source: ours.
    """
    frames = np.asarray(frames, dtype=np.float64)
    steps = np.abs(np.diff(frames, axis=0)).sum(0) / max(len(frames) - 1, 1)  # one frame has no neighbour
    found = {"mean": frames.mean(0), "std": frames.std(0), "step": steps, "p90": np.percentile(frames, 90, axis=0)}
    return {f"{name}_{band}": value for name, values in found.items() for band, value in enumerate(values)}


def nuisance(samples: np.ndarray) -> dict[str, float]:
    """What a recording's level, length and pauses are, which ought not to tell emotion: {name: value}. Source: ours.

    `samples` `[N]` at 16 kHz, 25 ms at least. A frame is speech within 30 dB of the 95th percentile of frame levels;
    a pause is silence of .2 s and more between speech.
    """
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP].astype(np.float64)
    level = _decibel((frames**2).mean(1))
    speech = level > np.percentile(level, 95) - SPEECH
    first, last = np.flatnonzero(speech)[[0, -1]]
    ends = np.flatnonzero(np.diff(speech[first : last + 1]))  # inside, silence begins and ends in turn
    pauses = (ends[1::2] - ends[::2]) * HOP / RATE
    pauses = pauses[pauses >= PAUSE]
    return {
        "level": _decibel(np.mean(np.square(samples, dtype=np.float64))),
        "level_of_speech": level[speech].mean(),
        "seconds": len(samples) / RATE,
        "silence": 1 - speech.mean(),
        "seconds_before": first * HOP / RATE,
        "seconds_behind": (len(speech) - 1 - last) * HOP / RATE,
        "pauses": len(pauses),
        "seconds_of_a_pause": pauses.mean() if len(pauses) else 0.0,
        "floor": np.percentile(level, SOFTEST),
    }


EXTRACTORS = {"functionals": functionals, "statistics": statistics, "nuisance": nuisance}
READS = {"functionals": "audio", "statistics": "fbank", "nuisance": "audio"}


def table(kind: str, path: str | Path, processes: int = 1) -> pd.DataFrame:
    """A frame: `utterance` and, float32, the features `kind` of every utterance of the store at `path`, in its order.

    `processes` share the work, each reading the mapped store by itself; how many changes no value. With several, the
    script that calls this must be guarded by `if __name__ == "__main__"`, since they import it.
    """
    utterances = FrameStore(path).utterances
    starts = range(0, len(utterances), CHUNK)
    rows = functools.partial(_rows, kind, str(path))
    with _mapping(min(processes, len(starts))) as mapped:
        chunks = list(track(mapped(rows, starts), len(starts), kind))
    features = pd.concat(chunks, ignore_index=True)
    features.insert(0, "utterance", utterances)
    return features


def _rows(kind, path, start):
    store = _store(path)
    values = (store[row] for row in range(start, min(start + CHUNK, len(store))))
    if READS[kind] == "audio":
        values = map(from_int16, values)
    return pd.DataFrame(map(EXTRACTORS[kind], values), dtype="float32")


@contextlib.contextmanager
def _mapping(processes):
    """A `map` that keeps the order, over `processes` started afresh: a fork could copy a library's held lock."""
    if processes < 2:
        yield map
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, spawn, initializer=_end_with_parent) as pool:
        yield pool.map


def _end_with_parent():
    """A worker whose parent was killed would wait for work for ever."""

    def watch():
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _decibel(power):
    return 10 * np.log10(np.maximum(power, QUIETEST))


@functools.cache
def _store(path):
    return FrameStore(path)


@functools.cache
def _egemaps():
    import opensmile

    return opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
