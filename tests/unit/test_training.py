import os
import shutil
import signal
import time

import numpy as np
import pandas as pd
import pytest
import torch

from serflow import training
from serflow.errors import UserError
from serflow.heads.classifier import EmotionClassifier
from serflow.heads.pooling import POOLINGS, Pooling
from serflow.models import build, load_encoder
from serflow.training import checkpoints_of, forget_checkpoints, train, unweighted_accuracy

SCHEDULE = {
    "learning_rate": 3e-3, "warmup": 0.1, "weight_decay": 0.0, "betas": [0.9, 0.999], "epsilon": 1e-8, "clip": 5.0,
    "checkpoint_steps": 5, "report_steps": 5,
}  # fmt: skip


class Tones(torch.utils.data.Dataset):
    """Two classes that differ in which bins are loud."""

    def __init__(self, count, stop_at=None):
        self.count, self.stop_at = count, stop_at

    def __len__(self):
        return self.count

    def __getitem__(self, step):
        if step == self.stop_at:
            raise KeyboardInterrupt
        generator = torch.Generator().manual_seed(step)
        emotions = torch.randint(2, (8,), generator=generator)
        frames = torch.randn(8, 30, 80, generator=generator)
        frames[:, :, :20] += emotions[:, None, None] * 1.0
        lengths = torch.randint(10, 31, (8,), generator=generator)
        return {"input_values": frames, "lengths": lengths, "emotions": emotions}


def classifier(pooling="mean", standardise=True, **settings):
    settings = {"options": {"pooling": pooling, "standardise": standardise}, "frozen": "front-end"} | settings
    return EmotionClassifier.around(build("mel-hubert", {"size": "tiny"}, 0), ["calm", "angry"], settings, seed=0)


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def test_an_interrupted_training_ends_with_the_same_bits(tmp_path):
    unbroken, broken, resumed = classifier(), classifier(), classifier()
    history = train(unbroken, Tones(17), tmp_path / "a", SCHEDULE, 0, {"k": 1}, Tones(2), unweighted_accuracy)
    with pytest.raises(KeyboardInterrupt):
        train(broken, Tones(17, stop_at=12), tmp_path / "b", SCHEDULE, 0, {"k": 1}, Tones(2), unweighted_accuracy)
    again = train(resumed, Tones(17), tmp_path / "b", SCHEDULE, 0, {"k": 1}, Tones(2), unweighted_accuracy)
    assert torch.equal(weights(unbroken), weights(resumed))
    pd.testing.assert_frame_equal(history, again)
    assert {"train loss", "validation loss", "validation UA"} <= set(history.quantity)
    assert not history.duplicated(["step", "quantity"]).any()
    (tmp_path / "b").rename(checkpoints_of(tmp_path / "c"))
    forget_checkpoints(tmp_path / "c")
    assert not checkpoints_of(tmp_path / "c").exists()


def test_training_that_diverged_is_told_and_gives_no_model(tmp_path):
    schedule = SCHEDULE | {"learning_rate": 1e30, "clip": 1e30}
    with pytest.raises(UserError, match="diverged.*lower learning_rate"):
        train(classifier(), Tones(6), tmp_path, schedule, 0, {})


