"""What every encoder returns."""

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
