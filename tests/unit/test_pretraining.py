import importlib

import numpy as np
import pytest
import torch

from serflow.batches import Inputs, PretrainingBatches
from serflow.errors import UserError
from serflow.frames import FrameStore, writing_frames
from serflow.models import build, check_options, described, load_encoder, models, pretraining_class
from serflow.models.hubert import HubertForMaskedPrediction
from serflow.models.mockingjay import MockingjayConfig, MockingjayModel
from serflow.objectives import OBJECTIVES, masked_units, masking_summary
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
        writing_frames(folder / "units.arrow", 0, "int32", 0.01) as units,
    ):
        for number, name in enumerate(NAMES):
            seconds, sound = 1 + 0.1 * number, number % 3
            samples = int(16000 * seconds)
            frames = 1 + (samples - 400) // 160
            tone = np.sin(2 * np.pi * (200 + 900 * sound) * np.arange(samples) / 16000)
            audio.append(name, 8000 * tone + rng.normal(0, 200, samples))
            fbank.append(name, rng.normal(0, 0.3, (frames, 80)) + np.eye(3).repeat(27, 1)[sound][:80])
            units.append(name, np.full(frames, sound))
    return {kind: FrameStore(folder / f"{kind}.arrow") for kind in ("audio", "fbank", "units")}


def unit_batches(stores, inputs, schedule, **options):
    return PretrainingBatches(
        inputs, {"units": stores["units"]}, NAMES, {"schedule": schedule}, masked_units, **options
    )


@pytest.mark.parametrize(
    ("name", "kind", "reached"),
    [("mel-hubert", "fbank", 0.9), ("hubert", "audio", 0.6), ("wavlm", "audio", 0.6), ("wav2vec2", "audio", 0.6)],
)
def test_masked_prediction_learns_what_surrounds_the_mask(stores, tmp_path, name, kind, reached):
    inputs, encoder = Inputs(stores[kind]), build(name, {"size": "tiny"}, 0)
    model = pretraining_class(encoder.config.model_type).around(encoder, units=3, seed=0, frozen=False)
    batches = unit_batches(stores, inputs, SCHEDULE, seed=0)
    watched = unit_batches(stores, inputs, SCHEDULE, seed=1, steps=4)
    history = train(model, batches, tmp_path, SCHEDULE, 0, {}, watched, masked_accuracy)
    assert history[history.quantity == "validation masked accuracy"].value.iloc[-1] > reached


def test_a_frozen_front_end_stays_and_costs_no_penalty(stores, tmp_path):
    model = HubertForMaskedPrediction.around(build("hubert", {"size": "tiny"}, 0), units=3, seed=0, frozen=True)
    before = {name: value.clone() for name, value in model.hubert.feature_extractor.state_dict().items()}
    batches = unit_batches(stores, Inputs(stores["audio"]), {**SCHEDULE, "steps": 2}, seed=0)
    output = model.eval()(**batches[0])
    logits = model.scores(model.hubert(batches[0]["input_values"], mask=batches[0]["mask"]).hidden_states[-1])
    mask, units = batches[0]["mask"], batches[0]["units"]
    torch.testing.assert_close(output.loss, torch.nn.functional.cross_entropy(logits[mask], units[mask]))
    train(model, batches, tmp_path, SCHEDULE, 0, {})
    after = model.hubert.feature_extractor.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_same_seed_gives_the_same_weights():
    one, two, other = (
        HubertForMaskedPrediction.around(build("mel-hubert", {"size": "tiny"}, seed), 5, seed, frozen=False)
        for seed in (1, 1, 2)
    )
    assert torch.equal(one.unit_embeddings, two.unit_embeddings)
    assert torch.equal(one.hubert.encoder.layers[0].attention.k_proj.weight,
                       two.hubert.encoder.layers[0].attention.k_proj.weight)  # fmt: skip
    assert not torch.equal(one.hubert.masked_spec_embed, other.hubert.masked_spec_embed)