def test_a_checkpoint_of_another_configuration_is_not_used(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(classifier(), Tones(17, stop_at=12), tmp_path, SCHEDULE, 0, {"k": 1})
    model, fresh = classifier(), classifier()
    train(model, Tones(17), tmp_path, SCHEDULE, 0, {"k": 2})
    train(fresh, Tones(17), tmp_path / "fresh", SCHEDULE, 0, {"k": 2})
    assert torch.equal(weights(model), weights(fresh))


def test_a_checkpoint_that_was_being_written_is_passed_over(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(classifier(), Tones(17, stop_at=12), tmp_path, SCHEDULE, 0, {})
    for name in ("checkpoint-11", "checkpoint-12"):
        shutil.copytree(tmp_path / "checkpoint-10", tmp_path / name)
    (tmp_path / "checkpoint-11" / "trainer_state.json").unlink()
    (tmp_path / "checkpoint-12" / "checkpoint-is-incomplete.txt").touch()
    model, unbroken = classifier(), classifier()
    train(model, Tones(17), tmp_path, SCHEDULE, 0, {})
    train(unbroken, Tones(17), tmp_path / "unbroken", SCHEDULE, 0, {})
    assert torch.equal(weights(model), weights(unbroken))


def test_a_checkpoint_of_which_a_power_cut_took_a_part_is_passed_over(tmp_path):
    unbroken = classifier()
    train(unbroken, Tones(7), tmp_path / "unbroken", SCHEDULE, 0, {})
    with pytest.raises(KeyboardInterrupt):
        train(classifier(), Tones(7, stop_at=6), tmp_path / "broken", SCHEDULE, 0, {})
    for file in (tmp_path / "broken/checkpoint-5").iterdir():
        shutil.copytree(tmp_path / "broken", tmp_path / file.name)
        os.truncate(tmp_path / file.name / "checkpoint-5" / file.name, file.stat().st_size // 2)
        model = classifier()
        train(model, Tones(7), tmp_path / file.name, SCHEDULE, 0, {})
        assert torch.equal(weights(model), weights(unbroken)), file.name


class TonesAndTerm(Tones):
    """As SLURM ends a job."""

    def __getitem__(self, step):
        if step == self.stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.1)
        return Tones(self.count)[step]


def test_a_terminated_training_is_no_finished_one_and_goes_on(tmp_path, monkeypatch):
    from transformers import trainer_jit_checkpoint

    monkeypatch.setattr(trainer_jit_checkpoint.CheckpointManager.__init__, "__defaults__", (0,))  # no grace period
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(UserError, match="Training was stopped at step .* of 17: run again to go on"):
            train(classifier(), TonesAndTerm(17, stop_at=7), tmp_path, SCHEDULE, 0, {})
    finally:
        signal.signal(signal.SIGTERM, before)
    model, unbroken = classifier(), classifier()
    train(model, Tones(17), tmp_path, SCHEDULE, 0, {})
    train(unbroken, Tones(17), tmp_path / "unbroken", SCHEDULE, 0, {})
    assert torch.equal(weights(model), weights(unbroken))


def test_mixed_precision_ends_with_training(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "has_bfloat16", lambda: True)
    model = classifier()
    train(model, Tones(3), tmp_path, SCHEDULE, 0, {})
    model.eval().save_pretrained(tmp_path / "saved")
    with torch.no_grad():
        expected = EmotionClassifier.from_pretrained(tmp_path / "saved").eval()(**Tones(1)[0]).logits
        assert torch.equal(model(**Tones(1)[0]).logits, expected)


def test_it_learns_and_selection_by_validation_keeps_the_best_step(tmp_path):
    model = classifier(pooling="attention")
    schedule = {**SCHEDULE, "learning_rate": 3e-2}
    history = train(model, Tones(40), tmp_path, schedule, 0, {}, Tones(6), unweighted_accuracy, "validation")
    best = history[history.quantity == "validation UA"].value.max()
    model.eval()
    with torch.no_grad():
        logits = [model(**Tones(6)[step]).logits for step in range(6)]
    labels = [Tones(6)[step]["emotions"] for step in range(6)]

    class Predictions:
        predictions, label_ids = torch.cat(logits).numpy(), torch.cat(labels).numpy()

    assert unweighted_accuracy(Predictions)["UA"] == pytest.approx(best)
    assert best > 0.8


@pytest.mark.parametrize("pooling", POOLINGS)
def test_pooling_hears_valid_frames_only(pooling):
    pool = Pooling(6, *POOLINGS[pooling])
    frames, valid = torch.randn(3, 9, 6), torch.arange(9) < torch.tensor([9, 4, 1])[:, None]
    pooled, shares = pool(frames, valid)
    disturbed, _ = pool(torch.where(valid[..., None], frames, 1e3), valid)
    torch.testing.assert_close(pooled, disturbed)
    torch.testing.assert_close(shares.sum(1), torch.ones(3))
    assert (shares[~valid] == 0).all()
    assert pooled.shape == (3, pool.width)
    if pooling == "mean+std":
        expected = torch.cat([frames[1, :4].mean(0), frames[1, :4].std(0, correction=0)])
        torch.testing.assert_close(pooled[1], expected, atol=1e-3, rtol=1e-3)


def test_attention_is_flea_s_equation():
    pool, frames = Pooling(6, *POOLINGS["attention+std"]), torch.randn(1, 9, 6)
    pooled, _ = pool(frames, torch.ones(1, 9, dtype=torch.bool))
    energy = np.tanh(frames[0].numpy() @ pool.score.weight[0].detach().numpy())
    shares = np.exp(energy) / np.exp(energy).sum()
    mean = shares @ frames[0].numpy()
    deviation = np.sqrt(shares @ (frames[0].numpy() - mean) ** 2)
    np.testing.assert_allclose(pooled[0].detach(), [*mean, *deviation], atol=1e-4)


def test_what_is_pooled_is_standardised_by_running_statistics_that_are_saved(tmp_path):
    model = classifier()
    train(model, Tones(20), tmp_path / "run", SCHEDULE, 0, {})
    model.eval().save_pretrained(tmp_path / "saved")
    again, batch = EmotionClassifier.from_pretrained(tmp_path / "saved").eval(), Tones(1)[0]
    assert again.head.standardise.num_batches_tracked == 20 and not list(again.head.standardise.parameters())
    with torch.no_grad():
        together = again(**batch).logits
        alone = [again(batch["input_values"][[row]], batch["lengths"][[row]]).logits for row in range(len(together))]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=1e-4)
    assert isinstance(classifier(standardise=False).head.standardise, torch.nn.Identity)


@pytest.mark.parametrize("layers", [0, 1, "last"])
def test_a_head_reads_the_layer_that_it_is_told(layers):
    model, batch = classifier(layers=layers).eval(), Tones(1)[0]
    with torch.no_grad():
        states = model.encoder(batch["input_values"], batch["lengths"]).hidden_states
        hidden = states[-1 if layers == "last" else layers]
        valid = torch.ones(hidden.shape[:2], dtype=torch.bool)
        valid &= (
            torch.arange(hidden.shape[1]) < model.encoder(batch["input_values"], batch["lengths"]).lengths[:, None]
        )
        expected = model.head.classify(model.head.standardise(model.head.pooling(hidden, valid)[0]))
        torch.testing.assert_close(model(**batch).logits, expected)


def test_a_frozen_encoder_stays_as_it_is(tmp_path):
    model = classifier(frozen="encoder", layers="weighted")
    before, head = weights(model.encoder), model.head.classify.weight.detach().clone()
    train(model, Tones(5), tmp_path, SCHEDULE, 0, {})
    assert torch.equal(weights(model.encoder), before)
    assert not torch.equal(model.head.classify.weight, head)
    assert not torch.equal(model.layer_weights, torch.zeros(3))


def test_a_saved_classifier_gives_the_same_scores_and_its_encoder_can_be_taken_out(tmp_path):
    model = classifier().eval()
    model.save_pretrained(tmp_path)
    again, batch = EmotionClassifier.from_pretrained(tmp_path).eval(), Tones(1)[0]
    with torch.no_grad():
        assert torch.equal(model(**batch).logits, again(**batch).logits)
    assert torch.equal(weights(load_encoder(str(tmp_path))), weights(model.encoder))
    assert again.config.id2label == {0: "calm", 1: "angry"}
