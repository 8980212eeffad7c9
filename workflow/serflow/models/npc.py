"""NPC, non-autoregressive predictive coding (Liu et al. 2021, arXiv 2011.00406), after s3prl 0.4.18: each frame is
reconstructed from what surrounds it.

Shapes: B utterances, T frames of 10 ms, C input bins, D hidden size, G groups of K codes.
"""

import copy
from pathlib import Path
from typing import Self

import torch
from torch import nn
from torch.nn.functional import conv1d, gumbel_softmax, one_hot, pad
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel

from serflow.errors import UserError
from serflow.models import s3prl
from serflow.models.outputs import EncoderFrames, Reconstruction, valid_frames

READS, STACK, OBJECTIVE = "fbank_hamming", 1, "frames"
TAKES = {"intensity": False, "score_branch": False, "weighted": False}
FIXED = ("input_size", "score_branch", "weighted")
SIZES = {"base": {}, "small": {"hidden_size": 128, "num_blocks": 3, "codebook_size": 32}}  # base is the paper's


class NpcConfig(PreTrainedConfig):
    """Defaults are the paper's network."""

    model_type = "npc"

    input_size: int = 80
    hidden_size: int = 512
    num_blocks: int = 4
    kernel_size: int = 15
    mask_size: int = 5
    dropout: float = 0.1
    codebook_groups: int = 4
    codebook_size: int = 64
    gumbel_temperature: float = 1.0
    score_branch: bool = False  # see NpcForReconstruction
    weighted: bool = False

    @property
    def num_hidden_layers(self) -> int:
        """Hidden states after the first one."""
        return 2 * self.num_blocks


class NpcBlock(nn.Module):
    """Convolution over 3 frames, then over 1, each with batch norm; all but the first block are residual."""

    def __init__(self, width: int, config: NpcConfig, residual: bool) -> None:
        super().__init__()
        self.residual = residual
        self.conv = nn.Conv1d(width, config.hidden_size, 3, padding=1)
        self.bn1 = nn.BatchNorm1d(config.hidden_size)
        self.linear = nn.Conv1d(config.hidden_size, config.hidden_size, 1)
        self.bn2 = nn.BatchNorm1d(config.hidden_size)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """`[B, C or D, T]` -> `[B, D, T]`."""
        out = self.bn1(self.conv(hidden)).relu()
        out = self.dropout(self.bn2(self.linear(out)))
        return (out + hidden if self.residual else out).relu()


