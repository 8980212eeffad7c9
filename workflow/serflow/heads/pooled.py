"""Frames pooled to one vector an utterance, standardised, and a linear layer: the head of FLEA, of EMS and SUPERB."""

from typing import Literal

import torch
from torch import nn

from serflow.heads import HeadOutput
from serflow.heads.pooling import POOLINGS, Pooling


class Pooled(nn.Module):
    """SUPERB's (Yang et al. 2021) has projection 256 and pooling `mean`.

    What is pooled is standardised (ours): mean 0 and deviation 1 over the utterances of a training batch, running
    statistics at test. Pooled features vary little between utterances beside their mean, and a linear layer of small
    weights learns next to nothing from them in a few hundred steps.
    """

    def __init__(
        self,
        width: int,
        classes: list[str],
        *,
        pooling: Literal["mean", "mean+std", "attention", "attention+std"] = "mean+std",
        projection: int | None = None,
        standardise: bool = True,
    ) -> None:
        """`projection`: width to which frames are projected first, None leaves them."""
        super().__init__()
        self.project = nn.Linear(width, projection) if projection else nn.Identity()
        self.pooling = Pooling(projection or width, *POOLINGS[pooling])
        self.standardise = nn.BatchNorm1d(self.pooling.width, affine=False) if standardise else nn.Identity()
        self.classify = nn.Linear(self.pooling.width, len(classes))
        for layer in (self.pooling.score, self.classify):
            if layer is not None:
                nn.init.normal_(layer.weight, std=0.02)
        nn.init.zeros_(self.classify.bias)

    def forward(self, frames: torch.Tensor, valid: torch.Tensor, emotions: torch.Tensor | None = None) -> HeadOutput:
        """See serflow.heads; `vectors`: what was `pooled`, `[B, width]`."""
        pooled, weights = self.pooling(self.project(frames), valid)
        pooled = self.standardise(pooled.float())
        logits = self.classify(pooled)
        loss = None if emotions is None else nn.functional.cross_entropy(logits.float(), emotions)
        shown = None if self.pooling.score is None else weights  # equal ones tell nothing
        return HeadOutput(logits, loss, frame_weights=shown, vectors={"pooled": pooled})


HEAD = Pooled
