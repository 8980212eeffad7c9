"""Every token of an encoder judged by itself, and an utterance by the mean of their posteriors: for encoders whose
tokens are segments (tf-transformer; docs/methods.md)."""

import torch
from torch import nn

from serflow.errors import UserError
from serflow.heads import HeadOutput


class Segments(nn.Module):
    """Trained to name the utterance's emotion in each of its segments, standardised as what `pooled` pools is."""

    def __init__(
        self,
        width: int,
        classes: list[str],
        *,
        dropout: float = 0.1,
        smoothing: float = 0.0,
        standardise: bool = True,
    ) -> None:
        """`smoothing`: of the labels (Szegedy et al. 2016)."""
        super().__init__()
        if not (0 <= dropout < 1 and 0 <= smoothing < 1):
            raise UserError(f"segments needs dropout and smoothing from 0 to below 1, not {dropout} and {smoothing}.")
        self.standardise = nn.BatchNorm1d(width, affine=False) if standardise else nn.Identity()
        self.dropout, self.classify = nn.Dropout(dropout), nn.Linear(width, len(classes))
        nn.init.normal_(self.classify.weight, std=0.02)
        nn.init.zeros_(self.classify.bias)
        self.entropy = nn.CrossEntropyLoss(label_smoothing=smoothing)

    def forward(self, frames: torch.Tensor, valid: torch.Tensor, emotions: torch.Tensor | None = None) -> HeadOutput:
        """See serflow.heads, frames being segments; logits are the log of the mean posterior."""
        standard = torch.zeros_like(frames, dtype=torch.float32)
        standard[valid] = self.standardise(frames[valid].float())
        logits = self.classify(self.dropout(standard)).float()
        shares = valid / valid.sum(1, keepdim=True)
        posterior = (logits.softmax(2) * shares[..., None]).sum(1)
        vectors = {"mean": (frames * shares[..., None]).sum(1)}
        if emotions is None:
            return HeadOutput(posterior.log(), vectors=vectors)
        loss = self.entropy(logits[valid], emotions[:, None].expand_as(valid)[valid])
        return HeadOutput(posterior.log(), loss, vectors=vectors)


HEAD = Segments
