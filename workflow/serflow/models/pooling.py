"""Frames -> one vector an utterance, over the valid frames only."""

import torch
from torch import nn


class MeanPooling(nn.Module):
    """`[B, T, D]`, valid bool `[B, T]` -> mean `[B, D]`, weights `[B, T]`."""

    factor = 1

    def __init__(self, width):
        super().__init__()

    def forward(self, frames, valid):
        weights = valid / valid.sum(1, keepdim=True)
        return (frames * weights[..., None]).sum(1), weights


class MeanAndDeviationPooling(nn.Module):
    """`[B, T, D]`, valid bool `[B, T]` -> mean and standard deviation `[B, 2 D]`, weights `[B, T]`."""

    factor = 2

    def __init__(self, width):
        super().__init__()

    def forward(self, frames, valid):
        weights = valid / valid.sum(1, keepdim=True)
        mean = (frames * weights[..., None]).sum(1)
        variance = ((frames - mean[:, None]).square() * weights[..., None]).sum(1)
        return torch.cat([mean, (variance + 1e-8).sqrt()], dim=1), weights


class AttentionPooling(nn.Module):
    """Soft attention: e_t = tanh(h_t . w), weights = softmax over valid frames (FLEA, METHODS 5.4)."""

    factor = 1

    def __init__(self, width):
        super().__init__()
        self.score = nn.Linear(width, 1, bias=False)

    def forward(self, frames, valid):
        energy = torch.tanh(self.score(frames)).squeeze(-1).masked_fill(~valid, -torch.inf)
        weights = energy.softmax(dim=1)
        return (frames * weights[..., None]).sum(1), weights


POOLINGS = {"mean": MeanPooling, "mean+std": MeanAndDeviationPooling, "attention": AttentionPooling}