@pytest.mark.parametrize("model", models().values(), ids=models())
def test_what_planning_reads_of_a_model_is_what_it_is(model):
    made = importlib.import_module(model.module)
    assert (model.reads, model.stack, model.objective) == (made.READS, made.STACK, made.OBJECTIVE)
    assert model.takes == getattr(made, "TAKES", {})
    config = made.ENCODER.config_class
    assert config.model_type == model.name.replace("-", "_")
    for name, option in model.options.items():
        told = getattr(config(), name)
        assert (tuple(told) if isinstance(told, list) else told) == option.default
    fixed = getattr(made, "FIXED", ())
    assert not set(fixed) & set(model.options) and all(hasattr(config(), name) for name in fixed)
    for size in model.sizes:
        check_options(model, {"size": size})
        config(**model.sizes[size])


@pytest.fixture(scope="module")
def emotional(tmp_path_factory):
    """Frames of MockingJay's and NPC's kinds that repeat every 12 frames, and an intensity that rises."""
    folder, rng = tmp_path_factory.mktemp("emotional"), np.random.default_rng(0)
    wave = np.sin(2 * np.pi * (np.arange(400)[:, None] / 12 + np.arange(240) / 240))
    with (
        writing_frames(folder / "wide.arrow", 240) as wide,
        writing_frames(folder / "narrow.arrow", 80) as narrow,
        writing_frames(folder / "intensity.arrow", 0) as intensity,
    ):
        for number, name in enumerate(NAMES):
            frames = 100 + 20 * number
            wide.append(name, wave[:frames] + rng.normal(0, 0.1, (frames, 240)))
            narrow.append(name, wave[:frames, :80] + rng.normal(0, 0.1, (frames, 80)))
            intensity.append(name, np.linspace(0, 1, frames))
    return {kind: FrameStore(folder / f"{kind}.arrow") for kind in ("wide", "narrow", "intensity")}


@pytest.mark.parametrize(
    ("name", "kind", "masking", "head"),
    [
        ("mockingjay", "wide", "random", {"score_branch": False}),
        ("mockingjay", "wide", "matched", {"score_branch": False}),
        ("mockingjay", "wide", "as-released", {"score_branch": True}),
        ("npc", "narrow", "random", {"score_branch": False, "weighted": False}),
        ("npc", "narrow", "random", {"score_branch": True, "weighted": True}),
    ],
)
def test_reconstruction_learns_and_masks_follow_intensity(emotional, tmp_path, name, kind, masking, head):
    schedule = {**SCHEDULE, "steps": 40, "mask_probability": 0.15, "mask_span": 7, "report_steps": 10}
    encoder, model_of = build(name, {"size": "small"}, 0), described(name)
    model = pretraining_class(encoder.config.model_type).around(encoder, seed=0, **head)
    settings = {"schedule": schedule, "masking": masking, "head": head}
    told = Inputs(emotional[kind], model_of.stack), {"intensity": emotional["intensity"]}, NAMES, settings
    batches = PretrainingBatches(*told, OBJECTIVES[model_of.objective], seed=0)
    masks = masking_summary([batches[step] for step in range(10)])
    if kind == "narrow":
        assert masks["share"] is None  # NPC hides nothing of its input
    else:
        assert 0.03 < masks["share"] < 0.16 and (masks["inside"] > masks["outside"] + 0.2) == (masking == "matched")
    watched = PretrainingBatches(*told, OBJECTIVES[model_of.objective], seed=1, steps=2)
    with torch.no_grad():
        before = np.mean([float(model.eval()(**watched[step]).loss) for step in range(2)])
    history = train(model, batches, tmp_path, schedule, 0, {}, watched)
    losses = history[history.quantity == "validation loss"].value.to_numpy()
    assert losses[-1] < 0.9 * before


def test_an_encoder_of_other_features_is_refused(tmp_path):
    MockingjayModel(MockingjayConfig(input_size=160, hidden_size=24, num_hidden_layers=1)).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="reads 160 bins a frame, and serflow has 240"):
        load_encoder(str(tmp_path))
