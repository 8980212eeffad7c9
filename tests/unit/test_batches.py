import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from serflow.batches import Inputs, LabelledBatches, PretrainingBatches, WholeUtterances
from serflow.frames import FrameStore, writing_frames
from serflow.normalisation import KINDS, shared_moments
from serflow.objectives import masked_units

SCHEDULE = {
    "steps": 12, "batch_seconds": 4, "crop_seconds": 2, "mask_probability": 0.65, "mask_span": 10, "mask_minimum": 2,
    "batch_size": 5,
}  # fmt: skip
SAMPLES = [8000, 17000, 40000, 23456, 9120]
NAMES = [f"u{number}" for number in range(len(SAMPLES))]


@pytest.fixture(scope="module", params=["audio", "fbank"])
def inputs(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("inputs") / "store.arrow"
    audio = request.param == "audio"
    rng = np.random.default_rng(0)
    with writing_frames(path, 0 if audio else 80, "int16" if audio else "float16", 1 / 16000 if audio else 0.01) as w:
        for name, samples in zip(NAMES, SAMPLES, strict=True):
            shape = samples if audio else (1 + (samples - 400) // 160, 80)
            w.append(name, rng.normal(100, 1000 if audio else 3, shape))
    return Inputs(FrameStore(path))


@pytest.fixture(scope="module", params=[0.01, 0.02])
def units(request, tmp_path_factory):
    """Every unit is the number of its 20 ms token."""
    path = tmp_path_factory.mktemp("units") / "units.arrow"
    step = round(0.02 / request.param)
    with writing_frames(path, 0, "int32", request.param) as writer:
        for name, samples in zip(NAMES, SAMPLES, strict=True):
            writer.append(name, np.arange(1 + (samples - 400) // (320 // step)) // step)
    return FrameStore(path)


def unit_batches(inputs, units, seed):
    return PretrainingBatches(inputs, {"units": units}, NAMES, {"schedule": SCHEDULE}, masked_units, seed)


def test_units_stay_with_their_frames_through_cropping(inputs, units):
    batches = unit_batches(inputs, units, seed=0)
    for batch in (batches[step] for step in range(len(batches))):
        tokens = batch["units"].shape[1]
        assert batch["mask"].shape == batch["units"].shape
        inputs_needed = 320 * tokens + 80 if inputs.is_audio else 2 * tokens
        assert batch["input_values"].shape[1] == inputs_needed
        for row, own in zip(batch["input_values"], batch["units"], strict=True):
            assert torch.equal(own, torch.arange(tokens) + own[0])
            places = [place(inputs, number, row, int(own[0])) for number in range(len(NAMES))]
            assert sum(places) == 1  # the audio from that token on, of exactly one utterance


def place(inputs, number, values, token):
    whole = inputs.read(number)[token * inputs.step :][: len(values)]
    return len(whole) == len(values) and np.allclose(whole, values, atol=1e-5)


def test_a_batch_depends_on_seed_and_number_alone(inputs, units):
    first, second = (unit_batches(inputs, units, seed=3) for _ in range(2))
    second[0], second[7]
    assert all(torch.equal(first[5][key], second[5][key]) for key in first[5])
    other = unit_batches(inputs, units, seed=4)
    assert any(not torch.equal(first[i]["units"], other[i]["units"]) for i in range(5))


def test_an_epoch_hears_every_utterance_once_within_the_budget(inputs, units):
    batches = unit_batches(inputs, units, seed=0)
    heard = [row for batch in batches.plan for row in batch]
    assert sorted(heard[: len(NAMES)]) == sorted(heard[len(NAMES) : 2 * len(NAMES)]) == list(range(len(NAMES)))
    assert all(len(batch) == 1 or batches.tokens[batch].min() * len(batch) <= 200 * 1.12 for batch in batches.plan)


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(len(NAMES))))
def test_whole_utterances_come_once_with_their_emotions_whatever_the_order(order):
    store = FakeStore(SAMPLES)
    batches = WholeUtterances(Inputs(store), [NAMES[i] for i in order], np.array(order), seconds=4)
    seen = []
    for number in range(len(batches)):
        batch = batches[number]
        for length, emotion in zip(batch["lengths"].tolist(), batch["emotions"].tolist(), strict=True):
            assert SAMPLES[emotion] == length
            seen.append(emotion)
    assert sorted(seen) == list(range(len(NAMES)))


class FakeStore:
    """Audio in memory: the same indexing as FrameStore."""

    width, hop, utterances = 0, 1 / 16000, NAMES

    def __init__(self, samples):
        rng = np.random.default_rng(0)
        self.arrays = [rng.normal(0, 1000, count).astype(np.int16) for count in samples]
        self.lengths = np.array(samples)

    def rows(self, utterances):
        return np.array([NAMES.index(name) for name in utterances])

    def __getitem__(self, row):
        return self.arrays[NAMES.index(row) if isinstance(row, str) else row]


@pytest.mark.parametrize(("balanced", "share"), [("emotion", 0.5), ("nothing", 0.2)])
def test_classes_are_drawn_equally_often_or_as_often_as_they_are(inputs, balanced, share):
    rows = pd.DataFrame({"utterance": NAMES, "emotion": list("aaaab")})
    batches = LabelledBatches(inputs, rows, ["a", "b"], {**SCHEDULE, "steps": 100, "balanced": balanced}, seed=0)
    drawn = torch.cat([batches[step]["emotions"] for step in range(100)])
    assert share - 0.1 < drawn.float().mean() < share + 0.1


def test_crops_are_at_most_as_long_as_asked(inputs):
    rows = pd.DataFrame({"utterance": NAMES, "emotion": "a"})
    batches = LabelledBatches(inputs, rows, ["a"], {**SCHEDULE, "crop_seconds": 0.7}, seed=0)
    for step in range(6):
        lengths = batches[step]["lengths"]
        tokens = (lengths - inputs.overhang) // inputs.step
        assert tokens.max() <= 35 and tokens.min() >= 24


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_are_normalised_over_whom_is_asked_for(inputs, kind):
    rows = pd.DataFrame({"utterance": NAMES, "speaker": ["a", "a", "b", "b", "b"]})
    speakers = [["u0", "u1"], ["u2", "u3", "u4"], ["u2", "u3", "u4"]]
    over = {"utterance": [["u1"], ["u2"], ["u4"]], "training": [["u0", "u3"]] * 3, "speaker": speakers}
    shared = shared_moments(kind, inputs.store, rows, ["u3", "u0"])
    normalised = Inputs(inputs.store, shared=shared)
    for name, group in zip(["u1", "u2", "u4"], over[kind], strict=True):
        stacked = np.concatenate([inputs.store[other] for other in group]).astype(np.float64)
        expected = (inputs.store[name].astype(np.float64) - stacked.mean(0)) / stacked.std(0)
        np.testing.assert_allclose(normalised.read(NAMES.index(name)), expected, atol=2e-3)
    crop = normalised.read(2, first=3, tokens=5)
    np.testing.assert_array_equal(crop, normalised.read(2)[3 * inputs.step :][: len(crop)])


def test_silence_stays_finite():
    store = FakeStore(SAMPLES)
    store.arrays[1][:] = 7
    assert np.abs(Inputs(store).read(1)).max() == 0
