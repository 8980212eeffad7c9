"""A step's batch in shares, for several processes or for one after the other, at the gradient of the whole batch."""

import contextlib
import gc
import inspect
import os
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed
from accelerate.state import AcceleratorState
from accelerate.utils import patch_environment
from transformers import TrainerCallback

from serflow.errors import UserError

LONGEST_WAIT = timedelta(minutes=10)  # for the other processes


def takes_shares(model: torch.nn.Module) -> bool:
    """Whether `model` can be told what a share of a batch weighs; not one that compares rows, or norms over them."""
    return "share" in inspect.signature(model.forward).parameters


class Shares(torch.utils.data.Dataset):
    """`count` items for each of `batches`: shares of its rows, or, not to be `cut`, the whole batch for everyone.

    A share comes with its weights `share`, a dict: its `masked` tokens, and its `rows`, against those of the mean
    share. Means over a share, times its weight, have the mean over the batch as their mean over shares (ours). Where
    rows do not suffice, a share is one of weight 0.
    """

    def __init__(self, batches: torch.utils.data.Dataset, count: int, cut: bool = True) -> None:
        self.batches, self.count, self.cut = batches, count, cut
        self.made = None, None  # step and batch: shares in turn are made once

    def __len__(self) -> int:
        return len(self.batches) * self.count

    def __getitem__(self, number: int) -> dict:
        step, share = divmod(number, self.count)
        if self.count == 1:
            return self.batches[step]
        if self.made[0] != step:
            self.made = step, self.batches[step]
        batch = self.made[1]
        return share_of(batch, share, self.count) if self.cut else batch


def share_of(batch: dict[str, torch.Tensor], number: int, count: int) -> dict:
    """Share `number` of `count` of a batch, tensors `[B, ...]` with a `mask` bool `[B, T]` that hides something of
    every row; see `Shares`."""
    mask = batch["mask"]
    rows = torch.arange(len(mask)).tensor_split(count)[number]
    share = {
        "masked": count * float(mask[rows].sum() / mask.sum()),
        "rows": count * len(rows) / len(mask),
    }
    rows = rows if len(rows) else torch.tensor([0])
    return {**{name: values[rows] for name, values in batch.items()}, "share": share}


@contextlib.contextmanager
def together(processes: int, work: Callable, *told: object) -> Iterator[None]:
    """Inside, this process is the first of `processes` on this machine, and `work(*told)` runs in each of the others.

    Each has a GPU of its own where there are any. They meet by a file and talk over the loopback device alone. When
    this one ends, however it does, so do the others; when another fails, its traceback is raised here. UserError
    where GPUs do not suffice.
    """
    if processes == 1:
        yield
        return
    if torch.cuda.is_available() and torch.cuda.device_count() < processes:
        raise UserError(
            f"The job is to use {processes} GPUs and sees {torch.cuda.device_count()}: lower its resource gpu."
        )
    with tempfile.TemporaryDirectory() as folder:
        told = (processes, Path(folder, "meeting"), work, told)
        others = torch.multiprocessing.start_processes(_other, told, processes - 1, join=False, daemon=True)
        try:
            with _member(0, *told[:2]):
                yield
            while not others.join():
                pass
        except RuntimeError:
            others.join(timeout=60)  # raises what happened there, if that was first
            raise
        finally:
            for process in others.processes:
                process.kill()
                process.join()


def _other(number, processes, meeting, work, told):
    gc.enable()  # a job's script, which was read here too, leaves that to the job
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # what torch has the system send when the first process is gone
    with _member(number + 1, processes, meeting):
        work(*told)


@contextlib.contextmanager
def _member(rank, processes, meeting):
    """Inside, this process is number `rank` of those that meet by the file `meeting`."""
    loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
    threads = os.environ.get("OMP_NUM_THREADS", max(1, torch.get_num_threads() // processes))
    with patch_environment(
        rank=rank, local_rank=rank, world_size=processes, local_world_size=processes, omp_num_threads=threads,
        gloo_socket_ifname=loopback, nccl_socket_ifname=loopback,
    ):  # fmt: skip
        has_gpu = torch.cuda.is_available()
        if has_gpu:
            torch.cuda.set_device(rank)
        torch.distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if has_gpu else "gloo",
            init_method=f"file://{meeting}",
            rank=rank,
            world_size=processes,
            timeout=LONGEST_WAIT,
        )
        try:
            yield
        finally:
            torch.distributed.destroy_process_group()
            AcceleratorState._reset_state(reset_partial_state=True)


class StopTogether(TrainerCallback):
    """A SIGTERM, whichever of the processes it reaches, ends all of them after the same step, with a checkpoint."""

    asked = False

    def on_train_begin(self, args, state, control, **kwargs) -> None:
        self.before = signal.signal(signal.SIGTERM, self._ask)

    def _ask(self, *_):
        self.asked = True

    def on_step_end(self, args, state, control, **kwargs) -> None:
        asked = torch.tensor(int(self.asked))
        torch.distributed.all_reduce(asked, torch.distributed.ReduceOp.MAX)
        if asked:
            control.should_save = control.should_training_stop = True

    def on_train_end(self, args, state, control, **kwargs) -> None:
        signal.signal(signal.SIGTERM, self.before)
