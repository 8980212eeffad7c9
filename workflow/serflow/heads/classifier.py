"""An encoder under a head: what is fine-tuned, saved, and asked for predictions."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
import torchaudio.compliance.kaldi  # noqa: F401 (if first imported inside from_pretrained, its epsilon has no value)
from safetensors import safe_open
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.initialization import no_init_weights
from transformers.utils import ModelOutput

from serflow.audio import RATE
from serflow.errors import UserError
from serflow.features import WIDTHS
from serflow.heads import described, head_class
from serflow.models import CLASSIFIER, description, encoder_class, of_type
from serflow.normalisation import KINDS


class EmotionClassifierConfig(PreTrainedConfig):
    """`encoder`: the encoder's own config as a dict; `head`: its name, with its `options`; `layers`: which frames it
    gets, `last`, `weighted` (a learned weighted sum over all layers) or the number of a hidden state; `frozen`:
    `nothing`, `front-end` or `encoder`; `inputs`: what the encoder's are, `sampling_rate` of the audio in Hz, which
    `features` of it (or `audio`), their `normalisation` and what that keeps (see `serflow.normalisation.kept`)."""

    model_type = CLASSIFIER

    encoder: dict | None = None
    head: str = "pooled"
    options: dict | None = None
    layers: str | int = "last"
    frozen: str = "nothing"
    inputs: dict | None = None
    keys_to_ignore_at_inference = ["lengths", "frame_weights", "frame_logits", "terms", "vectors"]

    def names(self) -> list[str]:
        """The classes, in the order of the logits."""
        return [self.id2label[number] for number in range(self.num_labels)]


@dataclass
class EmotionOutput(ModelOutput):
    """As `serflow.heads.HeadOutput`; `lengths` `[B]`: frames that the head got of each utterance; `frame_logits`
    `[B, T, classes]`: what it says of the frames around each one, where that is asked for."""

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    lengths: torch.Tensor | None = None
    frame_weights: torch.Tensor | None = None
    frame_logits: torch.Tensor | None = None
    terms: dict | None = None
    vectors: dict | None = None


class EmotionClassifier(PreTrainedModel):
    """An encoder under one of `serflow.heads`."""

    config_class = EmotionClassifierConfig
    main_input_name, target = "input_values", "emotions"
    parts = 1  # in which a batch of a training goes through the encoder

    def __init__(self, config: EmotionClassifierConfig, encoder: PreTrainedModel | None = None) -> None:
        super().__init__(config)
        self.encoder = encoder if encoder is not None else _build(config.encoder)
        self.layer_weights = nn.Parameter(torch.zeros(self.encoder.config.num_hidden_layers + 1))
        self.layer_weights.requires_grad_(config.layers == "weighted")
        layers = self.encoder.config.num_hidden_layers
        if isinstance(config.layers, int) and config.layers > layers:
            raise UserError(f"layers is {config.layers}, and the encoder has {layers}: name one of those.")
        self.head = _head(config, self.encoder.config.hidden_size)
        if hasattr(self.head, "kept"):
            config.options = {**(config.options or {}), **self.head.kept}
        self._freeze()
        self.post_init()

    @classmethod
    def around(cls, encoder: PreTrainedModel, classes: list[str], settings: dict, seed: int) -> Self:
        """A new head on `encoder`: `classes` names; `settings`: those of `head, options, layers, frozen,
        normalisation` and of the schedule's `parts` that are not as usual."""
        torch.manual_seed(seed)
        named = {"id2label": dict(enumerate(classes)), "label2id": {name: i for i, name in enumerate(classes)}}
        chosen = {key: settings[key] for key in ("head", "options", "layers", "frozen") if key in settings}
        inputs = {"sampling_rate": RATE, "features": of_type(encoder.config.model_type).reads}
        inputs["normalisation"] = settings.get("normalisation", "utterance")
        told = {"encoder": encoder.config.to_dict(), "inputs": inputs}
        model = cls(EmotionClassifierConfig(**told, **chosen, **named), encoder)
        model.parts = settings.get("schedule", {}).get("parts", 1)
        return model

    def save_pretrained(self, folder: str | Path, **more: object) -> None:
        """As transformers does, with the tokenizer of a head that has read prompts beside."""
        super().save_pretrained(folder, **more)
        if getattr(self.head, "tokenizer", None) is not None:
            self.head.tokenizer.save_pretrained(folder)

    def _init_weights(self, module):
        """Encoder and head have theirs."""

    def _freeze(self):
        if self.config.frozen == "encoder":
            self.encoder.requires_grad_(False)
        elif self.config.frozen == "front-end" and hasattr(self.encoder, "feature_extractor"):
            self.encoder.feature_extractor.requires_grad_(False)

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        if self.config.frozen == "encoder":
            self.encoder.eval()  # a frozen encoder has no dropout either
        return self

    def forward(
        self,
        input_values: torch.Tensor,
        lengths: torch.Tensor,
        emotions: torch.Tensor | None = None,
        columns: dict | None = None,
        window: int | None = None,
    ) -> EmotionOutput:
        """Padded inputs of the encoder, valid `lengths` `[B]`, class numbers `emotions` `[B]` -> `EmotionOutput`.

        In training the loss is the head's, else the entropy of its logits (watched on validation speakers).
        `columns`: what the head needs beside in training, by name; those that are inputs themselves, a dict of
        `input_values` and `lengths`, are encoded as well, and reach the head as (frames, valid). `window`: tokens
        around each one that `frame_logits` are of.
        """
        encoded = {
            name: self._frames(**column) if isinstance(column, dict) else column
            for name, column in (columns or {}).items()
        }
        frames, valid = self._frames(input_values, lengths)
        learns = self.training and emotions is not None
        output = self.head(frames, valid, emotions, **encoded) if learns else self.head(frames, valid)
        if emotions is not None and not learns:
            output.loss = nn.functional.cross_entropy(output.logits.float(), emotions)
        told = {"frame_weights": output.frame_weights, "terms": output.terms, "vectors": output.vectors}
        around = self._of_frames(frames, valid, window) if window else None
        return EmotionOutput(output.loss, output.logits, valid.sum(1), frame_logits=around, **told)

    def _of_frames(self, frames, valid, window):
        """`[B, T, classes]`: the head on the `window` tokens around each one, those of the utterance alone (ours).

        It is asked once for the neighbours in a tenth of a window, whose windows are nearly the same.
        """
        size, every = 2 * (window // 2) + 1, max(1, window // 10)
        ends = size // 2, size // 2 + every
        around = nn.functional.pad(frames, (0, 0, *ends)).unfold(1, size, 1)[:, every // 2 :: every]
        known = nn.functional.pad(valid, ends).unfold(1, size, 1)[:, every // 2 :: every]
        logits = self.head(around.flatten(0, 1).transpose(1, 2), known.flatten(0, 1)).logits
        return logits.unflatten(0, known.shape[:2]).repeat_interleave(every, 1)[:, : valid.shape[1]]

    def _frames(self, input_values, lengths):
        """`[B, T, D]` of the chosen layers, and which are valid, bool `[B, T]`.

        In several `parts`, of a training, a part's activations are forgotten and made again for its gradient: the
        whole batch's frames of one layer stay in memory and the activations of one part, for the time of a second
        forward pass. Whatever a loss compares across the batch, its gradient is that of the batch in one.
        """
        if self.parts == 1 or not torch.is_grad_enabled():
            return self._encoded(input_values, lengths)
        parts = zip(input_values.chunk(self.parts), lengths.chunk(self.parts), strict=True)
        frames, valid = zip(*(checkpoint(self._encoded, *part, use_reentrant=False) for part in parts), strict=True)
        return torch.cat(frames), torch.cat(valid)

    def _encoded(self, input_values, lengths):
        layers = self.config.layers
        frames = self.encoder(input_values, lengths, last_layer=layers if isinstance(layers, int) else None)
        hidden = frames.hidden_states[-1]
        if layers == "weighted":
            shares = self.layer_weights.softmax(0)
            hidden = sum(share * states for share, states in zip(shares, frames.hidden_states, strict=True))
        return hidden, torch.arange(hidden.shape[1], device=hidden.device) < frames.lengths[:, None]


def _head(config, width):
    """The head that a config names, for frames of `width`. Raises UserError."""
    try:
        return head_class(config.head)(width, config.names(), **(config.options or {}))
    except UserError:
        raise
    except Exception as error:  # layers share no error of their own
        raise UserError(f"Head {config.head} cannot have these options ({error}): mend them.") from error


def load_classifier(folder: str | Path) -> EmotionClassifier:
    """The classifier that serflow saved in `folder`, in evaluation mode.

    Reads config.json and model.safetensors as data and nothing else, whatever they name. UserError, naming `folder`,
    for what is no whole classifier, and for weights that are no numbers.
    """
    folder = Path(folder)
    try:
        told = description(folder / "config.json")
        if told.get("model_type") != CLASSIFIER:
            raise ValueError(f"it is a '{told.get('model_type')}'")
        with safe_open(folder / "model.safetensors", "pt") as file:
            shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118 (is no dict)
            config = EmotionClassifierConfig.from_dict(told)
            for name in described(config.head).folders:  # where a model in it came from: it is here
                (config.options or {}).pop(name, None)
            encoder_class(config.encoder["model_type"]), head_class(config.head)  # imported before the device changes
            with no_init_weights(), torch.device("meta"):
                empty = EmotionClassifier(config)
            due = empty.state_dict()
            if {name: list(value.shape) for name, value in due.items()} != shapes:
                raise ValueError("config.json and model.safetensors are of different models")
            with no_init_weights():  # drawing them would take a second for HuBERT-base
                model = EmotionClassifier(config)
            weights = {name: file.get_tensor(name).to(due[name].dtype) for name in shapes}
            model.load_state_dict(weights, assign=True)
        _check(model)
    except Exception as error:  # JSON, safetensors and shape errors share no class of their own
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{folder} holds no trained system ({reason}): give a model folder of a system.") from error
    if not all(value.sum(dtype=torch.float64).isfinite() for value in weights.values()):  # no float32 overflows it
        raise UserError(f"{folder}: its weights are not all numbers: train it again, or copy it again.")
    return model.eval()


def _check(model):
    """ValueError unless classes and layers can be, what the inputs are is told, and what normalises them is there."""
    config, names, inputs = model.config, model.config.names(), model.config.inputs or {}
    if not all(isinstance(name, str) for name in names) or len({*names}) < len(names):
        raise ValueError("its classes are no different names")
    if config.layers not in ("last", "weighted", *range(model.encoder.config.num_hidden_layers + 1)):
        raise ValueError(f"layers is {config.layers}")
    if inputs.get("sampling_rate") != RATE or inputs.get("normalisation") not in KINDS:
        raise ValueError(f"config.json does not say that its inputs are of {RATE} Hz, and how they are normalised")
    if inputs["normalisation"] == "training":
        reads = of_type(config.encoder["model_type"]).reads
        for name in ("mean", "deviation"):
            values = np.asarray(inputs[name], np.float32)
            if values.shape != (() if reads == "audio" else (WIDTHS[reads],)) or not np.isfinite(values).all():
                raise ValueError(f"the {name} of its inputs is no {reads}")


def _build(config):
    encoder = encoder_class(config["model_type"])
    return encoder(encoder.config_class.from_dict(config))


AutoConfig.register(EmotionClassifierConfig.model_type, EmotionClassifierConfig)
AutoModel.register(EmotionClassifierConfig, EmotionClassifier)
