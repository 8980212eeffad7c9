"""Time-Frequency Transformer (Wang et al. 2023, arXiv 2308.14568): attention over time, over frequency, over both.

Of the paper only the abstract is public: the structure honours its words, its sizes are ours (docs/methods.md). A
token of this encoder is a segment of an utterance, which serflow.heads.segments judges one by one.

Shapes: B utterances, F frames of 10 ms, S segments, M segments of a whole batch, L frames a segment, D hidden size.
"""

from typing import Literal

import torch
from torch import nn
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel

from serflow.errors import UserError
from serflow.models.outputs import EncoderFrames

READS, STACK, OBJECTIVE = "fbank", 1, None
FIXED = ("input_size",)
SIZES = {"small": {}, "tiny": {"hidden_size": 32, "num_attention_heads": 2, "layers": 1}}  # ours
STEM = 4  # frames, and bands, that the convolutions make one


class TfTransformerConfig(PreTrainedConfig):
    """`branches`: `time` or `frequency` alone, both side by side (`time+frequency`), or under the transformer over
    both token sets (`full`, the paper's); `layers` of each transformer; `segment` and `hop` in frames;
    `masked_frames`, `masked_bands`: widest span that training hides in a segment, twice (SpecAugment, Park et al.
    2019)."""

    model_type = "tf_transformer"

    input_size: int = 80
    branches: Literal["time", "frequency", "time+frequency", "full"] = "full"
    hidden_size: int = 128
    num_attention_heads: int = 4
    layers: int = 1
    segment: int = 128
    hop: int = 64
    channels: int = 16
    dropout: float = 0.1
    masked_frames: int = 0
    masked_bands: int = 0

    num_hidden_layers = 0  # of a segment only the last state is shown


class Stem(nn.Module):
    """Two convolutions that make tokens of 4 frames and of 4 bands."""

    def __init__(self, config: TfTransformerConfig) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(1, config.channels, 3, stride=2, padding=1),
            nn.GELU(),
            nn.Conv2d(config.channels, config.channels, 3, stride=2, padding=1),
            nn.GELU(),
        )

    def forward(self, segments: torch.Tensor) -> torch.Tensor:
        """`[M, L, C]` -> `[M, channels, L / 4, C / 4]`."""
        return self.convolutions(segments[:, None])


class Branch(nn.Module):
    """A transformer over tokens of one axis, each token being all that stands at its place of the other."""

    def __init__(self, config: TfTransformerConfig, tokens: int, width: int) -> None:
        super().__init__()
        self.project = nn.Linear(width, config.hidden_size)
        self.position = nn.Parameter(0.02 * torch.randn(tokens, config.hidden_size))
        self.transformer = transformer(config)

    def forward(self, tokens: torch.Tensor, hidden: torch.Tensor | None = None) -> torch.Tensor:
        """`[M, tokens, width]`, bool `[M, tokens]` of those that are to be hidden -> `[M, tokens, D]`."""
        return self.transformer(self.project(tokens) + self.position, src_key_padding_mask=hidden)


def transformer(config: TfTransformerConfig) -> nn.TransformerEncoder:
    """Layers that normalise before they attend."""
    width, heads = config.hidden_size, config.num_attention_heads
    layer = nn.TransformerEncoderLayer(
        width, heads, 4 * width, config.dropout, "gelu", batch_first=True, norm_first=True
    )
    return nn.TransformerEncoder(layer, config.layers, nn.LayerNorm(width), enable_nested_tensor=False)


