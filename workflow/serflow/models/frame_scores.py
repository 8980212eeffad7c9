"""What networks of frame-level intensity share: the encoder of spectrogram frames (Liu et al. 2022, arXiv
2206.07229), their config and what they return."""

import itertools
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils import ModelOutput

from serflow.features import SPECTROGRAM_BINS as BINS

FLOOR, LEVEL = 1e-4, -7.0  # quieter than any voice; about the mean of log(magnitude + FLOOR) in speech
CHANGE = 0.6  # about the mean of its absolute change from frame to frame


class IntensityConfig(PreTrainedConfig):
    """`spectrum`: width the bands are spread to; `channels` of the groups of convolutions; `hidden`: LSTM units each
    way and width of a frame; `compress`: take the logarithm first; `over_time`: how many convolutions over time alone
    stand in place of all these (`MovementEncoder`, ours), 0 for none; the emotions are `id2label`."""

    spectrum: int = 257
    channels: tuple = (16, 32, 64, 128)
    hidden: int = 128
    dropout: float = 0.3
    compress: bool = False
    over_time: int = 0


@dataclass
class IntensityOutput(ModelOutput):
    """`loss`: scalar, and the named `terms` it is the sum of; `frame_scores` `[B, T]`, 0 behind an utterance's end;
    `utterance_score` `[B]`, their mean; `logits` `[B, classes]` of the emotion."""

    loss: torch.Tensor | None = None
    frame_scores: torch.Tensor | None = None
    utterance_score: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    terms: dict | None = None


def compressed(magnitudes: torch.Tensor) -> torch.Tensor:
    """Their logarithm, about 0 in speech."""
    return (magnitudes + FLOOR).log() - LEVEL


class Convolutions(nn.Module):
    """Spread the bands over `spectrum`, then 3 convolutions a group, the last with stride 3 in frequency."""

    def __init__(self, config: IntensityConfig) -> None:
        super().__init__()
        self.compress = config.compress
        self.spread = nn.Linear(BINS, config.spectrum)
        before, width, layers = 1, config.spectrum, []
        for channels in config.channels:
            for stride in (1, 1, 3):
                layers.append(nn.Conv2d(before, channels, 3, stride=(1, stride), padding=1))
                before, width = channels, -(-width // stride)
        self.layers, self.width = nn.ModuleList(layers), before * width

    def forward(self, input_values: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        """`[B, T, 80]`, bool `[B, T]` -> `[B, T, width]`. Behind its end a frame is zero in every layer, as it is
        beyond the edge of an utterance that comes alone."""
        valid = valid[:, None, :, None]
        if self.compress:
            input_values = compressed(input_values)
        hidden = self.spread(input_values)[:, None] * valid
        for layer in self.layers:
            hidden = layer(hidden).relu() * valid
        return hidden.transpose(1, 2).flatten(2)


class Memory(nn.Module):
    """LSTM in both directions whose state is all it remembers: no weights from its output back to its gates.

    The released code bounds those weights by a norm of 1e-5. What is left is local: a frame score stays a matter of
    the frames around it, where a whole-utterance view would learn the same score for all frames, as the loss asks.
    """

    def __init__(self, width: int, config: IntensityConfig) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, config.hidden, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(config.dropout)
        self.lstm.weight_hh_l0.requires_grad_(False)
        self.lstm.weight_hh_l0_reverse.requires_grad_(False)

    def forward(self, hidden: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """`[B, T, width]` -> each frame `[B, T, 2 hidden]`, last state of either direction `[B, 2 hidden]`."""
        packed = nn.utils.rnn.pack_padded_sequence(self.dropout(hidden), lengths.cpu(), True, enforce_sorted=False)
        frames, (last, _) = self.lstm(packed)
        frames, _ = nn.utils.rnn.pad_packed_sequence(frames, True, total_length=hidden.shape[1])
        return frames, last.transpose(0, 1).flatten(1)


class FrameEncoder(nn.Module):
    """Spectrogram -> `[B, T, hidden]` of each frame, and what the convolutions gave."""

    def __init__(self, config: IntensityConfig) -> None:
        super().__init__()
        self.convolutions = Convolutions(config)
        self.memory = Memory(self.convolutions.width, config)
        self.project = nn.Linear(2 * config.hidden, config.hidden)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, input_values: torch.Tensor, lengths: torch.Tensor, valid: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`[B, T, bins]`, `lengths` `[B]` frames of it `valid` -> `[B, T, hidden]`, `[B, T, channels x bands]`."""
        local = self.convolutions(input_values, valid)
        frames, _ = self.memory(local, lengths)
        return self.dropout(self.project(frames).relu()), local


class MovementEncoder(nn.Module):
    """The same from each band's log magnitude and how much it changed since the frame before, convolved over time.

    Ours, for what a few hundred steps can teach: on EMO-DB the change tells bored and sad speech from neutral where
    levels do not. Whether it is the voice that moves or the noise beneath it was not tried.
    """

    def __init__(self, config: IntensityConfig) -> None:
        super().__init__()
        widths = [2 * BINS] + [config.hidden] * config.over_time
        self.layers = nn.ModuleList(nn.Conv1d(*pair, 5, padding=2) for pair in itertools.pairwise(widths))
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, input_values: torch.Tensor, lengths: torch.Tensor, valid: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """As `FrameEncoder`, with `[B, T, hidden]` in both places."""
        levels = compressed(input_values)
        changes = nn.functional.pad(levels.diff(dim=1).abs(), (0, 0, 1, 0))
        hidden = torch.cat([levels / 2, changes / CHANGE - 1], dim=2).transpose(1, 2) * valid[:, None]
        for layer in self.layers:
            hidden = self.dropout(layer(hidden).relu()) * valid[:, None]
        hidden = hidden.transpose(1, 2)
        return hidden, hidden


class IntensityModel(PreTrainedModel):
    """What the two networks have in common."""

    config_class = IntensityConfig
    main_input_name = "input_values"

    def _init_weights(self, module):
        """As Keras does, in which the paper's model was written."""
        for name, weights in module.named_parameters(recurse=False):
            if "_hh_" in name or "bias" in name:
                nn.init.zeros_(weights)
            else:
                nn.init.xavier_uniform_(weights)
        if isinstance(module, nn.LSTM):
            for bias in (module.bias_ih_l0, module.bias_ih_l0_reverse):
                nn.init.ones_(bias[module.hidden_size : 2 * module.hidden_size])  # of the gate that forgets


def valid_frames(input_values: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Bool `[B, T]`."""
    return torch.arange(input_values.shape[1], device=input_values.device) < lengths[:, None]


def mean_over(values: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Mean over the valid frames: `[B, T, ...]`, bool `[B, T]` -> `[B, ...]`."""
    valid = valid.reshape(*valid.shape, *[1] * (values.dim() - 2))
    return (values * valid).sum(1) / valid.sum(1)