class SurroundingConv(nn.Module):
    """A convolution blind in the middle: only `side` frames at either end of its kernel are ever multiplied."""

    def __init__(self, width: int, kernel_size: int, mask_size: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(width, width, kernel_size)  # whole, for s3prl's initialisation and checkpoints
        self.side, self.reach = (kernel_size - mask_size) // 2, kernel_size // 2

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """`[B, D, T]` -> `[B, D, T]`."""
        padded, length = pad(hidden, (self.reach, self.reach)), hidden.shape[2] + self.side - 1
        before = conv1d(padded[..., :length], self.conv.weight[..., : self.side], self.conv.bias)
        after = conv1d(padded[..., -length:], self.conv.weight[..., -self.side :])
        return (before + after).tanh()


class NpcModel(PreTrainedModel):
    """The encoder, exact on padded batches in evaluation mode; batch norm forbids padding in training batches."""

    config_class = NpcConfig
    base_model_prefix = "npc"
    main_input_name = "input_values"

    def __init__(self, config: NpcConfig) -> None:
        super().__init__(config)
        widths = [config.input_size] + [config.hidden_size] * (config.num_blocks - 1)
        masks = [config.mask_size + 2 * (number + 1) for number in range(config.num_blocks)]  # what a block widens
        if masks[-1] >= config.kernel_size or config.mask_size % 2 == 0 or config.kernel_size % 2 == 0:
            raise UserError(
                f"NPC cannot mask {masks[-1]} frames (mask_size {config.mask_size}, and 2 more for each of "
                f"{config.num_blocks} blocks) of kernel_size {config.kernel_size}: lower mask_size; both must be odd."
            )
        self.blocks = nn.ModuleList(NpcBlock(width, config, number > 0) for number, width in enumerate(widths))
        self.masked_convs = nn.ModuleList(
            SurroundingConv(config.hidden_size, config.kernel_size, mask) for mask in masks
        )
        self.post_init()

    def _init_weights(self, module):
        """torch's own initialisation, as s3prl."""

    @classmethod
    def from_s3prl(cls, file: str | Path) -> "NpcModel":
        """The encoder of a checkpoint that s3prl saved; UserError, naming `file`, for any other file."""
        return NpcForReconstruction.from_s3prl(file).npc

    def forward(
        self, input_values: torch.Tensor, lengths: torch.Tensor | None = None, last_layer: int | None = None
    ) -> EncoderFrames:
        """Encode `[B, T, C]` frames; returns `EncoderFrames`, its states being those of SUPERB's weighted sum.

        They are, in turn, each block's frames and what its masked convolution makes of them, and last the sum of the
        latter. `lengths` int `[B]`: valid frames of each row, None = all. `last_layer`: stop after this state.
        """
        lengths, valid = valid_frames(input_values, lengths)

        def silent(hidden):  # behind an utterance's end, where a convolution could see it
            return hidden if valid is None else hidden * valid[:, None]

        blocks, states = (None, None) if last_layer is None else (last_layer // 2 + 1, last_layer + 1)
        hidden, computed = silent(input_values.transpose(1, 2)), []
        for block, masked_conv in zip(self.blocks[:blocks], self.masked_convs[:blocks], strict=True):
            hidden = silent(block(hidden))
            computed += [hidden.transpose(1, 2), masked_conv(hidden).transpose(1, 2)]
        computed.append(sum(computed[1::2]))
        return EncoderFrames(hidden_states=tuple(computed[:states]), lengths=lengths)


class Quantiser(nn.Module):
    """A code for each of G groups of channels: drawn by straight-through Gumbel in training, else the likeliest."""

    def __init__(self, config: NpcConfig) -> None:
        super().__init__()
        self.temperature, self.shape = config.gumbel_temperature, (config.codebook_groups, config.codebook_size)
        groups, codes = self.shape
        self.score = nn.Conv1d(config.hidden_size, groups * codes, 1, groups=groups)
        self.codebook = nn.Conv1d(groups * codes, config.hidden_size, 1, groups=groups, bias=False)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """`[B, D, T]` -> `[B, D, T]`."""
        scores = self.score(hidden).unflatten(1, self.shape)
        if self.training:
            chosen = gumbel_softmax(scores, self.temperature, hard=True, dim=2)
        else:
            chosen = one_hot(scores.argmax(2), self.shape[1]).movedim(3, 2).to(scores.dtype)
        return self.codebook(chosen.flatten(1, 2))


class NpcForReconstruction(PreTrainedModel):
    """Reconstructs every frame from its quantised surroundings: mean absolute error over valid frames, as s3prl's.

    With `score_branch` the frames plus their emotion intensity, added to every bin, are reconstructed too, and both
    errors summed (as EMS' code does). With `weighted` an error counts by its frame's intensity (ours).
    """

    config_class = NpcConfig
    base_model_prefix = "npc"
    main_input_name, target = "input_values", "frames"

    def __init__(self, config: NpcConfig, encoder: NpcModel | None = None) -> None:
        super().__init__(config)
        self.npc = NpcModel(config) if encoder is None else encoder
        self.quantiser = Quantiser(config)
        self.head = nn.Linear(config.hidden_size, config.input_size)
        self.post_init()

    def _init_weights(self, module):
        """torch's own initialisation, as s3prl."""

    @classmethod
    def around(cls, encoder: NpcModel, seed: int, score_branch: bool = False, weighted: bool = False) -> Self:
        """A new quantiser and head on `encoder`, weights from `seed`."""
        torch.manual_seed(seed)
        config = copy.deepcopy(encoder.config)
        config.score_branch, config.weighted = score_branch, weighted
        return cls(config, encoder)

    @classmethod
    def from_s3prl(cls, file: str | Path) -> Self:
        """A checkpoint that s3prl saved; UserError, naming `file`, for any other file."""
        with s3prl.reading(file) as states:
            settings, weights = states["config"]["model"]["paras"], states["model"]
            quantiser = settings["vq"]
            s3prl.require(settings, residual=True, batch_norm=True, activate="relu", disable_cross_layer=False)
            s3prl.require(quantiser, codebook_size=quantiser["codebook_size"][:1] * len(quantiser["codebook_size"]))
            config = NpcConfig(
                input_size=weights["blocks.0.conv.weight"].shape[1],
                num_blocks=settings["n_blocks"],
                codebook_groups=len(quantiser["codebook_size"]),
                codebook_size=quantiser["codebook_size"][0],
                gumbel_temperature=quantiser["gumbel_temperature"],
                **{size: settings[size] for size in ("hidden_size", "kernel_size", "mask_size", "dropout")},
            )
            model = cls(config)
            model.load_state_dict(_renamed(weights, config.codebook_groups))
        return model.eval()

    def reconstruct(self, input_values: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        """`[B, T, C]` -> `[B, T, C]`."""
        surroundings = self.npc(input_values, lengths).hidden_states[-1]
        return self.head(self.quantiser(surroundings.transpose(1, 2)).transpose(1, 2))

    def forward(
        self,
        input_values: torch.Tensor,
        frames: torch.Tensor,
        intensity: torch.Tensor | None = None,
        lengths: torch.Tensor | None = None,
    ) -> Reconstruction:
        """`input_values` and `frames` `[B, T, C]`: the same frames; unpadded in training, `lengths` as in `NpcModel`.
        `intensity` `[B, T]`, nowhere below 0, for `score_branch` and `weighted`."""
        _, valid = valid_frames(input_values, lengths)
        weights = torch.ones_like(frames[..., 0]) if valid is None else valid.to(frames.dtype)
        count = weights.sum()
        if self.config.weighted:
            mean = (weights * intensity).sum(1, keepdim=True) / weights.sum(1, keepdim=True)
            weights = weights * torch.where(mean > 0, intensity / mean, 1)  # where all is neutral, all count alike

        def error(read, truth):
            return ((self.reconstruct(read, lengths) - truth).abs().mean(-1) * weights).sum() / count

        loss = error(input_values, frames)
        if self.config.score_branch:
            shift = intensity[..., None]
            loss = loss + error(input_values + shift, frames + shift)
        return Reconstruction(loss)


def _renamed(weights, groups):
    """s3prl's weights under our names; its groups of codes join in one grouped convolution."""
    kept = ("blocks.", "masked_convs.")
    renamed = {f"npc.{name}": weight for name, weight in weights.items() if name.startswith(kept)}
    renamed = {name: weight for name, weight in renamed.items() if not name.endswith("conv_mask")}
    for kind in ("weight", "bias"):
        renamed[f"head.{kind}"] = weights[f"postnet.{kind}"]

    def joined(name):
        return torch.cat([weights[f"vq_layers.{group}.{name}"] for group in range(groups)])

    renamed["quantiser.score.weight"] = joined("vq_logits.weight")[..., None]
    renamed["quantiser.score.bias"] = joined("vq_logits.bias")
    renamed["quantiser.codebook.weight"] = joined("codebook_CxE.weight")[..., None]
    return renamed


AutoConfig.register(NpcConfig.model_type, NpcConfig)
AutoModel.register(NpcConfig, NpcModel)
ENCODER, PRETRAINING = NpcModel, NpcForReconstruction
