"""s3prl 0.4.18's pretraining code, imported as its own runner does: from inside its folder, by bare names."""

import argparse
import sys
import types
from pathlib import Path

import s3prl
import torch

sys.path.append(str(Path(s3prl.__file__).parent))
# It draws spectrograms for TensorBoard with librosa, which nothing here needs.
sys.modules["utility.audio"] = types.SimpleNamespace(plot_spectrogram_to_numpy=None)

import optimizers  # noqa: E402
from pretrain.mockingjay import pretrain_expert as mockingjay_expert  # noqa: E402
from pretrain.mockingjay import task  # noqa: E402
from pretrain.npc import pretrain_expert as npc_expert  # noqa: E402
from upstream.mockingjay import model as transformer  # noqa: E402

MockingjayPretraining = mockingjay_expert.UpstreamPretrainExpert
MockingjayWithHead = mockingjay_expert.TransformerForMaskedAcousticModel
MockingjayHead, MockingjaySizes = transformer.TransformerSpecPredictionHead, transformer.TransformerConfig
mask_batch, positions = task.generate_masked_acoustic_model_data, task.fast_position_encoding
NpcPretraining = npc_expert.UpstreamPretrainExpert


def save_checkpoint(file, pretraining, model, settings, optimizer, **more):
    """A checkpoint as `pretrain/runner.py` writes it; `more`: further entries."""
    states = {
        "Optimizer": optimizers.get_optimizer([model], 100, optimizer).state_dict(),
        "Step": 3,
        "Args": argparse.Namespace(upstream="mine", seed=1337, multi_gpu=False, init_ckpt=None),
        "Config": {"runner": {"n_epochs": -1, "fp16": False}, "optimizer": optimizer},
        **more,
    }
    expert = types.SimpleNamespace(model=model, upstream_config=settings, multi_gpu=False)
    torch.save(pretraining.add_state_to_save(expert, states), file)


class Bomb:
    """Pickled, it creates `file` when it is loaded by a reader that runs what it reads."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return Path.touch, (self.file,)


def rough(model, seed):
    """`model` with weights so large that no part of it could go missing unnoticed."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.1 * torch.randn_like(weight)
    return model
