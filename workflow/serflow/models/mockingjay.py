"""MockingJay (Liu et al. 2020, arXiv 1910.12638): a transformer that reconstructs masked frames, after s3prl 0.4.18.

Shapes: B utterances, T frames of 10 ms, C input bins, D hidden size, M masked frames of the batch.
"""

import copy
import functools
from pathlib import Path
from typing import Self

import torch
from torch import nn
from torch.nn.functional import gelu, l1_loss, scaled_dot_product_attention
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel

from serflow.models import s3prl
from serflow.models.outputs import EncoderFrames, Reconstruction, valid_frames

READS, STACK, OBJECTIVE = "fbank_deltas", 1, "masked frames"
TAKES = {"intensity": False, "masking": False, "score_branch": False}
FIXED = ("input_size", "output_size", "score_branch")
SIZES = {  # base is the paper's, small is ours: dropout inside attention keeps CPUs from their fast attention
    "base": {},
    "small": {
        "hidden_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 512,
        "attention_dropout": 0.0,
    },
}  # fmt: skip


class MockingjayConfig(PreTrainedConfig):
    """Defaults are the paper's base network."""

    model_type = "mockingjay"

    input_size: int = 240
    output_size: int | None = None  # bins to reconstruct, None: as many as there are in the input
    hidden_size: int = 768
    num_hidden_layers: int = 3
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    dropout: float = 0.1
    attention_dropout: float = 0.1
    layer_norm_eps: float = 1e-12
    initializer_range: float = 0.02
    score_branch: bool = False  # see MockingjayForReconstruction


