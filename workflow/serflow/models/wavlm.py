"""WavLM (Chen et al. 2022, arXiv 2110.13900): HuBERT's encoder with a gated bias for relative positions in attention.

Pretrained here as HuBERT is, by units behind a mask, without the paper's mixing in of other speech (ours).
"""

from collections.abc import Iterator

import torch
from torch import nn
from transformers import WavLMConfig, WavLMModel
from transformers.models.wavlm.modeling_wavlm import WavLMAttention, WavLMPreTrainedModel

from serflow.models.waveforms import SIZES as SIZES
from serflow.models.waveforms import UnitPrediction, WaveConfig, WaveEncoder

READS, STACK, OBJECTIVE = "audio", 2, "units"
TAKES = {"units": True}


class WaveWavLMConfig(WaveConfig, WavLMConfig):
    model_type = "wavlm"


class GatedAttention(WavLMAttention):
    """transformers' attention, same weights by the same names; faster, for it does not make the attention weights."""

    def torch_multi_head_self_attention(
        self, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None, gated_position_bias: torch.Tensor
    ) -> tuple[torch.Tensor, None]:
        """`[B, T, D]`, valid bool `[B, T]` or None, bias `[B x heads, T, T]` -> `[B, T, D]`."""
        batch, tokens, _ = hidden_states.shape
        query, key, value = (
            layer(hidden_states).view(batch, tokens, self.num_heads, self.head_dim).transpose(1, 2)
            for layer in (self.q_proj, self.k_proj, self.v_proj)
        )
        bias = gated_position_bias.view(batch, self.num_heads, tokens, tokens).to(query.dtype)
        if attention_mask is not None:
            bias = bias.masked_fill(~attention_mask[:, None, None], -torch.inf)
        dropout = self.dropout if self.training else 0.0
        found = nn.functional.scaled_dot_product_attention(query, key, value, bias, dropout_p=dropout)
        return self.out_proj(found.transpose(1, 2).reshape(batch, tokens, -1)), None


class FrameWavLM(WaveEncoder, WavLMModel):
    """transformers' WavLMModel as a `WaveEncoder`."""

    config_class = WaveWavLMConfig

    def __init__(self, config: WavLMConfig) -> None:
        super().__init__(config)
        for number, layer in enumerate(self.encoder.layers):
            layer.attention = GatedAttention(
                config.hidden_size, config.num_attention_heads, config.attention_dropout, config.num_buckets,
                config.max_bucket_distance, has_relative_position_bias=number == 0,
            )  # fmt: skip
        self.post_init()

    def projected(self, features: torch.Tensor) -> torch.Tensor:
        return self.feature_projection(features)[0]

    def layers(self, hidden: torch.Tensor, valid: torch.Tensor | None, last: int | None) -> Iterator[torch.Tensor]:
        """The first layer, which is never dropped, makes the position bias of all."""
        bias = None
        for layer in self.encoder.layers[:last]:
            if bias is None or not self.dropped():
                hidden, bias = layer(hidden, attention_mask=valid, position_bias=bias)
            yield hidden


class WavLMForUnitPrediction(UnitPrediction, WavLMPreTrainedModel):
    """A saved folder loads with `WavLMModel.from_pretrained`."""


ENCODER, PRETRAINING = FrameWavLM, WavLMForUnitPrediction
