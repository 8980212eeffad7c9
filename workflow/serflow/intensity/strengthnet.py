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
    MovementEncoder,
    mean_over,
    valid_frames,
)


class StrengthNetConfig(IntensityConfig):
    """`rankers`: a score of each frame for the ranker of every emotion, and the highest of them is the frame's."""

    model_type = "serflow_strengthnet"
    rankers: bool = False


# Base is the paper's. Small is ours, for a few hundred steps. It learns what every ranker says of every utterance, a
# linear function of functionals. The strength of whichever emotion is shown is none: angry speech is loud and sad
# speech soft, both are to be strong, and neutral speech between them weak.
SIZES = {
    "strengthnet-base": {},
    "strengthnet-small": {"hidden": 64, "over_time": 3, "rankers": True},
}


class StrengthNet(IntensityModel):
    """Convolutions and an LSTM over the spectrogram; a second LSTM tells the emotion, or, with convolutions over time
    alone, the mean of the frames does."""

    config_class, sizes = StrengthNetConfig, SIZES

    def __init__(self, config):
        super().__init__(config)
        self.encoder = MovementEncoder(config) if config.over_time else FrameEncoder(config)
        self.score = nn.Linear(config.hidden, len(self.targets(config)))
        self.emotion = None if config.over_time else Memory(self.encoder.convolutions.width, config)
        self.dropout = nn.Dropout(config.dropout)
        self.classify = nn.Linear(config.hidden * (1 if config.over_time else 2), config.num_labels)
        self.post_init()

    @staticmethod
    def targets(config):
        """The columns of strengths that a network of this configuration learns."""
        emotions = [name for name in config.label2id if name != "neutral"]
        return [f"strength_{name}" for name in emotions] if config.rankers else ["strength"]

    def forward(self, input_values, lengths, labels=None, emotions=None):
        """Spectrograms `[B, T, 80]`, valid frames `[B]`, strengths `[B]` or `[B, rankers]`, class numbers `[B]` ->
        `IntensityOutput`.

        Loss: mean absolute error of the utterance score, the same of the frame scores against the utterance's
        strength, both summed over the rankers, and cross-entropy of the emotion where `emotions` are given.
        """
        valid = valid_frames(input_values, lengths)
        hidden, local = self.encoder(input_values, lengths, valid)
        scores = self.score(hidden).float() * valid[..., None]
        frame_scores = scores.amax(-1)
        utterance_score = mean_over(frame_scores, valid)
        whole = self.emotion(local, lengths)[1] if self.emotion else mean_over(local, valid)
        logits = self.classify(self.dropout(whole)).float()
        loss = None
        if labels is not None:
            labels = labels.reshape(len(labels), -1)
            frame_errors = mean_over((scores - labels[:, None]).abs(), valid)
            utterance_errors = (mean_over(scores, valid) - labels).abs()
            loss = (utterance_errors + frame_errors).sum(1).mean()
            if emotions is not None:
                loss = loss + nn.functional.cross_entropy(logits, emotions)
        return IntensityOutput(loss, frame_scores, utterance_score, logits)


AutoConfig.register(StrengthNetConfig.model_type, StrengthNetConfig)
AutoModel.register(StrengthNetConfig, StrengthNet)
