"""No network at all: features as they are, under the same head as every encoder (SUPERB's fbank baseline)."""

import torch
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel

from serflow.models.outputs import EncoderFrames, valid_frames

READS, STACK, OBJECTIVE = "fbank_deltas", 1, None
FIXED = ("hidden_size", "num_hidden_layers")


class FramesConfig(PreTrainedConfig):
    model_type = "frames"

    hidden_size: int = 240  # width of the features
    num_hidden_layers: int = 0


class Frames(PreTrainedModel):
    """An encoder without weights that gives back what it reads."""

    config_class = FramesConfig
    main_input_name = "input_values"

    def __init__(self, config: FramesConfig) -> None:
        super().__init__(config)
        self.post_init()

    def forward(
        self,
        input_values: torch.Tensor,
        lengths: torch.Tensor | None = None,
        mask: torch.Tensor | None = None,
        last_layer: int | None = None,
    ) -> EncoderFrames:
        """`[B, T, D]`, valid frames `[B]` or None (all) -> `EncoderFrames` whose one hidden state is the input."""
        lengths, _ = valid_frames(input_values, lengths)
        return EncoderFrames(hidden_states=(input_values,), lengths=lengths, features=input_values)


AutoConfig.register(FramesConfig.model_type, FramesConfig)
AutoModel.register(FramesConfig, Frames)
ENCODER = Frames
