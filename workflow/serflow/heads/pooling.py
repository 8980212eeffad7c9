"""Frames -> one vector an utterance, over the valid frames only: how frames weigh, and which moments are taken."""

import torch
from torch import nn


class Pooling(nn.Module):
    """`[B, T, D]`, valid bool `[B, T]` -> `[B, D]` or, with deviations, `[B, 2 D]`; and the frames' weights `[B, T]`.

    `attentive`: frames weigh by soft attention, e_t = tanh(h_t . w), weights = softmax over the valid frames (Li et
    al. 2023); else alike. `deviations`: the weighted standard deviation follows the weighted mean.
    """

    def __init__(self, width: int, attentive: bool, deviations: bool) -> None:
        super().__init__()
        self.score = nn.Linear(width, 1, bias=False) if attentive else None
        self.deviations, self.width = deviations, width * (1 + deviations)

    def forward(self, frames: torch.Tensor, valid: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """`[B, T, D]`, of which `valid`, bool `[B, T]` -> vectors `[B, width]`, each frame's share `[B, T]`."""
        if self.score is None:
            weights = valid / valid.sum(1, keepdim=True)
        else:
            weights = torch.tanh(self.score(frames)).squeeze(-1).masked_fill(~valid, -torch.inf).softmax(dim=1)
        mean = (frames * weights[..., None]).sum(1)
        if not self.deviations:
            return mean, weights
        variance = ((frames - mean[:, None]).square() * weights[..., None]).sum(1)
        return torch.cat([mean, (variance + 1e-8).sqrt()], dim=1), weights


POOLINGS = {  # name -> whether attentive, whether with deviations
    "mean": (False, False),
    "mean+std": (False, True),
    "attention": (True, False),
    "attention+std": (True, True),
}
