"""Checkpoints of s3prl 0.4.18's pretraining runner, read as data: nothing in them is ever run."""

import argparse
import contextlib
import pickle
from collections.abc import Iterator
from pathlib import Path

import torch

from serflow.errors import UserError

# The optimiser's state holds one of these objects. What it says is not needed: a plain namespace takes its place.
SCHEDULES = ("ConstantLR", "WarmupConstantSchedule", "WarmupCosineSchedule", "WarmupLinearSchedule")
STAND_INS = [(argparse.Namespace, f"{package}optimizers.{name}") for package in ("", "s3prl.") for name in SCHEDULES]


@contextlib.contextmanager
def reading(file: str | Path) -> Iterator[dict]:
    """Yield what `file` holds; whatever it lacks, or does not fit, within the block becomes one UserError."""
    try:
        with torch.serialization.safe_globals([argparse.Namespace, *STAND_INS]):
            states = torch.load(file, map_location="cpu", weights_only=True)
        yield states
    except (OSError, EOFError, LookupError, TypeError, ValueError, RuntimeError, pickle.UnpicklingError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise UserError(
            f"{file} cannot be read as an s3prl checkpoint of this model ({reason}): give a states-*.ckpt file of "
            "s3prl's pretraining, with nothing but its weights and settings in it."
        ) from error


def require(settings: dict, **expected: object) -> None:
    """ValueError where `settings` name a variant of the network that serflow does not have."""
    for key, value in expected.items():
        if settings.get(key, value) != value:
            raise ValueError(f"{key} is {settings[key]!r}, and serflow knows only {value!r}")
