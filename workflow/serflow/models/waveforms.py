"""What encoders of waveforms share: sizes and options, a first norm that does not see padding, a forward that gives
every layer's states and stops at the layer that is asked for, and HuBERT's masked prediction of units.

Shapes: B utterances, N samples, F frames of 10 ms, T tokens of 20 ms, D hidden size, K units.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.masking_utils import create_bidirectional_mask
from transformers.models.hubert.modeling_hubert import HubertFeatureEncoder
from transformers.utils import ModelOutput

from serflow.models import encoder_class
from serflow.models.outputs import EncoderFrames

# Base is the paper's, the others are ours. Dropout inside attention keeps CPUs from their fast attention; small
# models do as well with what is left.
SIZES = {
    "base": {},
    "tiny": {
        "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128,
        "conv_dim": (32, 32, 32, 32, 32, 32, 32), "num_conv_pos_embeddings": 32, "num_conv_pos_embedding_groups": 4,
        "attention_dropout": 0.0, "activation_dropout": 0.0, "layerdrop": 0.0,
    },
    "small": {
        "hidden_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 512,
        "conv_dim": (64, 64, 64, 64, 64, 64, 64), "num_conv_pos_embeddings": 32,
        "attention_dropout": 0.0, "activation_dropout": 0.0, "layerdrop": 0.0,
    },
    "medium": {
        "hidden_size": 256, "num_hidden_layers": 5, "num_attention_heads": 4, "intermediate_size": 1024,
        "conv_dim": (128, 128, 128, 128, 128, 128, 128), "num_conv_pos_embeddings": 32,
        "attention_dropout": 0.0, "activation_dropout": 0.0, "layerdrop": 0.0,
    },
}  # fmt: skip


@dataclass
class WaveConfig:
    """Goes before a config of transformers: what serflow's configuration may set of it."""

    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    conv_dim: tuple | list = (512, 512, 512, 512, 512, 512, 512)
    hidden_dropout: float = 0.1
    attention_dropout: float = 0.1
    activation_dropout: float = 0.1
    layerdrop: float = 0.1


