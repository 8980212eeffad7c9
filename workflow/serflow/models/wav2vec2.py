"""wav2vec 2.0 (Baevski et al. 2020, arXiv 2006.11477): its encoder, from a checkpoint or from scratch.

Pretrained here as HuBERT is, by units behind a mask (ours); the contrastive task of the paper is in its checkpoints.
"""

import torch
from transformers import Wav2Vec2Config, Wav2Vec2Model
from transformers.models.wav2vec2.modeling_wav2vec2 import Wav2Vec2PreTrainedModel

from serflow.models.waveforms import SIZES as SIZES
from serflow.models.waveforms import UnitPrediction, WaveConfig, WaveEncoder

READS, STACK, OBJECTIVE = "audio", 2, "units"
TAKES = {"units": True}


class WaveWav2Vec2Config(WaveConfig, Wav2Vec2Config):
    model_type = "wav2vec2"


class FrameWav2Vec2(WaveEncoder, Wav2Vec2Model):
    """transformers' Wav2Vec2Model as a `WaveEncoder`."""

    config_class = WaveWav2Vec2Config

    def projected(self, features: torch.Tensor) -> torch.Tensor:
        return self.feature_projection(features)[0]


class Wav2Vec2ForUnitPrediction(UnitPrediction, Wav2Vec2PreTrainedModel):
    """A saved folder loads with `Wav2Vec2Model.from_pretrained`."""


ENCODER, PRETRAINING = FrameWav2Vec2, Wav2Vec2ForUnitPrediction
