"""Models: each file reads as its paper. Loaded by name, so that a change in one concerns only its users."""

import importlib
import json
from dataclasses import dataclass
from pathlib import Path

from serflow.errors import UserError

CLASSIFIER = "serflow_emotion_classifier"  # a fine-tuned system, whose encoder can be taken out


@dataclass(frozen=True)
class Family:
    """Encoders of one kind. `module` of this package with the classes of `encoder` and `pretraining`; the feature it
    `reads`; `stack`: 10 ms frames a token; the `objective` of its pretraining, one of `serflow.objectives`."""

    module: str
    encoder: str
    reads: str
    stack: int
    pretraining: str | None = None
    objective: str | None = None


FAMILIES = {  # by the model_type in a checkpoint's config
    "hubert": Family("hubert", "FrameHubert", "audio", 2, "HubertForMaskedPrediction", "units"),
    "mel_hubert": Family("hubert", "FrameMelHubert", "fbank", 2, "HubertForMaskedPrediction", "units"),
    "mockingjay": Family(
        "mockingjay", "MockingjayModel", "fbank_deltas", 1, "MockingjayForReconstruction", "masked frames"
    ),
    "npc": Family("npc", "NpcModel", "fbank_hamming", 1, "NpcForReconstruction", "frames"),
    "frames": Family("frames", "Frames", "fbank_deltas", 1),
}
SCRATCH = {  # scratch:<size> -> model_type; what a size is stands in SIZES of its module
    **dict.fromkeys(("mel-tiny", "mel-small", "mel-medium"), "mel_hubert"),
    **dict.fromkeys(("wave-tiny", "wave-small", "wave-medium", "wave-base"), "hubert"),
    **dict.fromkeys(("mockingjay-small", "mockingjay-base"), "mockingjay"),
    **dict.fromkeys(("npc-small", "npc-base"), "npc"),
    "fbank": "frames",
}


def family(start):
    """The `Family` of the encoder named by `start`: `scratch:<size>`, a folder or a hub id (HuBERT's, unseen)."""
    if start.startswith("scratch:"):
        size = start.removeprefix("scratch:")
        if size not in SCRATCH:
            raise UserError(f"'{start}' names no size: use one of {', '.join(SCRATCH)}.")
        return FAMILIES[SCRATCH[size]]
    if start.startswith(("/", "./", "../", "~")) and not Path(start).is_dir():
        raise UserError(f"The encoder '{start}' is no folder: give one made by save_pretrained, or a hub id.")
    if not (Path(start) / "config.json").is_file():
        return FAMILIES["hubert"]
    description = _description(Path(start) / "config.json")
    if description.get("model_type") == CLASSIFIER:
        description = description["encoder"]
    return _family_of_type(description.get("model_type"))


def _family_of_type(model_type):
    if model_type not in FAMILIES:
        raise UserError(f"'{model_type}' is no encoder of serflow: use one of {', '.join(FAMILIES)}.")
    return FAMILIES[model_type]


def _class(kind, name):
    return getattr(importlib.import_module(f"serflow.models.{kind.module}"), name)


def encoder_class(model_type):
    """The encoder class of a `model_type`; UserError for one that serflow does not know."""
    kind = _family_of_type(model_type)
    return _class(kind, kind.encoder)


def pretraining_class(model_type):
    """The class that pretrains encoders of a `model_type`."""
    kind = _family_of_type(model_type)
    return _class(kind, kind.pretraining)


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
    encoder = loaded.encoder if model_type == CLASSIFIER else loaded
    bins, ours = (getattr(config, "input_size", None) for config in (encoder.config, type(encoder.config)()))
    if bins != ours:  # a config's default is what serflow extracts for it
        raise UserError(
            f"The encoder '{start}' reads {bins} bins a frame, and serflow has {ours}: give one that "
            "was pretrained on these."
        )
    return encoder


def _on_hub(name):
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(name).model_type


def _from_scratch(size, seed):
    import torch

    kind = family(f"scratch:{size}")
    torch.manual_seed(seed)
    return _class(kind, kind.encoder)(_class(kind, "SIZES")[size]())


def _description(path):
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            f"{path} is no model description ({error}): give a folder made by save_pretrained."
        ) from error
