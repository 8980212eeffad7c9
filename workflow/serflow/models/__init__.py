"""Models: each file reads as its paper, and a new model is one new file here, found by its name. What in each is the
paper's and what ours, docs/methods.md tells.

What planning needs of a model stands at the top of its file, in literals that are read without importing torch:

READS      what its inputs are: `audio`, or one of the features
STACK      10 ms frames of it a token of an encoder: n of them are n // STACK tokens, and waveforms HuBERT's number
OBJECTIVE  what its pretraining has to guess, one of serflow.objectives; None where it is not pretrained; of a network
           of intensity what it learns from, one of serflow.batches.INTENSITY_BATCHES
TAKES      keys of a pretraining that it has a use for -> whether it needs them
SIZES      presets of its options by name
FIXED      fields of its config that no option may set: what its inputs or its pretraining decide

Its options are the other annotated fields of its config class, `<Model>Config`, whose `model_type` is the file's name
(with `serflow_` before it where that name may be another's). Where a `segment` and a `hop` are among them, its tokens
are segments, of so many frames and so far apart, which are not clustered or pretrained as frames are. At its end
stand the classes: `ENCODER`, frames -> frames, and `PRETRAINING` around it; or `NETWORK`, of frame-level intensity.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from serflow import registry
from serflow.errors import UserError
from serflow.frames import centres

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

CLASSIFIER = "serflow_emotion_classifier"  # a fine-tuned system, whose encoder can be taken out
TOLD = ("READS", "STACK", "OBJECTIVE", "TAKES", "SIZES")
ELSEWHERE = ("auto_map", "attn_implementation")  # where a description has transformers look for code and for kernels
MOST_LAYERS = 1000  # of a network: what claims more would take for ever to make


@dataclass(frozen=True)
class Model:
    """What a file of this package says of its model: see above. `kind`: encoder or network; `options`: name ->
    `registry.Option`."""

    name: str
    kind: str
    reads: str
    stack: int
    objective: str | None
    takes: dict
    sizes: dict
    options: dict

    @property
    def module(self) -> str:
        return f"{__name__}.{self.name.replace('-', '_')}"

    @property
    def in_segments(self) -> bool:
        """Whether its tokens are segments."""
        return {"segment", "hop"} <= set(self.options)


@cache
def models(kind: str = "encoder") -> dict[str, Model]:
    """{name: Model} of every file here that is one."""
    found = (_described(file) for file in sorted(Path(__file__).parent.glob("*.py")))
    return {model.name: model for model in found if model and model.kind == kind}


def described(name: str, kind: str = "encoder") -> Model:
    """The `Model` called `name`. Raises UserError."""
    return registry.chosen(name, models(kind), f"There is no {kind}")


def of_type(model_type: str) -> Model:
    """The `Model` of an encoder's `model_type`. Raises UserError."""
    name = str(model_type).removeprefix("serflow_").replace("_", "-")
    if name not in models():
        raise UserError(f"'{model_type}' is no encoder of serflow: use one of {', '.join(models())}.")
    return models()[name]


def check_options(model: Model, options: dict) -> None:
    """UserError where `options` has one that `model` does not take, or that is not of its type."""
    sizes = {"size": registry.Option(None, {"enum": list(model.sizes)})} if model.sizes else {}
    registry.check(options, {**sizes, **model.options}, f"Model {model.name}")


def model_of(start: dict) -> Model:
    """The `Model` of a starting point `{model, from, options}`: as it is named, or as its checkpoint says."""
    if start.get("model"):
        return described(start["model"])
    config = Path(start["from"]) / "config.json"
    if start["from"].startswith(("/", "./", "../", "~")) and not config.parent.is_dir():
        raise UserError(f"'{start['from']}' is no folder: give one made by save_pretrained, or a hub id.")
    if not config.is_file():
        raise UserError(
            f"'{start['from']}' is no checkpoint: it has no config.json (give a folder made by save_pretrained), or, "
            "for a hub id, name its model too, as in {model: hubert, from: facebook/hubert-base-ls960}."
        )
    return of_type(_encoder_type(description(config)))


