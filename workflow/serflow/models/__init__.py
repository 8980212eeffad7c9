"""Models: each file reads as its paper. Loaded by name, so that a change in one concerns only its users."""

import importlib
import json
from pathlib import Path

from serflow.errors import UserError

CLASSIFIER = "serflow_emotion_classifier"  # a fine-tuned system, whose encoder can be taken out
ENCODERS = {  # config's model_type -> where its class is
    "hubert": ("serflow.models.hubert", "FrameHubert"),
    "mel_hubert": ("serflow.models.hubert", "FrameMelHubert"),
}


def encoder_class(model_type):
    """The encoder class of a `model_type`; UserError for one that serflow does not know."""
    if model_type not in ENCODERS:
        raise UserError(f"'{model_type}' is no encoder of serflow: use one of {', '.join(ENCODERS)}.")
    module, name = ENCODERS[model_type]
    return getattr(importlib.import_module(module), name)


def input_features(start):
    """What the encoder named by `start` (`scratch:<size>`, a folder or a hub id) reads: `audio` or `fbank`."""
    if start.startswith("scratch:"):
        return "fbank" if start.startswith("scratch:mel-") else "audio"
    description = Path(start) / "config.json"
    if description.is_file():
        return "fbank" if _description(description).get("model_type") == "mel_hubert" else "audio"
    return "audio"


def load_encoder(start, seed=0):
    """The encoder that `start` names: `scratch:<size>` (weights from `seed`), a `save_pretrained` folder, a hub id.

    Only safetensors are read. UserError, naming `start`, for anything else.
    """
    if start.startswith("scratch:"):
        return _from_scratch(start.removeprefix("scratch:"), seed)
    folder = Path(start)
    if folder.exists() and not (folder / "config.json").is_file():
        raise UserError(f"{start} is no checkpoint: it has no config.json (give a folder made by save_pretrained).")
    try:
        model_type = _description(folder / "config.json").get("model_type") if folder.exists() else _on_hub(start)
        if model_type == CLASSIFIER:
            from serflow.models.classifier import EmotionClassifier as model
        else:
            model = encoder_class(model_type)
        loaded, report = model.from_pretrained(start, use_safetensors=True, output_loading_info=True)
    except UserError:
        raise
    except Exception as error:  # hub, JSON, safetensors and shape errors share no class of their own
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"The encoder '{start}' cannot be loaded ({reason}): give a folder made by save_pretrained with "
            "safetensors weights, a hub id this machine can reach or has cached, or scratch:<size>."
        ) from error
    missing = sorted(name for name in report["missing_keys"] if "masked_spec_embed" not in name)
    if missing:
        raise UserError(
            f"The encoder '{start}' lacks {len(missing)} weights, such as {missing[0]}: give a complete checkpoint."
        )
    return loaded.encoder if model_type == CLASSIFIER else loaded


def _on_hub(name):
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(name).model_type


def _from_scratch(size, seed):
    import torch

    from serflow.models.hubert import SIZES

    if size not in SIZES:
        raise UserError(f"'scratch:{size}' names no size: use one of {', '.join(SIZES)}.")
    torch.manual_seed(seed)
    config = SIZES[size]()
    return encoder_class(config.model_type)(config)


def _description(path):
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            f"{path} is no model description ({error}): give a folder made by save_pretrained."
        ) from error
