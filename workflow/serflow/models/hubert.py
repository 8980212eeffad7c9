"""HuBERT (Hsu et al. 2021, arXiv 2106.07447): encoder, and pretraining by masked prediction."""

from transformers import HubertConfig, HubertModel
from transformers.models.hubert.modeling_hubert import HubertPreTrainedModel

from serflow.models.waveforms import SIZES as SIZES
from serflow.models.waveforms import UnitPrediction, WaveConfig, WaveEncoder

READS, STACK, OBJECTIVE = "audio", 2, "units"
TAKES = {"units": True}


class WaveHubertConfig(WaveConfig, HubertConfig):
    model_type = "hubert"


class FrameHubert(WaveEncoder, HubertModel):
    """transformers' HubertModel as a `WaveEncoder`."""

    config_class = WaveHubertConfig


class HubertForMaskedPrediction(UnitPrediction, HubertPreTrainedModel):
    """A saved folder loads with `HubertModel.from_pretrained`."""


ENCODER, PRETRAINING = FrameHubert, HubertForMaskedPrediction