class WaveFrontEnd(HubertFeatureEncoder):
    """The convolutional front-end, whose first norm uses an utterance's own length instead of the padded one."""

    def forward(self, input_values: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        """`[B, N]`, valid samples `[B]` or None (all) -> `[B, C, T]`."""
        hidden = input_values[:, None]
        for layer in self.conv_layers:
            if lengths is not None and isinstance(getattr(layer, "layer_norm", None), nn.GroupNorm):
                hidden = layer.conv(hidden)
                frames = (lengths - layer.conv.kernel_size[0]) // layer.conv.stride[0] + 1
                hidden = layer.activation(_norm_over_valid(hidden, layer.layer_norm, frames))
            else:
                hidden = layer(hidden)
        return hidden


def _norm_over_valid(hidden, norm, frames):
    """`nn.GroupNorm` with a group a channel, statistics over the first `frames` `[B]` of `hidden` `[B, C, T]`."""
    hidden = hidden.float()  # under autocast too, where nn.GroupNorm would do the same
    valid = (torch.arange(hidden.shape[-1], device=hidden.device) < frames[:, None])[:, None]
    count = frames[:, None, None]
    mean = (hidden * valid).sum(-1, keepdim=True) / count
    centred = hidden - mean
    variance = (centred.square() * valid).sum(-1, keepdim=True) / count
    return centred * (variance + norm.eps).rsqrt() * norm.weight[:, None] + norm.bias[:, None]


class WaveEncoder:
    """Goes before a model of transformers: same weights by the same names, exact on padded batches.

    It differs in that its first norm does not see padding, every layer's states come out, and it stops at the layer
    that is asked for.
    """

    front_end = WaveFrontEnd

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__(config)
        self.feature_extractor = self.front_end(config)
        if not hasattr(self, "masked_spec_embed"):  # of a checkpoint that is not to be masked in fine-tuning
            self.masked_spec_embed = nn.Parameter(torch.empty(config.hidden_size).uniform_())
        self.post_init()

    def tokens(self, lengths: torch.Tensor) -> torch.Tensor:
        """Tokens that inputs of `lengths` become."""
        return self._get_feat_extract_output_lengths(lengths)

    def forward(
        self,
        input_values: torch.Tensor,
        lengths: torch.Tensor | None = None,
        mask: torch.Tensor | None = None,
        last_layer: int | None = None,
    ) -> EncoderFrames:
        """Encode `[B, N]` waveforms or `[B, F, 80]` log-mel frames; returns `EncoderFrames`.

        `lengths` int `[B]`: valid inputs of each row, None = all. `mask` bool `[B, T]`: tokens to hide.
        `last_layer`: stop after this layer, None = all.
        """
        if lengths is not None and bool((lengths == input_values.shape[1]).all()):
            lengths = None  # nothing is padded: the plain norm and attention are the fastest
        features = self.feature_extractor(input_values, lengths).transpose(1, 2)
        hidden = self.projected(features)
        if mask is not None:
            hidden = torch.where(mask[..., None], self.masked_spec_embed.to(hidden.dtype), hidden)
        if lengths is None:
            tokens, valid = torch.full((len(hidden),), hidden.shape[1], device=hidden.device), None
        else:
            tokens = self.tokens(lengths)
            valid = torch.arange(hidden.shape[1], device=hidden.device) < tokens[:, None]
            hidden = hidden * valid[..., None]
        states = self._encode(hidden, valid, last_layer)
        return EncoderFrames(hidden_states=states, lengths=tokens, features=features)

    def projected(self, features: torch.Tensor) -> torch.Tensor:
        """What the front-end gave, `[B, T, C]` -> `[B, T, D]`."""
        return self.feature_projection(features)

    def layers(self, hidden: torch.Tensor, valid: torch.Tensor | None, last: int | None) -> Iterator[torch.Tensor]:
        """The states after each layer up to `last`; tokens `hidden` `[B, T, D]`, `valid` bool `[B, T]` or None."""
        attended = create_bidirectional_mask(config=self.config, inputs_embeds=hidden, attention_mask=valid)
        for layer in self.encoder.layers[:last]:
            if not self.dropped():
                hidden = layer(hidden, attention_mask=attended)
            yield hidden

    def dropped(self) -> bool:
        """Whether a layer is left out this time (layerdrop)."""
        return self.training and bool(torch.rand([]) < self.config.layerdrop)

    def _encode(self, hidden, valid, last_layer):
        encoder, stable = self.encoder, self.config.do_stable_layer_norm
        hidden = hidden + encoder.pos_conv_embed(hidden)
        hidden = encoder.dropout(hidden if stable else encoder.layer_norm(hidden))
        states = [hidden, *self.layers(hidden, valid, last_layer)]
        if stable and len(states) == len(encoder.layers) + 1:
            states[-1] = encoder.layer_norm(states[-1])
        return tuple(states)


@dataclass
class MaskedPrediction(ModelOutput):
    """`loss`: scalar; `correct` and `masked`: `[1]` counts of masked tokens, guessed right and in all."""

    loss: torch.Tensor | None = None
    correct: torch.Tensor | None = None
    masked: torch.Tensor | None = None


class UnitPrediction:
    """Goes before a `PreTrainedModel` of transformers: predicts the unit of each masked token, cross-entropy of
    cosine similarities (Hsu et al. 2021, eq. 3). The encoder is its base model, so that a saved folder loads as one.
    """

    target = "units"

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__(config)
        setattr(self, self.base_model_prefix, encoder_class(config.model_type)(config))
        width = getattr(config, "unit_width", 256)
        self.project = nn.Linear(config.hidden_size, width)
        self.unit_embeddings = nn.Parameter(torch.empty(config.units, width).uniform_())
        self.temperature = 0.1
        self.feature_penalty = 10.0
        self.post_init()

    @classmethod
    def around(cls, encoder: PreTrainedModel, units: int, seed: int, frozen: bool) -> Self:
        """A new head for `units` units on `encoder`; `frozen` keeps the convolutional front-end as it is."""
        torch.manual_seed(seed)
        config = copy.deepcopy(encoder.config)
        config.units = units
        model = cls(config)
        setattr(model, model.base_model_prefix, encoder)
        encoder.feature_extractor.requires_grad_(not frozen)
        return model

    def scores(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits of the units: `[..., D]` -> `[..., K]`."""
        projected = nn.functional.normalize(self.project(hidden), dim=-1)
        return projected @ nn.functional.normalize(self.unit_embeddings, dim=-1).T / self.temperature

    def forward(
        self, input_values: torch.Tensor, mask: torch.Tensor, units: torch.Tensor, share: dict | None = None
    ) -> MaskedPrediction:
        """Unpadded `input_values` (see `WaveEncoder`), `mask` bool `[B, T]`, `units` int `[B, T]`; `share`: what of a
        larger batch these are (see `serflow.shares.Shares`), None = all."""
        share = share or {"masked": 1.0, "rows": 1.0}
        frames = self.base_model(input_values, mask=mask)
        logits = self.scores(frames.hidden_states[-1][mask])
        targets = units[mask]
        loss = nn.functional.cross_entropy(logits.float(), targets) * share["masked"]
        if any(weight.requires_grad for weight in self.base_model.feature_extractor.parameters()):  # lest it grows
            loss = loss + self.feature_penalty * frames.features.float().square().mean() * share["rows"]
        correct = (logits.argmax(-1) == targets).sum()
        return MaskedPrediction(loss, correct[None], torch.full_like(correct, len(targets))[None])
