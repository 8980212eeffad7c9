import numpy as np
import pytest
import torch

from serflow.batches import Inputs, PretrainingBatches
from serflow.frames import FrameStore, writing_frames
from serflow.models import load_encoder
from serflow.models.hubert import HubertForMaskedPrediction
from serflow.training import masked_accuracy, train

NAMES = [f"u{number}" for number in range(12)]
SCHEDULE = {
    "steps": 60, "batch_seconds": 8, "crop_seconds": 3, "mask_probability": 0.5, "mask_span": 4, "mask_minimum": 2,
    "learning_rate": 3e-3, "warmup": 0.1, "weight_decay": 0.0, "betas": [0.9, 0.98], "epsilon": 1e-6, "clip": 10.0,
    "checkpoint_steps": 1000, "report_steps": 20,
}  # fmt: skip


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Inputs of both kinds in which each utterance is one of three sounds, and its units say which."""
    folder, rng = tmp_path_factory.mktemp("stores"), np.random.default_rng(0)
    with (
        writing_frames(folder / "audio.arrow", 0, "int16", 1 / 16000) as audio,
        writing_frames(folder / "fbank.arrow", 80) as fbank,
        writing_frames(folder / "labels.arrow", 0, "int32", 0.01) as labels,
    ):
        for number, name in enumerate(NAMES):
            seconds, sound = 1 + 0.1 * number, number % 3
            samples = int(16000 * seconds)
            frames = 1 + (samples - 400) // 160
            tone = np.sin(2 * np.pi * (200 + 900 * sound) * np.arange(samples) / 16000)
            audio.append(name, 8000 * tone + rng.normal(0, 200, samples))
            fbank.append(name, rng.normal(0, 0.3, (frames, 80)) + np.eye(3).repeat(27, 1)[sound][:80])
            labels.append(name, np.full(frames, sound))
    return {kind: FrameStore(folder / f"{kind}.arrow") for kind in ("audio", "fbank", "labels")}


@pytest.mark.parametrize(("size", "kind", "reached"), [("mel-tiny", "fbank", 0.9), ("wave-tiny", "audio", 0.6)])
def test_masked_prediction_learns_what_surrounds_the_mask(stores, tmp_path, size, kind, reached):
    inputs = Inputs(stores[kind])
    model = HubertForMaskedPrediction.around(load_encoder(f"scratch:{size}"), units=3, seed=0, frozen=False)
    batches = PretrainingBatches(inputs, stores["labels"], NAMES, SCHEDULE, seed=0)
    watched = PretrainingBatches(inputs, stores["labels"], NAMES, SCHEDULE, seed=1, steps=4)
    history = train(model, batches, tmp_path, SCHEDULE, 0, {}, watched, masked_accuracy)
    assert history[history.quantity == "validation masked accuracy"].value.iloc[-1] > reached


def test_a_frozen_front_end_stays_and_costs_no_penalty(stores, tmp_path):
    model = HubertForMaskedPrediction.around(load_encoder("scratch:wave-tiny"), units=3, seed=0, frozen=True)
    before = {name: value.clone() for name, value in model.hubert.feature_extractor.state_dict().items()}
    batches = PretrainingBatches(Inputs(stores["audio"]), stores["labels"], NAMES, {**SCHEDULE, "steps": 2}, seed=0)
    output = model.eval()(**batches[0])
    logits = model.scores(model.hubert(batches[0]["input_values"], mask=batches[0]["mask"]).hidden_states[-1])
    mask, labels = batches[0]["mask"], batches[0]["labels"]
    torch.testing.assert_close(output.loss, torch.nn.functional.cross_entropy(logits[mask], labels[mask]))
    train(model, batches, tmp_path, SCHEDULE, 0, {})
    after = model.hubert.feature_extractor.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_same_seed_gives_the_same_weights():
    one, two, other = (
        HubertForMaskedPrediction.around(load_encoder("scratch:mel-tiny", seed), 5, seed, frozen=False)
        for seed in (1, 1, 2)
    )
    assert torch.equal(one.unit_embeddings, two.unit_embeddings)
    assert torch.equal(one.hubert.encoder.layers[0].attention.k_proj.weight,
                       two.hubert.encoder.layers[0].attention.k_proj.weight)  # fmt: skip
    assert not torch.equal(one.hubert.masked_spec_embed, other.hubert.masked_spec_embed)
