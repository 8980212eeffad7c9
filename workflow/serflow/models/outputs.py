"""What encoders return, what reconstructing models return, and how both see padding."""

from dataclasses import dataclass

import torch
from transformers.utils import ModelOutput


@dataclass
class EncoderFrames(ModelOutput):
    """`hidden_states`: tuple of `[B, T, D]`, 0 = input of the first layer; `lengths` `[B]` in tokens;
    `features` `[B, T, C]`: what the front-end gave."""

    hidden_states: tuple[torch.Tensor, ...] | None = None
    lengths: torch.Tensor | None = None
    features: torch.Tensor | None = None


@dataclass
class Reconstruction(ModelOutput):
    """`loss`: scalar."""

    loss: torch.Tensor | None = None


def valid_frames(frames: torch.Tensor, lengths: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
    """`[B, T, ...]`, valid `lengths` `[B]` or None (all) -> lengths, and bool `[B, T]` or None: nothing is padded."""
    count = frames.shape[1]
    if lengths is None or bool((lengths == count).all()):
        return torch.full((len(frames),), count, device=frames.device), None
    return lengths, torch.arange(count, device=frames.device) < lengths[:, None]
