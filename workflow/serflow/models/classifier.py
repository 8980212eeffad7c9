"""The one head of every encoder: layers -> pooling -> standardising -> linear -> emotion."""

from dataclasses import dataclass

import torch
from torch import nn
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.utils import ModelOutput

from serflow.models import CLASSIFIER, encoder_class
from serflow.models.pooling import POOLINGS, Pooling

HEAD = ("pooling", "layers", "projection", "standardise", "frozen")  # what a system's configuration says of its head


class EmotionClassifierConfig(PreTrainedConfig):
    """`encoder`: the encoder's own config as a dict; `pooling`: a key of `POOLINGS`; `layers`: `last`, `weighted` (a
    learned weighted sum over all layers) or the number of a hidden state; `projection`: width of a linear layer
    before pooling, None for none; `standardise`: see `EmotionClassifier`; `frozen`: `nothing`, `front-end` or
    `encoder`."""

    model_type = CLASSIFIER

    encoder: dict | None = None
    pooling: str = "mean+std"
    layers: str | int = "last"
    projection: int | None = None
    standardise: bool = True
    frozen: str = "nothing"
    keys_to_ignore_at_inference = ["frame_weights"]


@dataclass
class EmotionOutput(ModelOutput):
    """`loss`: scalar; `logits` `[B, classes]`; `frame_weights` `[B, T]`: each frame's share of the utterance."""

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    frame_weights: torch.Tensor | None = None


class EmotionClassifier(PreTrainedModel):
    """An encoder under a pooled linear head, as FLEA's. SUPERB's (Yang et al. 2021) has layers `weighted`, projection
    256, pooling `mean` and the encoder frozen.

    What is pooled is standardised (ours): mean 0 and deviation 1 over the utterances of a training batch, running
    statistics at test. Pooled features vary little between utterances beside their mean, and a linear layer of small
    weights learns next to nothing from them in a few hundred steps.
    """

    config_class = EmotionClassifierConfig
    main_input_name = "input_values"

    def __init__(self, config, encoder=None):
        super().__init__(config)
        self.encoder = encoder if encoder is not None else _build(config.encoder)
        width = config.projection or self.encoder.config.hidden_size
        self.layer_weights = nn.Parameter(torch.zeros(self.encoder.config.num_hidden_layers + 1))
        projecting = config.projection is not None
        self.project = nn.Linear(self.encoder.config.hidden_size, width) if projecting else nn.Identity()
        self.pooling = Pooling(width, *POOLINGS[config.pooling])
        pooled = self.pooling.width
        self.standardise = nn.BatchNorm1d(pooled, affine=False) if config.standardise else nn.Identity()
        self.classify = nn.Linear(pooled, config.num_labels)
        self.layer_weights.requires_grad_(config.layers == "weighted")
        self._freeze()
        self.post_init()

    @classmethod
    def around(cls, encoder, classes, settings, seed):
        """A new head on `encoder`: `classes` names, `settings` with what `EmotionClassifierConfig` has of a head."""
        torch.manual_seed(seed)
        named = {
            "id2label": dict(enumerate(classes)),
            "label2id": {name: i for i, name in enumerate(classes)},
        }
        chosen = {key: settings[key] for key in HEAD if key in settings}
        return cls(EmotionClassifierConfig(encoder=encoder.config.to_dict(), **chosen, **named), encoder)

    def _init_weights(self, module):
        if module in (self.classify, self.pooling.score):
            nn.init.normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)

    def _freeze(self):
        if self.config.frozen == "encoder":
            self.encoder.requires_grad_(False)
        elif self.config.frozen == "front-end" and hasattr(self.encoder, "feature_extractor"):
            self.encoder.feature_extractor.requires_grad_(False)

    def train(self, mode=True):
        super().train(mode)
        if self.config.frozen == "encoder":
            self.encoder.eval()  # a frozen encoder has no dropout either
        return self

    def forward(self, input_values, lengths, labels=None):
        """Padded inputs of the encoder, valid `lengths` `[B]`, class numbers `labels` `[B]` -> `EmotionOutput`."""
        layers = self.config.layers
        frames = self.encoder(input_values, lengths, last_layer=layers if isinstance(layers, int) else None)
        hidden = frames.hidden_states[-1]
        if layers == "weighted":
            shares = self.layer_weights.softmax(0)
            hidden = sum(share * states for share, states in zip(shares, frames.hidden_states, strict=True))
        valid = torch.arange(hidden.shape[1], device=hidden.device) < frames.lengths[:, None]
        pooled, weights = self.pooling(self.project(hidden), valid)
        logits = self.classify(self.standardise(pooled.float()))
        loss = None if labels is None else nn.functional.cross_entropy(logits.float(), labels)
        return EmotionOutput(loss, logits, weights)


def _build(config):
    encoder = encoder_class(config["model_type"])
    return encoder(encoder.config_class.from_dict(config))


AutoConfig.register(EmotionClassifierConfig.model_type, EmotionClassifierConfig)
AutoModel.register(EmotionClassifierConfig, EmotionClassifier)
