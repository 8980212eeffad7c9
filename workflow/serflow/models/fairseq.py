"""HuBERT checkpoints of fairseq (Hsu et al. 2021) and of torchaudio, read as data: nothing in them is ever run."""

import pickle
import re
import zipfile
from pathlib import Path

import torch
from transformers import HubertConfig, HubertModel

from serflow.errors import UserError

NAMES = {  # in the order in which they are replaced; fairseq's, then torchaudio's, then what both share
    r"^(feature_extractor\.conv_layers\.\d+)\.0\.": r"\1.conv.",
    r"^(feature_extractor\.conv_layers\.\d+)\.2\.(1\.)?": r"\1.layer_norm.",
    r"^layer_norm\.": "feature_projection.layer_norm.",
    r"^post_extract_proj\.": "feature_projection.projection.",
    r"^encoder\.pos_conv\.0\.": "encoder.pos_conv_embed.conv.",
    r"\.self_attn\.": ".attention.",
    r"\.self_attn_layer_norm\.": ".layer_norm.",
    r"\.fc1\.": ".feed_forward.intermediate_dense.",
    r"\.fc2\.": ".feed_forward.output_dense.",
    r"^mask_emb$": "masked_spec_embed",
    r"^wav2vec2\.": "",
    r"^encoder\.feature_projection\.": "feature_projection.",
    r"^encoder\.transformer\.": "encoder.",
    r"^mask_generator\.mask_embedding$": "masked_spec_embed",
    r"\.conv\.weight_g$": ".conv.parametrizations.weight.original0",
    r"\.conv\.weight_v$": ".conv.parametrizations.weight.original1",
}
OF_A_TASK = ("final_proj.", "label_embs_concat", "logit_generator.", "aux.")  # what stood on the encoder
KERNELS, STRIDES = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)
HEADS = {768: 12, 1024: 16, 1280: 16}  # of base, large and extra large by their width: no weight tells it


class Unread:
    """Stands in for every class or function that a checkpoint names: made and filled like it, and holds nothing."""

    def __new__(cls, *given: object) -> "Unread":
        return super().__new__(cls)

    def __init__(self, *given: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


def read(file: str | Path, heads: int | None = None) -> HubertModel:
    """The encoder in a checkpoint of fairseq's HuBERT pretraining, or in the state dict of a model that
    `torchaudio.models.hubert_base` and its like make.

    Its sizes are those of its weights; `heads`: attention heads of a layer, None = as fairseq's settings say, else
    those of the published model of its width. A state dict that holds no embedding for masked tokens gets a random
    one, always the same. Raises UserError, naming `file`, for anything else.
    """
    try:
        states = _loaded(file)
        weights = _renamed(states.get("model", states))
        config = _config(weights, _settings(states), heads)
        torch.manual_seed(0)
        model = HubertModel(config)
        weights.setdefault("masked_spec_embed", model.masked_spec_embed.detach())
        model.load_state_dict(weights)
    except UserError:
        raise
    except (
        OSError,
        EOFError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
        RuntimeError,
        pickle.UnpicklingError,
    ) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise UserError(
            f"{file} cannot be read as a HuBERT of fairseq or torchaudio ({reason}): give fairseq's checkpoint of a "
            "pretraining, or the state dict of torchaudio's model."
        ) from error
    return model.eval()


def _loaded(file):
    """What a file holds, its tensors and plain containers; what else it names is `Unread`."""
    named = torch.serialization.get_unsafe_globals_in_checkpoint(file) if zipfile.is_zipfile(file) else []
    with torch.serialization.safe_globals([(Unread, name) for name in named]):
        return torch.load(file, map_location="cpu", weights_only=True)


def _settings(states):
    """fairseq's settings of the model, where they are plain."""
    told = states.get("cfg")
    model = told.get("model") if isinstance(told, dict) else None
    return model if isinstance(model, dict) else {}


def _renamed(weights):
    """Weights by transformers' names, float32."""
    found = {}
    for name, value in weights.items():
        if name.startswith(OF_A_TASK):
            continue
        for theirs, ours in NAMES.items():
            name = re.sub(theirs, ours, name)
        found[name] = value.float()
    return found


def _config(weights, settings, heads):
    """The sizes that weights have. ValueError where their settings name another network."""
    convolutions = [weights[f"feature_extractor.conv_layers.{number}.conv.weight"] for number in range(len(STRIDES))]
    kernels = tuple(one.shape[2] for one in convolutions)
    if kernels != KERNELS:
        raise ValueError(f"convolutions of {kernels} samples, and HuBERT has {KERNELS}")
    width = len(weights["feature_projection.projection.weight"])
    position = weights["encoder.pos_conv_embed.conv.parametrizations.weight.original1"]
    layered = "feature_extractor.conv_layers.1.layer_norm.weight" in weights
    if settings.get("layer_norm_first", layered) != layered:
        raise ValueError("layer_norm_first goes with the norm of the convolutions in HuBERT, and here it does not")
    heads = heads or settings.get("encoder_attention_heads") or HEADS.get(width)
    if heads is None:
        raise UserError(f"No weight tells how many attention heads a network of width {width} has: give --heads.")
    return HubertConfig(
        hidden_size=width,
        num_hidden_layers=len({name.split(".")[2] for name in weights if name.startswith("encoder.layers.")}),
        num_attention_heads=heads,
        intermediate_size=len(weights["encoder.layers.0.feed_forward.intermediate_dense.weight"]),
        conv_dim=tuple(len(one) for one in convolutions),
        conv_kernel=KERNELS,
        conv_stride=STRIDES,
        conv_bias="feature_extractor.conv_layers.0.conv.bias" in weights,
        feat_extract_norm="layer" if layered else "group",
        do_stable_layer_norm=layered,
        num_conv_pos_embeddings=position.shape[2],
        num_conv_pos_embedding_groups=width // position.shape[1],
    )
