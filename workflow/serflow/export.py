"""Models for use without serflow, and models from elsewhere for use with it: folders of transformers' own classes, or
an ONNX graph where transformers has no class."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForAudioClassification,
    PreTrainedConfig,
    PreTrainedModel,
    Wav2Vec2FeatureExtractor,
)

from serflow.artifacts import replacing
from serflow.audio import RATE
from serflow.errors import UserError
from serflow.heads.classifier import EmotionClassifier, load_classifier
from serflow.models import CLASSIFIER, description, fairseq, load_encoder, of_type

NEVER = -1e4  # the logit of a layer that has no share: exactly 0 after a softmax in float32


def export(folder: str | Path, target: str | Path, onnx: bool = False) -> None:
    """Write the model that serflow saved as `folder` to the new folder `target`, for transformers alone or, with
    `onnx`, for ONNX Runtime; prints what the folder cannot hold.

    Raises UserError for a `folder` that holds no model, a `target` that exists, and a model that has no such form.
    """
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder} is no model folder: give one that holds config.json and model.safetensors.")
    with _new(target) as temporary:
        model, kind = _loaded(folder), _normalisation(folder)
        if onnx:
            from serflow import graphs

            graphs.write(model, _reads(model), temporary / "model.onnx", kind == "utterance")
        else:
            plain(model, folder).save_pretrained(temporary)
            _feature_extractor(_encoder(model).config, kind == "utterance").save_pretrained(temporary)
    if kind != "utterance":
        whose = "all utterances of their speaker"
        if kind == "training":
            whose = f"the speakers it was trained on ({folder / 'config.json'} has those of a system)"
        print(
            f"{folder} reads inputs normalised by mean and deviation of {whose}: {target} normalises nothing, so "
            "give it inputs that are."
        )


def import_hubert(file: str | Path, target: str | Path, heads: int | None = None) -> None:
    """Write the HuBERT in a checkpoint of fairseq or torchaudio to the new folder `target`, which serflow and
    transformers load; `heads`: see `serflow.models.fairseq.read`. Raises UserError."""
    with _new(target) as temporary:
        fairseq.read(file, heads).save_pretrained(temporary)


def plain(model: PreTrainedModel, folder: str | Path) -> PreTrainedModel:
    """The same network as a class of transformers; UserError, naming `folder`, where there is none."""
    encoder = _encoder(model)
    if _reads(model) != "audio":
        raise UserError(
            f"{folder} reads features that serflow extracts, and transformers has no class for its encoder "
            f"({encoder.config.model_type}): export it with --onnx."
        )
    if encoder is model:
        return _filled(AutoModel.from_config(_plain_config(encoder)), encoder.state_dict())
    config, head = model.config, model.head
    if config.head != "pooled" or head.pooling.score is not None or head.pooling.deviations:
        has = "attention or deviations in its pooling" if config.head == "pooled" else f"the head {config.head}"
        raise UserError(
            f"{folder} has {has}, and transformers classifies audio by the mean over frames alone: export it with "
            "--onnx."
        )
    layers, shares = _layers(model)
    # Of the states that are summed the last is the one behind the last norm, as in serflow.
    summed = {"use_weighted_layer_sum": shares is not None, "tie_last_hidden_states": True}
    names = {"id2label": config.id2label, "label2id": config.label2id, "classifier_proj_size": _width(head)}
    made = AutoModelForAudioClassification.from_config(
        _plain_config(encoder, num_hidden_layers=layers, **summed, **names)
    )
    weights = {f"{made.base_model_prefix}.{name}": value for name, value in encoder.state_dict().items()}
    weights |= {"layer_weights": shares, **_projector(head), **_classifier(head)}
    return _filled(made, weights)


def _layers(model):
    """How many layers are needed, and the logits of their shares, `[layers + 1]`, or None: the last alone counts."""
    chosen, config = model.config.layers, model.encoder.config
    if chosen == "weighted":
        return config.num_hidden_layers, model.layer_weights
    if chosen in ("last", config.num_hidden_layers):
        return config.num_hidden_layers, None
    if not config.do_stable_layer_norm:
        return chosen, None
    # The norm behind the last layer would be one too many: one layer more, which counts for nothing, takes it.
    return chosen + 1, torch.full((chosen + 2,), NEVER).index_fill(0, torch.tensor(chosen), 0.0)


def _width(head):
    return head.classify.in_features


def _projector(head):
    """Weights of the projection of frames; the identity where the head has none."""
    if isinstance(head.project, nn.Linear):
        weight, bias = head.project.weight, head.project.bias
    else:
        weight, bias = torch.eye(_width(head)), torch.zeros(_width(head))
    return {"projector.weight": weight, "projector.bias": bias}


def _classifier(head):
    """Weights of the linear layer, on what is not standardised."""
    weight, bias = head.classify.weight.double(), head.classify.bias.double()
    if isinstance(head.standardise, nn.BatchNorm1d):
        norm = head.standardise
        weight = weight / (norm.running_var.double() + norm.eps).sqrt()
        bias = bias - weight @ norm.running_mean.double()
    return {"classifier.weight": weight.float(), "classifier.bias": bias.float()}


def _filled(made, weights):
    """`made` with its part of `weights`: serflow's encoders can always be masked, transformers' not."""
    made.load_state_dict({name: weights[name] for name in made.state_dict()})
    return made.eval()


def _plain_config(encoder: PreTrainedModel, **changed: object) -> PreTrainedConfig:
    """The encoder's config as transformers' class has it, without what serflow adds."""
    config = AutoConfig.for_model(encoder.config.model_type)
    known = config.to_dict().keys() - {"architectures", "model_type", "transformers_version"}
    kept = {name: value for name, value in encoder.config.to_dict().items() if name in known}
    return type(config)(**kept | changed)


def _feature_extractor(config, normalise):
    """Encoders whose first norm is one over time were trained without a mask of the padding."""
    return Wav2Vec2FeatureExtractor(
        sampling_rate=RATE, do_normalize=normalise, return_attention_mask=config.feat_extract_norm == "layer"
    )


def _loaded(folder):
    """The encoder or the classifier in a folder."""
    if description(folder / "config.json").get("model_type") == CLASSIFIER:
        return load_classifier(folder)
    return load_encoder(str(folder)).eval()


def _encoder(model):
    return model.encoder if isinstance(model, EmotionClassifier) else model


def _reads(model):
    return of_type(_encoder(model).config.model_type).reads


def _normalisation(folder):
    """Over whom the inputs were normalised, see serflow.normalisation; as checkpoints do where nothing is told."""
    told, note = description(folder / "config.json").get("inputs"), folder / "made.json"  # a classifier's; another's
    try:
        if told is None:
            made = json.loads(note.read_text(encoding="utf-8")) if note.is_file() else {}
            told = made.get("settings", {}).get("settings", {})
        return told.get("normalisation", "utterance")
    except (ValueError, AttributeError) as error:
        raise UserError(f"{note} does not tell what made the model ({error}): copy the folder again.") from error


@contextlib.contextmanager
def _new(target: str | Path) -> Iterator[Path]:
    """Yield a folder that becomes `target`, whole or not at all; UserError where that exists."""
    if os.path.lexists(target):
        raise UserError(f"{target} exists already: name a folder that does not, or remove it.")
    with replacing(target) as temporary:
        temporary.mkdir()
        yield temporary
