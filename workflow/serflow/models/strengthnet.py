"""StrengthNet (Liu et al. 2022, arXiv 2206.07229): strength of an emotion, frame by frame.

Trained to give an utterance's strength as the mean of its frames' scores, and each frame that same strength.
"""

from typing import TYPE_CHECKING

import torch
from torch import nn
from transformers import AutoConfig, AutoModel

from serflow.models.frame_scores import (
    FrameEncoder,
    IntensityConfig,
    IntensityModel,
    IntensityOutput,
    Memory,
    MovementEncoder,
    mean_over,
    valid_frames,
)

if TYPE_CHECKING:
    import numpy as np

READS, STACK, OBJECTIVE = "audio", None, "strengths"
# Base is the paper's. Small is ours, for a few hundred steps. It learns only the mean of its frames' scores: where
# each is to be as strong as its utterance, frames grow alike, and boredom is not heard.
SIZES = {
    "base": {},
    "small": {"hidden": 64, "over_time": 3, "frame_weight": 0.0},
}


class StrengthNetConfig(IntensityConfig):
    """`frame_weight`: of the error of frame scores in the loss, beside that of their mean."""

    model_type = "serflow_strengthnet"
    frame_weight: float = 1.0


class StrengthNet(IntensityModel):
    """Convolutions and an LSTM over the spectrogram; a second LSTM tells the emotion, or, with convolutions over time
    alone, the mean of the frames does."""

    config_class, target = StrengthNetConfig, "strengths"

    def __init__(self, config: StrengthNetConfig) -> None:
        super().__init__(config)
        self.encoder = MovementEncoder(config) if config.over_time else FrameEncoder(config)
        self.score = nn.Linear(config.hidden, 1)
        self.emotion = None if config.over_time else Memory(self.encoder.convolutions.width, config)
        self.dropout = nn.Dropout(config.dropout)
        self.classify = nn.Linear(config.hidden * (1 if config.over_time else 2), config.num_labels)
        self.post_init()

    def forward(
        self,
        input_values: torch.Tensor,
        lengths: torch.Tensor,
        strengths: torch.Tensor | None = None,
        emotions: torch.Tensor | None = None,
    ) -> IntensityOutput:
        """Spectrograms `[B, T, 80]`, valid frames `[B]`, strengths `[B]`, class numbers `[B]` -> `IntensityOutput`.

        Loss: mean absolute error of the utterance score, `frame_weight` times that of the frame scores against the
        utterance's strength, and cross-entropy of the emotion where `emotions` are given.
        """
        valid = valid_frames(input_values, lengths)
        hidden, local = self.encoder(input_values, lengths, valid)
        frame_scores = self.score(hidden).squeeze(-1).float() * valid
        utterance_score = mean_over(frame_scores, valid)
        whole = self.emotion(local, lengths)[1] if self.emotion else mean_over(local, valid)
        logits = self.classify(self.dropout(whole)).float()
        terms = {}
        if strengths is not None:
            frame_errors = mean_over((frame_scores - strengths[:, None]).abs(), valid)
            terms["utterance error"] = (utterance_score - strengths).abs().mean()
            terms["frame error"] = self.config.frame_weight * frame_errors.mean()
            if emotions is not None:
                terms["emotion"] = nn.functional.cross_entropy(logits, emotions)
        return IntensityOutput(sum(terms.values()) if terms else None, frame_scores, utterance_score, logits, terms)

    def bounded(self, scores: "np.ndarray") -> "np.ndarray":
        """Frame scores as intensities in [0, 1]; strengths are such."""
        return scores.clip(0, 1)


AutoConfig.register(StrengthNetConfig.model_type, StrengthNetConfig)
AutoModel.register(StrengthNetConfig, StrengthNet)
NETWORK = StrengthNet