@functools.lru_cache(maxsize=8)
def sinusoids(frames: int, width: int, device: torch.device) -> torch.Tensor:
    """Sine (even columns) and cosine (odd) of each position, `[frames, width]` float32 (Vaswani et al. 2017, 3.5)."""
    position = torch.arange(frames, dtype=torch.float64)[:, None]
    angle = position / 10000 ** (2 * (torch.arange(width) // 2) / width).double()
    return torch.where(torch.arange(width) % 2 == 0, angle.sin(), angle.cos()).float().to(device)


class MockingjayLayer(nn.Module):
    """Self-attention and feed-forward network, each normalised after its residual."""

    def __init__(self, config: MockingjayConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.heads, self.attention_dropout = config.num_attention_heads, config.attention_dropout
        self.query_key_value = nn.Linear(width, 3 * width)
        self.attended = nn.Linear(width, width)
        self.attended_norm = nn.LayerNorm(width, config.layer_norm_eps)
        self.expand = nn.Linear(width, config.intermediate_size)
        self.contract = nn.Linear(config.intermediate_size, width)
        self.norm = nn.LayerNorm(width, config.layer_norm_eps)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, hidden: torch.Tensor, attendable: torch.Tensor | None, wanted: torch.Tensor | None = None
    ) -> torch.Tensor:
        """`[B, T, D]`, bool `[B, 1, 1, T]` or None (all) -> `[B, T, D]`, or `[M, D]` of the `wanted` frames."""
        projected = self.query_key_value(hidden).unflatten(-1, (3, self.heads, -1))
        query, key, value = projected.permute(2, 0, 3, 1, 4)
        dropped = self.attention_dropout if self.training else 0.0
        context = scaled_dot_product_attention(query, key, value, attendable, dropped).transpose(1, 2).flatten(2)
        if wanted is not None:  # what follows sees one frame at a time
            hidden, context = hidden[wanted], context[wanted]
        hidden = self.attended_norm(hidden + self.dropout(self.attended(context)))
        return self.norm(hidden + self.dropout(self.contract(gelu(self.expand(hidden)))))


class MockingjayModel(PreTrainedModel):
    """The encoder, exact on padded batches."""

    config_class = MockingjayConfig
    base_model_prefix = "mockingjay"
    main_input_name = "input_values"

    def __init__(self, config: MockingjayConfig) -> None:
        super().__init__(config)
        self.project = nn.Linear(config.input_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(MockingjayLayer(config) for _ in range(config.num_hidden_layers))
        self.post_init()

    @classmethod
    def from_s3prl(cls, file: str | Path) -> "MockingjayModel":
        """The encoder of a checkpoint that s3prl saved; UserError, naming `file`, for any other file."""
        return MockingjayForReconstruction.from_s3prl(file).mockingjay

    def forward(
        self,
        input_values: torch.Tensor,
        lengths: torch.Tensor | None = None,
        last_layer: int | None = None,
        wanted: torch.Tensor | None = None,
    ) -> EncoderFrames:
        """Encode `[B, T, C]` frames; returns `EncoderFrames`, its state 0 being what enters layer 1.

        `lengths` int `[B]`: valid frames of each row, None = all. `last_layer`: stop after this layer, None = all.
        `wanted` bool `[B, T]`: the last layer's state is to be that of these M frames alone, `[M, D]`.
        """
        lengths, valid = valid_frames(input_values, lengths)
        attendable = None if valid is None else valid[:, None, None]
        hidden = self.project(input_values)
        frames = hidden.shape[1]
        # Tables come in steps of 10 s, so that a corpus needs few of them.
        position = sinusoids(-(-frames // 1000) * 1000, hidden.shape[2], hidden.device)[:frames]
        states = [self.dropout(self.norm(hidden + position))]
        layers = self.layers[:last_layer]
        for layer in layers:
            states.append(layer(states[-1], attendable, wanted if layer is layers[-1] else None))
        return EncoderFrames(hidden_states=tuple(states), lengths=lengths)


class MockingjayForReconstruction(PreTrainedModel):
    """Reconstructs the masked frames: mean absolute error over them, as s3prl's.

    With `score_branch` the emotion intensity is added to every bin of the input, and a second pass of the encoder,
    over the masked intensity alone, reconstructs it in every bin; both errors are summed (as EMS' code does).
    """

    config_class = MockingjayConfig
    base_model_prefix = "mockingjay"
    main_input_name, target = "input_values", "frames"

    def __init__(self, config: MockingjayConfig, encoder: MockingjayModel | None = None) -> None:
        super().__init__(config)
        self.mockingjay = MockingjayModel(config) if encoder is None else encoder
        self.head = _head(config, config.output_size or config.input_size)
        if config.score_branch:
            self.score_head = _head(config, config.input_size)
        self.post_init()

    @classmethod
    def around(cls, encoder: MockingjayModel, seed: int, score_branch: bool = False) -> Self:
        """New heads on `encoder`, weights from `seed`."""
        torch.manual_seed(seed)
        config = copy.deepcopy(encoder.config)
        config.score_branch = score_branch
        return cls(config, encoder)

    @classmethod
    def from_s3prl(cls, file: str | Path) -> Self:
        """A checkpoint that s3prl saved; UserError, naming `file`, for any other file."""
        with s3prl.reading(file) as states:
            saved = states["Config"] if "transformer" in states["Config"] else states["Upstream_Config"]
            settings = saved["transformer"]
            s3prl.require(settings, hidden_act="gelu", share_layer=False, pre_layer_norm=False)
            sizes = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
            config = MockingjayConfig(
                input_size=states["Transformer"]["input_representations.spec_transform.weight"].shape[1],
                output_size=len(states["SpecHead"]["output.bias"]),
                dropout=settings["hidden_dropout_prob"],
                attention_dropout=settings["attention_probs_dropout_prob"],
                layer_norm_eps=float(settings["layer_norm_eps"]),
                **{size: settings[size] for size in sizes},
            )
            model = cls(config)
            model.load_state_dict(_renamed(states, config.num_hidden_layers))
        return model.eval()

    def forward(
        self,
        input_values: torch.Tensor,
        frames: torch.Tensor,
        mask: torch.Tensor,
        intensity: torch.Tensor | None = None,
        clean_intensity: torch.Tensor | None = None,
        lengths: torch.Tensor | None = None,
        share: dict | None = None,
    ) -> Reconstruction:
        """`input_values` `[B, T, C]`: frames, corrupted where `mask` bool `[B, T]` is set; `frames` `[B, T, C]`: the
        clean ones. `intensity` and `clean_intensity` `[B, T]`: the same of the intensity, for `score_branch` only.
        `share`: what of a larger batch these are (see `serflow.shares.Shares`), None = all.
        """
        weight = share["masked"] if share else 1.0
        if not self.config.score_branch:
            return Reconstruction(
                l1_loss(self.head(self._masked(input_values, mask, lengths)), frames[mask]) * weight
            )
        shift = intensity[..., None].expand_as(input_values)
        guessed = self.head(self._masked(input_values + shift, mask, lengths))
        scores = self.score_head(self._masked(shift, mask, lengths))
        truth = clean_intensity[mask][:, None].expand_as(scores)
        return Reconstruction((l1_loss(guessed, frames[mask]) + l1_loss(scores, truth)) * weight)

    def _masked(self, input_values, mask, lengths):
        """The last state of the masked frames, `[M, D]`; computing it for them alone saves a fifth of the work."""
        return self.mockingjay(input_values, lengths, wanted=mask).hidden_states[-1]


def _head(config, bins):
    width = config.hidden_size
    norm = nn.LayerNorm(width, config.layer_norm_eps)
    return nn.Sequential(nn.Linear(width, width), nn.GELU(), norm, nn.Linear(width, bins))


RENAMED = {  # s3prl's names -> ours, the longer ones first
    "attention.output.dense": "attended", "attention.output.LayerNorm": "attended_norm",
    "intermediate.dense": "expand", "output.dense": "contract", "output.LayerNorm": "norm",
    "input_representations.spec_transform": "project", "input_representations.LayerNorm": "norm",
    "encoder.layer.": "layers.",
}  # fmt: skip
HEAD = {"dense": "head.0", "LayerNorm": "head.2", "output": "head.3"}


def _renamed(states, layers):
    """Weights of s3prl's `Transformer` and `SpecHead` under our names, its three projections joined into one."""
    encoder = dict(states["Transformer"])
    for layer in range(layers):
        name = f"encoder.layer.{layer}.attention.self."
        for kind in ("weight", "bias"):
            parts = [encoder.pop(f"{name}{part}.{kind}") for part in ("query", "key", "value")]
            encoder[f"layers.{layer}.query_key_value.{kind}"] = torch.cat(parts)
    renamed = {}
    for name, weight in encoder.items():
        for theirs, ours in RENAMED.items():
            name = name.replace(theirs, ours)
        renamed[f"mockingjay.{name}"] = weight
    for name, weight in states["SpecHead"].items():
        part, kind = name.rsplit(".", 1)
        renamed[f"{HEAD[part]}.{kind}"] = weight
    return renamed


AutoConfig.register(MockingjayConfig.model_type, MockingjayConfig)
AutoModel.register(MockingjayConfig, MockingjayModel)
ENCODER, PRETRAINING = MockingjayModel, MockingjayForReconstruction