def description(path: str | Path) -> dict:
    """The config.json of a model folder as data alone: without what makes transformers look elsewhere, and without
    `num_labels`, which `id2label` tells. UserError where it is none."""
    try:
        return _plain(dict(json.loads(Path(path).read_text(encoding="utf-8"))))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise UserError(
            f"{path} is no model description ({error}): give a folder made by save_pretrained."
        ) from error


def description_of(start: str | Path) -> dict:
    """The `description` of a model folder or a hub id. Raises whatever the hub does, and UserError."""
    from transformers.utils import CONFIG_NAME, cached_file

    return description(cached_file(str(start), CONFIG_NAME))


def _plain(told):
    kept = {name: value for name, value in told.items() if not name.startswith("_")}
    for name in (*ELSEWHERE, "num_labels"):
        kept.pop(name, None)
    for name, value in kept.items():
        if name.endswith("layers") and isinstance(value, int) and value > MOST_LAYERS:
            raise ValueError(f"{name} is {value}, more than a network has")
    return {name: _plain(value) if isinstance(value, dict) else value for name, value in kept.items()}


def build(name: str, options: dict, seed: int, classes: list[str] | None = None) -> PreTrainedModel:
    """A new encoder `name`, or a network of intensity for the emotions `classes` (names), with random weights from
    `seed`; `options`: a `size` and what differs from it, checked."""
    import torch

    model = described(name, "encoder" if classes is None else "network")
    check_options(model, options)
    named = {} if classes is None else {"id2label": dict(enumerate(classes)), "label2id": _numbers(classes)}
    chosen = {**model.sizes.get(options.get("size"), {}), **{key: options[key] for key in options if key != "size"}}
    made = _class(model, model.kind.upper())
    torch.manual_seed(seed)
    try:
        return made(made.config_class(**chosen, **named))
    except UserError:
        raise
    except Exception as error:  # a strict config names the option itself, layers do not
        raise UserError(f"{name} cannot have the options {options} ({error}): mend them.") from error


def pretrained(
    model: type[PreTrainedModel], start: str | Path, told: dict, **more: object
) -> tuple[PreTrainedModel, Collection[str]]:
    """(`model.from_pretrained(start)` in float32, of which `told` is the description, names of the weights that were
    not there). Raises whatever the hub, JSON and safetensors do, and ValueError for weights that are no numbers or in
    another form than safetensors: the index of a checkpoint in parts may name pickles, and transformers would go and
    read them.
    """
    import torch
    from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, cached_file

    quietly = {"_raise_exceptions_for_missing_entries": False, "_raise_exceptions_for_connection_errors": False}
    index = cached_file(str(start), SAFE_WEIGHTS_INDEX_NAME, **quietly)
    named = set(json.loads(Path(index).read_text(encoding="utf-8"))["weight_map"].values()) if index else ()
    for name in named:
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise ValueError(f"{SAFE_WEIGHTS_INDEX_NAME} names {name}, no file of safetensors beside it")
    more |= {"config": model.config_class.from_dict(told), "output_loading_info": True, "dtype": torch.float32}
    loaded, report = model.from_pretrained(start, use_safetensors=True, **more)
    missing = set(report["missing_keys"])  # whose memory may hold anything
    for name, weights in loaded.named_parameters():
        if name not in missing and not weights.isfinite().all():
            raise ValueError(f"its weights {name} are not all numbers")
    return loaded, missing


