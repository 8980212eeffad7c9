"""What every job does around its one call: log to its file, tell people, describe what makes its outputs."""

import contextlib
import errno
import gc
import logging
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from serflow import artifacts, devices
from serflow.errors import UserError
from serflow.progress import LINES, say

gc.disable()  # until all is imported: looking for garbage among what stays takes a sixth of that time

LAST_LINES = 12
# Rules whose jobs compute on GPUs.
ON_GPUS = ("train_intensity", "intensity", "embed", "cluster", "pretrain", "finetune", "splice_frames", "stress")
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)


@contextlib.contextmanager
def job(snakemake: object) -> Iterator[dict]:
    """Yield `made`, what decides this job's outputs: settings, digests of code and inputs.

    A job that computes on GPUs gets one of its own, or as many as its resource `gpu` says, where there are any.

    Everything printed inside goes to the job's log; progress goes to the terminal as well. Bad input ends the job
    with its one sentence, anything else with the end of the log and where it lies.
    """
    gc.freeze(), gc.enable()
    log, what = Path(snakemake.log[0]), _title(snakemake)
    terminal = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as file:
        sys.stdout.flush(), sys.stderr.flush()
        os.dup2(file.fileno(), 1), os.dup2(file.fileno(), 2)
        os.environ["TENSORBOARD_LOGGING_DIR"] = str(log.with_suffix(""))
        _configure_logging()
        LINES.stream, LINES.prefix, started = _Both(terminal), f"  {what}: ", time.monotonic()
        try:
            with _gpus(snakemake):
                yield _made(snakemake)
        except UserError as error:
            _give_up(terminal, f"serflow: {error}")
        except Exception as error:  # noqa: BLE001 whatever it was, its traceback is shown and the job fails
            folder = Path(snakemake.output[0]).parent
            reason = _no_room(error, folder)
            if reason:
                place = getattr(error, "filename", None) or folder
                _give_up(terminal, f"serflow: {place}: {reason}: free space or give rights there, then run again.")
            for path in filter(_is_damaged, map(Path, snakemake.input)):
                traceback.print_exc()
                _give_up(terminal, f"serflow: {path} is damaged: delete it and run again.")
            _give_up_with_log(terminal, what, log)
        say(f"done in {time.monotonic() - started:.0f} s")
        _note_gpu(snakemake)


class _Both:
    """Writes to the terminal and to the job's log."""

    def __init__(self, terminal):
        self.terminal = terminal

    def write(self, text):
        sys.stderr.write(text)
        self.terminal.write(text)

    def flush(self):
        self.terminal.flush()


def _note_gpu(snakemake):
    """Beside what Snakemake measures of the job: the most memory that its tensors took of a GPU, in MB."""
    cuda = sys.modules["torch"].cuda if "torch" in sys.modules else None
    if cuda and cuda.is_initialized():
        _, corpus, *place = Path(snakemake.log[0]).parts
        file = Path("results", corpus, "run", "jobs", *place).with_suffix(".gpu.json")
        artifacts.write_json(file, {"max_gpu": cuda.max_memory_allocated() / 2**20})


def _gpus(snakemake):
    if snakemake.rule not in ON_GPUS:
        return contextlib.nullcontext()
    return devices.lent(snakemake.resources.get("gpu", 1))


def _no_room(error, folder):
    """Why nothing can be written, None for another error. Libraries below Python keep only the message, torch not
    even that: so whether there is room in `folder` is tried, too."""
    messages = {code: os.strerror(code) for code in NO_ROOM}
    if getattr(error, "errno", None) in messages:
        return messages[error.errno]
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(2**20))
    except OSError as full:
        return messages.get(full.errno)
    return next((message for message in messages.values() if message in str(error)), None)


def _is_damaged(path):
    """Whether an artifact of an earlier job cannot be read, as when it was cut by a copy or a disk."""
    if path.suffix not in READERS or not path.is_file():
        return False
    try:
        READERS[path.suffix](path)
    except Exception:  # noqa: BLE001 every format has its own
        return True
    return False


def _read_json(path):
    import json

    json.loads(path.read_text(encoding="utf-8"))


def _read_npy(path):
    import numpy as np

    np.load(path, mmap_mode="r", allow_pickle=False)


def _read_parquet(path):
    import pyarrow.parquet as pq

    pq.read_table(path)


def _read_safetensors(path):
    from safetensors import safe_open

    safe_open(path, "np")


READERS = {
    ".csv": artifacts.read_text,
    ".json": _read_json,
    ".npy": _read_npy,
    ".parquet": _read_parquet,
    ".safetensors": _read_safetensors,
}


def _title(snakemake):
    names = dict(snakemake.wildcards.items())
    fold = [f"fold {names.pop('fold')}"] if "fold" in names else []
    seed = [f"seed {names.pop('seed')}"] if "seed" in names else []
    return " ".join([snakemake.rule.replace("_", " "), *reversed(names.values()), *fold, *seed])


def _made(snakemake):
    elsewhere = ("code", *artifacts.OF_THIS_MACHINE)  # code is told apart
    settings = {key: value for key, value in snakemake.params.items() if key not in elsewhere}
    inputs = {str(path): artifacts.digest(path) for path in snakemake.input}
    return {"rule": snakemake.rule, "settings": settings, "inputs": inputs, "code": snakemake.params.code}


def _configure_logging():
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s", force=True)
    own = logging.getLogger("serflow")  # what the library tells, people are to read
    own.addHandler(logging.StreamHandler(LINES))
    own.propagate = False


def _give_up(terminal, sentence):
    print(sentence, file=sys.stderr)
    print(sentence, file=terminal)
    sys.exit(1)


def _give_up_with_log(terminal, what, log):
    traceback.print_exc()
    sys.stderr.flush()
    lines = log.read_text(errors="replace").splitlines()[-LAST_LINES:]
    print(f"serflow: {what} failed. The last lines of its log {log}:", *lines, sep="\n  | ", file=terminal)
    sys.exit(1)
