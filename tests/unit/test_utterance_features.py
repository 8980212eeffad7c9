import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tests.unit.test_features import vowel

from serflow import features, utterance_features
from serflow.artifacts import digest, write_parquet
from serflow.audio import to_int16
from serflow.frames import writing_frames
from serflow.utterance_features import READS, nuisance, statistics, table


@settings(deadline=None)
@given(arrays.arrays(np.float16, st.tuples(st.integers(1, 30), st.integers(1, 4)), elements=st.integers(-16, 15)))
def test_statistics_are_those_of_each_band(frames):
    found, bands = statistics(frames), frames.shape[1]
    assert len(found) == 4 * bands
    for band in range(bands):
        values = sorted(map(float, frames[:, band]))
        mean = sum(values) / len(values)
        place = 0.9 * (len(values) - 1)
        low, high = values[int(place)], values[min(int(place) + 1, len(values) - 1)]
        steps = [abs(float(b) - float(a)) for a, b in zip(frames[:-1, band], frames[1:, band], strict=True)]
        expected = {
            "mean": mean,
            "std": (sum((value - mean) ** 2 for value in values) / len(values)) ** 0.5,
            "step": sum(steps) / len(steps) if steps else 0.0,
            "p90": low + (high - low) * (place - int(place)),
        }
        for name, value in expected.items():
            assert found[f"{name}_{band}"] == pytest.approx(value, abs=1e-9)


def test_nuisance_finds_the_level_the_silence_and_the_pauses():
    speech, rng = vowel(0.5, level=0.1)[::-1].copy(), np.random.default_rng(0)
    speech = speech / np.sqrt(np.mean(speech**2)) * 0.1
    silence = [0.3, 0.4, 0.25, 0.1, 0.6]  # before, three times between (the last too short for a pause), behind
    parts = [rng.standard_normal(round(seconds * 16000)) * 1e-4 for seconds in silence]
    samples = np.concatenate([part for both in zip(parts, [speech] * 5, strict=True) for part in both][:-1])
    found = nuisance(samples.astype(np.float32))
    seconds = sum(silence) + 4 * 0.5
    assert found["seconds"] == pytest.approx(seconds, abs=1e-3)
    assert found["level"] == pytest.approx(-20 + 10 * np.log10(2 / seconds), abs=0.01)
    assert found["level_of_speech"] == pytest.approx(-21, abs=2)
    assert found["silence"] == pytest.approx(sum(silence) / seconds, abs=0.05)
    assert found["seconds_before"] == pytest.approx(0.3, abs=0.04)
    assert found["seconds_behind"] == pytest.approx(0.6, abs=0.04)
    assert found["pauses"] == 2
    assert found["seconds_of_a_pause"] == pytest.approx(0.325, abs=0.04)


@settings(deadline=None)
@given(arrays.arrays(np.int16, st.integers(400, 3000)), st.sampled_from([0.25, 0.5]))
def test_only_levels_change_with_the_gain(samples, gain):
    plain, softer = nuisance(samples / np.float32(32768)), nuisance(samples / np.float32(32768) * gain)
    assert all(np.isfinite(list(plain.values())))
    if abs(samples.astype(int)).min() > 9:  # above the floor
        for name, value in softer.items():
            change = 20 * np.log10(gain) if name in ("level", "level_of_speech", "floor") else 0.0
            assert value == pytest.approx(plain[name] + change, abs=1e-4)


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Audio and fbank of 40 utterances, three chunks of them."""
    folder = tmp_path_factory.mktemp("stores")
    paths = {"audio": folder / "audio.arrow", "fbank": folder / "fbank.arrow"}
    with writing_frames(paths["audio"], 0, "int16", 1 / 16000) as audio, writing_frames(paths["fbank"], 80) as fbank:
        for number in range(40):
            samples = vowel(0.5 + number / 50, 0.02 * (1 + number % 5), number)
            audio.append(f"u{number}", to_int16(samples))
            fbank.append(f"u{number}", features.fbank(samples))
    return paths


@pytest.mark.parametrize(("kind", "width"), [("functionals", 88), ("statistics", 320), ("nuisance", 9)])
def test_two_processes_write_the_bytes_of_one(stores, tmp_path, kind, width):
    for processes in (1, 2):
        found = table(kind, stores[READS[kind]], processes)
        assert found.columns[0] == "utterance" and found.utterance.tolist() == [f"u{n}" for n in range(40)]
        assert found.shape == (40, 1 + width) and set(found.dtypes.iloc[1:]) == {np.dtype("float32")}
        assert np.isfinite(found.iloc[:, 1:].to_numpy()).all()
        write_parquet(tmp_path / f"{processes}.parquet", found)
    assert digest(tmp_path / "1.parquet") == digest(tmp_path / "2.parquet")
    last = utterance_features._rows(kind, str(stores[READS[kind]]), 32)
    pd.testing.assert_frame_equal(found.iloc[32:, 1:].reset_index(drop=True), last)


def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import os, time\n"
        "from serflow.utterance_features import _mapping\n"
        "def told(_):\n"
        "    time.sleep(0.1)\n"
        "    return os.getpid()\n"
        "if __name__ == '__main__':\n"
        "    with _mapping(2) as mapped:\n"
        "        print(*mapped(told, range(8)), flush=True)\n"
        "        time.sleep(600)\n"
    )
    process = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    try:
        workers = set(map(int, process.stdout.readline().split()))
    finally:
        process.kill()
        process.communicate(timeout=60)  # once the workers, which hold the other end, have ended
    assert workers
    deadline = time.monotonic() + 60
    while any(map(alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, workers))


def alive(process):
    """Whether it runs; one that ended and waits to be counted does not."""
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
