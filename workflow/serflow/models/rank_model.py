"""Rank model (Wang et al. 2023, arXiv 2303.01508): intensities that put mixtures in their order.

An emotional and a neutral utterance of one speaker are mixed twice: the mixture with more of the emotional one is to
have the higher intensity. The paper's extractor belongs to a synthesiser and is told the emotion; this one has
StrengthNet's encoder and is not, so that it can score speech whose emotion is unknown (ours).
"""

from typing import TYPE_CHECKING

import torch
from scipy.special import expit
from torch import nn
from transformers import AutoConfig, AutoModel

from serflow.models.frame_scores import (
    FrameEncoder,
    IntensityConfig,
    IntensityModel,
    IntensityOutput,
    mean_over,
    valid_frames,
)

if TYPE_CHECKING:
    import numpy as np

READS, STACK, OBJECTIVE = "audio", None, "mixtures"
# Both ours. Small is shallow: from pairs alone, more layers learn too slowly for a demo.
SIZES = {
    "base": {},
    "small": {"spectrum": 27, "channels": (16, 32), "hidden": 64, "dropout": 0.1, "compress": True},
}


class RankModelConfig(IntensityConfig):
    model_type = "serflow_rank_model"


class RankModel(IntensityModel):
    """Frames `h_t`; intensity of a frame `r_t = w.h_t`, of an utterance `r = w.mean(h)`, the mean of its frames'."""

    config_class, target = RankModelConfig, "shares"

    def __init__(self, config: RankModelConfig) -> None:
        super().__init__(config)
        self.encoder = FrameEncoder(config)
        self.score = nn.Linear(config.hidden, 1)
        self.classify = nn.Linear(config.hidden, config.num_labels)
        self.post_init()

    def forward(
        self,
        input_values: torch.Tensor,
        lengths: torch.Tensor,
        shares: torch.Tensor | None = None,
        emotions: torch.Tensor | None = None,
    ) -> IntensityOutput:
        """Spectrograms `[B, T, 80]`, valid frames `[B]` -> `IntensityOutput`.

        In training the first half of the batch and the second hold two mixtures of the same pairs: `shares` `[B]` are
        those lambda of the emotional utterances, `emotions` `[B]` their class numbers.
        Loss: .1 L_mixup + L_rank; L_mixup = lambda CE(h, emotion) + (1 - lambda) CE(h, neutral) of both mixtures,
        L_rank = BCE(sigmoid(r_i - r_j), (lambda_i - lambda_j + 1) / 2).
        """
        valid = valid_frames(input_values, lengths)
        hidden, _ = self.encoder(input_values, lengths, valid)
        frame_scores = self.score(hidden).squeeze(-1).float() * valid
        utterance_score = mean_over(frame_scores, valid)
        logits = self.classify(mean_over(hidden, valid)).float()
        terms = {}
        if shares is not None:
            neutral = torch.full_like(emotions, self.config.label2id["neutral"])
            entropy = nn.functional.cross_entropy
            mixup = shares * entropy(logits, emotions, reduction="none")
            mixup = mixup + (1 - shares) * entropy(logits, neutral, reduction="none")
            (first, second), (more, less) = utterance_score.chunk(2), shares.chunk(2)
            terms["mixup"] = 0.1 * 2 * mixup.mean()  # the sum over k = i, j
            terms["rank"] = nn.functional.binary_cross_entropy_with_logits(first - second, (more - less + 1) / 2)
        return IntensityOutput(sum(terms.values()) if terms else None, frame_scores, utterance_score, logits, terms)

    def bounded(self, scores: "np.ndarray") -> "np.ndarray":
        """Frame scores as intensities in [0, 1]; they have no scale of their own, so their sigmoid is taken."""
        return expit(scores)


AutoConfig.register(RankModelConfig.model_type, RankModelConfig)
AutoModel.register(RankModelConfig, RankModel)
NETWORK = RankModel
