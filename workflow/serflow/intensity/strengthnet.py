"""StrengthNet (Liu et al. 2022, arXiv 2206.07229; METHODS 3.2): strength of an emotion, frame by frame.

Trained to give an utterance's strength as the mean of its frames' scores, and each frame that same strength.
"""

from torch import nn
from transformers import AutoConfig, AutoModel

from serflow.intensity.spectrogram import (
    FrameEncoder,
    IntensityConfig,
    IntensityModel,
    IntensityOutput,
    Memory,
    mean_over,
    valid_frames,
)


class StrengthNetConfig(IntensityConfig):
    model_type = "serflow_strengthnet"


# Base is the paper's. Small is ours: magnitudes span three decades, and without the logarithm the few hundred steps
# that a demo can afford teach the network nothing.
SIZES = {
    "strengthnet-base": {},
    "strengthnet-small": {"spectrum": 27, "channels": (8, 16, 32), "hidden": 32, "compress": True},
}


class StrengthNet(IntensityModel):
    """Convolutions and an LSTM over the spectrogram; a second LSTM tells the emotion."""

    config_class, sizes = StrengthNetConfig, SIZES

    def __init__(self, config):
        super().__init__(config)
        self.encoder = FrameEncoder(config)
        self.score = nn.Linear(config.hidden, 1)
        self.emotion = Memory(self.encoder.convolutions.width, config)
        self.dropout = nn.Dropout(config.dropout)
        self.classify = nn.Linear(2 * config.hidden, config.num_labels)
        self.post_init()

    def forward(self, input_values, lengths, labels=None, emotions=None):
        """Spectrograms `[B, T, 80]`, valid frames `[B]`, strengths `[B]`, class numbers `[B]` -> `IntensityOutput`.

        Loss: mean absolute error of the utterance score, the same of the frame scores against the utterance's
        strength, and cross-entropy of the emotion where `emotions` are given.
        """
        valid = valid_frames(input_values, lengths)
        hidden, local = self.encoder(input_values, lengths, valid)
        frame_scores = self.score(hidden).squeeze(-1).float() * valid
        utterance_score = mean_over(frame_scores, valid)
        logits = self.classify(self.dropout(self.emotion(local, lengths)[1])).float()
        loss = None
        if labels is not None:
            frame_errors = mean_over((frame_scores - labels[:, None]).abs(), valid)
            loss = (utterance_score - labels).abs().mean() + frame_errors.mean()
            if emotions is not None:
                loss = loss + nn.functional.cross_entropy(logits, emotions)
        return IntensityOutput(loss, frame_scores, utterance_score, logits)


AutoConfig.register(StrengthNetConfig.model_type, StrengthNetConfig)
AutoModel.register(StrengthNetConfig, StrengthNet)
