import contextlib
import functools
import multiprocessing
import os
import signal
import time

import numpy as np
import psutil
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from serflow import training
from serflow.errors import UserError
from serflow.models import build, pretraining_class
from serflow.models.npc import NpcConfig, NpcForReconstruction
from serflow.shares import Shares, share_of, takes_shares
from serflow.training import masked_accuracy, train

STEPS, UNITS = 10, 3
SCHEDULE = {
    "learning_rate": 3e-3, "warmup": 0.1, "weight_decay": 0.0, "betas": [0.9, 0.98], "epsilon": 1e-4, "clip": 10.0,
    "checkpoint_steps": 5, "report_steps": 1,
}  # fmt: skip


class Masked(torch.utils.data.Dataset):
    """Batches of a few rows, one now and then, each with its own share of masked tokens. The second process does
    `what` at step 4."""

    def __init__(self, steps=STEPS, kind="units", what=None):
        self.steps, self.kind, self.what = steps, kind, what

    def __len__(self):
        return self.steps

    def __getitem__(self, step):
        if self.what and step == 4 and os.environ["RANK"] == "1":
            self.what()
        generator = torch.Generator().manual_seed(step)
        rows = step % 5 + 1
        mask = torch.rand(rows, 49, generator=generator) < torch.rand(rows, 1, generator=generator)
        mask[:, 0] = True
        if self.kind == "units":
            values = torch.randn(rows, 16000, generator=generator)
            return {
                "input_values": values,
                "mask": mask,
                "units": torch.randint(UNITS, mask.shape, generator=generator),
            }
        frames = torch.randn(rows, 49, 240, generator=generator)
        return {"input_values": frames * ~mask[..., None], "mask": mask, "frames": frames}


def end():
    os.kill(os.getpid(), signal.SIGTERM)


def fail():
    raise ValueError("no such batch")


def tell(file):
    file.write_text(str(os.getpid()))


@pytest.fixture(autouse=True)
def full_precision(monkeypatch):
    monkeypatch.setattr(training, "has_bfloat16", lambda: False)


def hubert():
    """Whose front-end learns too, so that the loss has its penalty, a mean over rows."""
    encoder = build("hubert", {"size": "tiny", "hidden_dropout": 0.0}, 0)
    return pretraining_class("hubert").around(encoder, units=UNITS, seed=0, frozen=False)


def mockingjay():
    encoder = build("mockingjay", {"size": "small", "hidden_size": 32, "dropout": 0.0}, 0)
    return pretraining_class("mockingjay").around(encoder, seed=0)


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def assert_same_training(one, other):
    """(model, history) each: the same to rounding."""
    (model, history), (another, told) = one, other
    assert history[["step", "quantity"]].equals(told[["step", "quantity"]])
    np.testing.assert_allclose(told.value, history.value, rtol=1e-5)
    assert (weights(model) - weights(another)).norm() < 1e-5 * weights(model).norm()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A function that trains a model in so many processes, once, and returns it with its history."""
    made = {}

    def of(processes):
        if processes not in made:
            model, told = hubert(), (tmp_path_factory.mktemp("training"), SCHEDULE, 0, {}, Masked(3), masked_accuracy)
            made[processes] = model, train(model, Masked(), *told, processes=processes)
        return made[processes]

    return of


@pytest.mark.xdist_group("trained")
def test_two_processes_train_as_one_does(trained):
    assert_same_training(trained(1), trained(2))
    history = trained(2)[1]
    assert {"train loss", "validation loss", "validation masked accuracy"} == set(history.quantity)
    assert not multiprocessing.active_children() and not torch.distributed.is_initialized()
    assert "WORLD_SIZE" not in os.environ


@pytest.mark.xdist_group("trained")
def test_what_a_signal_stopped_in_one_process_goes_on_in_all_with_the_same_bits(trained, tmp_path):
    with pytest.raises(UserError, match="Training was stopped at step [3-7] of 10"):
        train(hubert(), Masked(what=end), tmp_path, SCHEDULE, 0, {}, Masked(3), masked_accuracy, processes=2)
    assert not multiprocessing.active_children()
    model = hubert()
    train(model, Masked(), tmp_path, SCHEDULE, 0, {}, Masked(3), masked_accuracy, processes=2)
    assert torch.equal(weights(model), weights(trained(2)[0]))


def test_a_process_that_fails_ends_all_and_says_why(tmp_path):
    with pytest.raises(Exception, match="no such batch"):
        train(hubert(), Masked(what=fail), tmp_path, SCHEDULE, 0, {}, processes=2)
    assert not multiprocessing.active_children()


def train_long(folder):
    batches = Masked(100_000, what=functools.partial(tell, folder / "told"))
    train(hubert(), batches, folder / "training", SCHEDULE, 0, {}, processes=2)


def test_a_kill_of_the_first_process_ends_the_others(tmp_path):
    first = multiprocessing.get_context("spawn").Process(target=train_long, args=(tmp_path,))
    first.start()
    while not (tmp_path / "told").is_file() or not (tmp_path / "told").read_text():
        assert first.is_alive()
        time.sleep(0.05)
    other = psutil.Process(int((tmp_path / "told").read_text()))
    first.kill()
    first.join()
    deadline = time.monotonic() + 60
    with contextlib.suppress(psutil.NoSuchProcess):
        while other.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.mark.parametrize(("model", "kind"), [(hubert, "units"), (mockingjay, "frames")])
def test_a_batch_in_parts_trains_as_in_one(model, kind, tmp_path):
    whole, parts = model(), model()
    history = train(whole, Masked(kind=kind), tmp_path / "whole", SCHEDULE, 0, {})
    told = train(parts, Masked(kind=kind), tmp_path / "parts", {**SCHEDULE, "parts": 3}, 0, {})
    assert_same_training((whole, history), (parts, told))


@given(rows=st.integers(1, 7), count=st.integers(1, 5), seed=st.integers(0, 99))
def test_shares_have_every_row_once_and_weigh_so_that_means_stay(rows, count, seed):
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(rows, 6, generator=generator) < 0.4
    mask[:, seed % 6] = True
    values = torch.randn(rows, 6, generator=generator, dtype=torch.float64)
    shares = [share_of({"mask": mask, "values": values}, number, count) for number in range(count)]
    assert torch.equal(torch.cat([share["values"] for share in shares if share["share"]["rows"]]), values)
    for weight, mean in (
        ("masked", lambda batch: batch["values"][batch["mask"]].mean()),
        ("rows", lambda batch: batch["values"].mean()),
    ):
        whole = mean({"mask": mask, "values": values})
        torch.testing.assert_close(sum(share["share"][weight] * mean(share) for share in shares) / count, whole)


def test_one_share_is_the_batch_itself_and_npc_takes_none():
    batch, share = Masked()[3], Shares(Masked(), 1)[3]
    assert batch.keys() == share.keys() and all(torch.equal(batch[name], share[name]) for name in batch)
    assert takes_shares(mockingjay()) and not takes_shares(NpcForReconstruction(NpcConfig(hidden_size=8)))
