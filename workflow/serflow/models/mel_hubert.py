"""HuBERT on stacked log-mel frames in place of the waveform (Lin et al. 2022, arXiv 2211.09944; sizes ours).

Shapes: B utterances, F frames of 10 ms, T tokens of 20 ms. A saved folder loads with `AutoModel.from_pretrained` once
this module is imported.
"""

import torch
from torch import nn
from transformers import AutoConfig, AutoModel, HubertConfig

from serflow.models.hubert import FrameHubert, HubertForMaskedPrediction

READS, STACK, OBJECTIVE = "fbank", 2, "units"
TAKES = {"units": True}
FIXED = ("mel_bins", "stack", "conv_dim", "conv_kernel", "conv_stride")
SIZES = {
    "tiny": {
        "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128,
        "num_conv_pos_embedding_groups": 4,
    },
    "small": {"hidden_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 512},
    "medium": {"hidden_size": 256, "num_hidden_layers": 5, "num_attention_heads": 4, "intermediate_size": 1024},
}  # fmt: skip


class MelHubertConfig(HubertConfig):
    """Dropout inside attention keeps CPUs from their fast attention; small models do as well with what is left
    (ours)."""

    # One linear layer reads the stacked bins: HubertFeatureProjection takes its input width from `conv_dim`.

    model_type = "mel_hubert"

    mel_bins: int = 80
    stack: int = 2
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_dropout: float = 0.1
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    layerdrop: float = 0.0
    num_conv_pos_embeddings: int = 32
    conv_dim: tuple | list = (160,)
    conv_kernel: tuple | list = (400,)
    conv_stride: tuple | list = (320,)


class MelFrontEnd(nn.Module):
    """Stacks neighbouring log-mel frames into tokens; has no weights."""

    def __init__(self, config: MelHubertConfig) -> None:
        super().__init__()
        self.stack = config.stack

    def forward(self, input_values: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        """`[B, F, 80]` -> `[B, 160, T]`; an odd last frame is dropped."""
        tokens = input_values.shape[1] // self.stack
        stacked = input_values[:, : tokens * self.stack].reshape(len(input_values), tokens, -1)
        return stacked.transpose(1, 2)


class FrameMelHubert(FrameHubert):
    """The same encoder on log-mel frames."""

    config_class = MelHubertConfig
    front_end = MelFrontEnd

    def tokens(self, lengths: torch.Tensor) -> torch.Tensor:
        """Tokens that `lengths` mel frames become."""
        return lengths // self.config.stack


AutoConfig.register(MelHubertConfig.model_type, MelHubertConfig)
AutoModel.register(MelHubertConfig, FrameMelHubert)
ENCODER, PRETRAINING = FrameMelHubert, HubertForMaskedPrediction
