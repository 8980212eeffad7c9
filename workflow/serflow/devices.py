"""GPUs of this machine, each lent to one job at a time: Snakemake counts them, and tells no job which it may use."""

import contextlib
import fcntl
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from itertools import islice, takewhile
from pathlib import Path

from serflow.errors import UserError
from serflow.progress import say

PATIENCE = 0.2  # seconds between two looks at what is lent


def visible() -> list[str]:
    """The GPUs that this process may use: those that CUDA_VISIBLE_DEVICES names, else all, by their numbers."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return list(takewhile(lambda name: name not in ("", "-1"), map(str.strip, named.split(","))))
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]


@contextlib.contextmanager
def lent(count: int) -> Iterator[list[str]]:
    """Inside, `count` GPUs are this process' own and CUDA_VISIBLE_DEVICES names no other; waits until they are free.

    To be entered before anything uses CUDA. A process that ends, however it does, gives back what it had. What SLURM
    allots to a job is lent among the processes of that job alone. Where there is no GPU, nothing is lent. UserError
    where there are fewer than `count`.
    """
    names = visible()
    if not names:
        yield []
        return
    if count > len(names):
        raise UserError(f"The job is to use {count} GPUs and sees {len(names)}: lower its resource gpu.")
    with contextlib.ExitStack() as held:
        taken = _taken(names, count, held) if count else []
        before = os.environ.get("CUDA_VISIBLE_DEVICES")
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(taken)
        try:
            yield taken
        finally:
            os.environ.pop("CUDA_VISIBLE_DEVICES")
            if before is not None:
                os.environ["CUDA_VISIBLE_DEVICES"] = before


def _taken(names, count, held):
    """`count` of `names`, whose locks `held` keeps. One process at a time chooses, so that no two that want several
    wait for each other's."""
    folder, taken, chooses, told = _folder(), [], False, False
    files = {name: held.enter_context(_file(folder / f"gpu-{name.replace('/', '-')}")) for name in names}
    with _file(folder / "choosing") as choosing:
        while True:
            chooses = chooses or _locks(choosing)
            if chooses:
                free = (name for name in names if name not in taken and _locks(files[name]))
                taken += islice(free, count - len(taken))
            if len(taken) == count:
                return taken
            if not told:
                told = True
                say("waiting for a free GPU")
            time.sleep(PATIENCE)


def _file(path):
    return open(path, "a", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW, 0o600))


def _locks(file):
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _folder():
    """Where the locks are: this user's, or those of a job of SLURM, whose GPUs may be numbered anew."""
    job = os.environ.get("SLURM_JOB_ID")
    folder = Path(tempfile.gettempdir(), f"serflow-gpus-{os.getuid()}{f'-{job}' if job else ''}")
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise UserError(f"{folder} is another user's: set TMPDIR to a folder of your own.")
    return folder
