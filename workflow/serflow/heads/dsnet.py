"""DSNet (Chen & Zhang 2023, arXiv 2312.15593): emotion and what is not emotion, told apart and calibrated by neutral
speech. Of the paper only the abstract is public: the structure honours its words, its sizes are ours
(docs/methods.md).

A vector h of the utterance has two projections, z_e that names the emotion and z_i that is to hold the rest. They are
to be orthogonal; and z_i is to be what it is in a neutral utterance of the same speaker, whose z_e is to say neutral.
"""

import torch
from torch import nn
from torch.nn.functional import cosine_similarity, cross_entropy

from serflow.errors import UserError
from serflow.heads import HeadOutput
from serflow.heads.pooling import Pooling

NEEDS = {"partner": "calibration", "paired": "calibration"}  # batch column -> the option that wants it


class DSNet(nn.Module):
    """L = CE(z_e) + a cos(z_e, z_i)^2 + b (1 - cos(z_i, z_i of the partner) + CE(z_e of the partner, neutral)),
    each a mean, with a = `orthogonal`, b = `calibration`. Without a partner, as at test, one branch remains."""

    def __init__(
        self,
        width: int,
        classes: list[str],
        *,
        dimension: int = 128,
        orthogonal: float = 1.0,
        calibration: float = 1.0,
    ) -> None:
        """`dimension` of z_e and of z_i; `orthogonal`, `calibration`: weights of their losses, 0 for none."""
        super().__init__()
        if min(orthogonal, calibration) < 0 or dimension < 1:
            raise UserError(
                f"dsnet needs orthogonal and calibration of 0 on and dimension of 1 on, not {orthogonal}, "
                f"{calibration} and {dimension}."
            )
        if calibration and "neutral" not in classes:
            raise UserError(
                "DSNet is calibrated by neutral speech, but there is no class neutral: give calibration 0."
            )
        self.weights, self.neutral = (orthogonal, calibration), classes.index("neutral") if calibration else None
        self.pooling = Pooling(width, attentive=True, deviations=True)
        self.standardise = nn.BatchNorm1d(self.pooling.width, affine=False)
        self.emotion, self.identity = (nn.Linear(self.pooling.width, dimension) for _ in range(2))
        self.classify = nn.Linear(dimension, len(classes))
        for layer in (self.pooling.score, self.classify):
            nn.init.normal_(layer.weight, std=0.02)

    def forward(
        self,
        frames: torch.Tensor,
        valid: torch.Tensor,
        emotions: torch.Tensor | None = None,
        partner: tuple[torch.Tensor, torch.Tensor] | None = None,
        paired: torch.Tensor | None = None,
    ) -> HeadOutput:
        """`partner`: frames and valid of the neutral utterances that those of the batch that are `paired`, bool
        `[B]`, have."""
        pooled, weights = self.pooling(frames, valid)
        vectors = [pooled] if partner is None else [pooled, self.pooling(*partner)[0]]
        shared = self.standardise(torch.cat(vectors).float())  # statistics of both: the branches are one network
        # Of bfloat16 a cosine near 1 is 1, so they are of float32 under autocast too.
        emotional, identity = self.emotion(shared).float(), self.identity(shared).float()
        logits, own, terms = self.classify(emotional).float(), len(frames), {}
        if emotions is not None:
            orthogonal, calibration = self.weights
            terms["emotion"] = cross_entropy(logits[:own], emotions)
            if orthogonal:
                terms["orthogonal"] = orthogonal * cosine_similarity(emotional[:own], identity[:own]).square().mean()
            if calibration and partner is not None:
                alike = cosine_similarity(identity[:own][paired], identity[own:])
                calm = torch.full_like(emotions[: len(logits) - own], self.neutral)
                terms["calibration"] = calibration * (1 - alike).mean()
                terms["neutral"] = calibration * cross_entropy(logits[own:], calm)
        loss = sum(terms.values()) if terms else None
        return HeadOutput(
            logits[:own], loss, terms, weights, {"emotion": emotional[:own], "identity": identity[:own]}
        )


HEAD = DSNet