class TfTransformer(PreTrainedModel):
    """The encoder: the last segment ends where its utterance ends, and shorter utterances are one, filled with 0."""

    config_class = TfTransformerConfig
    main_input_name = "input_values"

    def __init__(self, config: TfTransformerConfig) -> None:
        super().__init__(config)
        if min(config.channels, config.layers, config.hidden_size) < 1:
            raise UserError("tf-transformer: channels, layers and hidden_size are of 1 on: raise what is 0.")
        if config.segment % STEM or not 0 < config.hop <= config.segment:
            raise UserError(
                f"tf-transformer: segment {config.segment} and hop {config.hop} are 10 ms frames: give a segment "
                f"that is a multiple of {STEM}, and a hop from 1 to it."
            )
        times, bands = config.segment // STEM, config.input_size // STEM
        self.stem = Stem(config)
        self.time = Branch(config, times, config.channels * bands) if config.branches != "frequency" else None
        self.frequency = Branch(config, bands, config.channels * times) if config.branches != "time" else None
        if config.branches == "time+frequency":
            self.join = nn.Linear(2 * config.hidden_size, config.hidden_size)
        elif config.branches == "full":
            self.summary = nn.Parameter(0.02 * torch.randn(1, 1, config.hidden_size))
            self.kind = nn.Parameter(0.02 * torch.randn(2, config.hidden_size))
            self.join = transformer(config)
        self.post_init()

    def _init_weights(self, module):
        """torch's own."""

    def forward(
        self, input_values: torch.Tensor, lengths: torch.Tensor | None = None, last_layer: int | None = None
    ) -> EncoderFrames:
        """`[B, F, 80]`, valid frames `[B]` or None (all) -> `EncoderFrames` whose one state is `[B, S, D]`."""
        if lengths is None:
            lengths = torch.full((len(input_values),), input_values.shape[1], device=input_values.device)
        segments, inside, valid = self._cut(input_values, lengths)
        if self.training:
            segments = self._hide(segments)
        encoded = self._encode(segments, inside)
        hidden = encoded.new_zeros(*valid.shape, encoded.shape[-1])
        hidden[valid] = encoded
        return EncoderFrames(hidden_states=(hidden,), lengths=valid.sum(1))

    def _cut(self, values, lengths):
        """Segments `[M, L, 80]`, their frames that are inside, bool `[M, L]`, and whose they are, bool `[B, S]`."""
        device, length = values.device, self.config.segment
        last = (lengths - length).clamp(min=0)
        count = -(-last // self.config.hop) + 1
        number = torch.arange(int(count.max()), device=device)
        valid = number < count[:, None]
        first = torch.minimum(number * self.config.hop, last[:, None])[valid]
        row = torch.arange(len(values), device=device)[:, None].expand_as(valid)[valid]
        place = first[:, None] + torch.arange(length, device=device)
        inside = place < lengths[row][:, None]
        return values[row[:, None], place.clamp(max=values.shape[1] - 1)] * inside[..., None], inside, valid

    def _hide(self, segments):
        """With two spans of frames and two of bands set to 0, which is the mean."""
        widest = {1: self.config.masked_frames, 2: self.config.masked_bands}
        for axis, most in ((axis, most) for axis, most in widest.items() for _ in range(2) if most):
            size, rows = segments.shape[axis], len(segments)
            width = torch.randint(most + 1, (rows, 1), device=segments.device)
            first = (torch.rand(rows, 1, device=segments.device) * (size - width + 1)).long()
            place = torch.arange(size, device=segments.device)
            hidden = (place >= first) & (place < first + width)
            segments = segments.masked_fill(hidden.unsqueeze(3 - axis), 0)
        return segments

    def _encode(self, segments, inside):
        """`[M, L, 80]`, bool `[M, L]` -> `[M, D]`."""
        maps, outside = self.stem(segments), ~inside[:, ::STEM]
        tokens = []
        if self.time:
            tokens.append(self.time(maps.permute(0, 2, 1, 3).flatten(2), outside))
        if self.frequency:
            tokens.append(self.frequency(maps.permute(0, 3, 1, 2).flatten(2)))
        if self.config.branches == "full":
            time, frequency = (part + kind for part, kind in zip(tokens, self.kind, strict=True))
            summary = self.summary.expand(len(segments), -1, -1)
            shown = outside.new_zeros(len(segments), 1 + frequency.shape[1])
            hidden = torch.cat([shown, outside], dim=1)
            return self.join(torch.cat([summary, frequency, time], dim=1), src_key_padding_mask=hidden)[:, 0]
        means = [part.mean(1) for part in tokens]
        if self.time:
            weight = ~outside[..., None]
            means[0] = (tokens[0] * weight).sum(1) / weight.sum(1)
        return self.join(torch.cat(means, dim=1)) if len(means) == 2 else means[0]


AutoConfig.register(TfTransformerConfig.model_type, TfTransformerConfig)
AutoModel.register(TfTransformerConfig, TfTransformer)
ENCODER = TfTransformer