def load_encoder(start: str) -> PreTrainedModel:
    """The encoder of a `save_pretrained` folder or a hub id, that of a classifier too.

    UserError, naming `start`, for anything else.
    """
    folder = Path(start)
    if folder.exists() and not (folder / "config.json").is_file():
        raise UserError(f"{start} is no checkpoint: it has no config.json (give a folder made by save_pretrained).")
    try:
        told, inner = description_of(start), {}
        model = encoder_class(_encoder_type(told))
        if told["model_type"] == CLASSIFIER:
            told, inner = told["encoder"], {"key_mapping": {r"^encoder\.": ""}}
        encoder, missing = pretrained(model, start, told, **inner)
    except UserError:
        raise
    except Exception as error:  # hub, JSON, safetensors and shape errors share no class of their own
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"The encoder '{start}' cannot be loaded ({reason}): give a folder made by save_pretrained with "
            "safetensors weights, or a hub id this machine can reach or has cached."
        ) from error
    missing = sorted(name for name in missing if "masked_spec_embed" not in name)
    if missing:
        raise UserError(
            f"The encoder '{start}' lacks {len(missing)} weights, such as {missing[0]}: give a complete checkpoint."
        )
    bins, ours = (getattr(config, "input_size", None) for config in (encoder.config, type(encoder.config)()))
    if bins != ours:  # a config's default is what serflow extracts for it
        raise UserError(
            f"The encoder '{start}' reads {bins} bins a frame, and serflow has {ours}: give one that "
            "was pretrained on these."
        )
    return encoder


def encoder_at(start: dict, seed: int) -> PreTrainedModel:
    """The encoder of a starting point `{model, from, options}`: loaded where it is from somewhere, else new."""
    if not start["from"]:
        return build(start["model"], start["options"], seed)
    encoder = load_encoder(start["from"])
    found = of_type(encoder.config.model_type).name
    if start.get("model") not in (None, found):
        raise UserError(f"'{start['from']}' is a {found}, not a {start['model']}: name its model so.")
    return encoder


def token_hop(config: PreTrainedConfig) -> float:
    """Seconds from one token to the next of the encoder of a config."""
    kind = of_type(config.model_type)
    return (config.hop if kind.in_segments else kind.stack) / 100


def token_times(config: PreTrainedConfig, count: int, seconds: float) -> np.ndarray:
    """Where, in s, the centres of the `count` tokens of an utterance of `seconds` are."""
    if not of_type(config.model_type).in_segments:
        return centres(count, token_hop(config))
    half = min(config.segment / 100, seconds) / 2
    return np.minimum(half + token_hop(config) * np.arange(count), seconds - half)  # the last ends with the utterance


def encoder_class(model_type: str) -> type[PreTrainedModel]:
    """The encoder class of a `model_type`; UserError for one that serflow does not know."""
    return _class(of_type(model_type), "ENCODER")


def pretraining_class(model_type: str) -> type[PreTrainedModel]:
    """The class that pretrains encoders of a `model_type`."""
    return _class(of_type(model_type), "PRETRAINING")


def network_class(name: str) -> type[PreTrainedModel]:
    """The class of the intensity network `name`."""
    return _class(described(name, "network"), "NETWORK")


def _numbers(names):
    return {name: number for number, name in enumerate(names)}


def _class(model, role):
    return getattr(importlib.import_module(model.module), role)


def _described(file):
    """The `Model` in a file, None for a file without."""
    kind = next((role.lower() for role in ("ENCODER", "NETWORK") if role in registry.assigned(file)), None)
    if kind is None:
        return None
    told = {"OBJECTIVE": None, "TAKES": {}, "SIZES": {}} | registry.constants(file, TOLD)
    fixed = registry.constants(file, ["FIXED"]).get("FIXED", ())
    options = {name: option for name, option in registry.fields(file, "Config").items() if name not in fixed}
    return Model(file.stem.replace("_", "-"), kind, *(told[name] for name in TOLD), options)


def _encoder_type(told):
    """The `model_type` of an encoder's config, or of that inside a classifier's."""
    told = told.get("encoder") if told.get("model_type") == CLASSIFIER else told
    return told.get("model_type") if isinstance(told, dict) else None
