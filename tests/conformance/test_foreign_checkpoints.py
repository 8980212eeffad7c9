"""HuBERT checkpoints of torchaudio and fairseq against torchaudio's own forward, and that nothing in them is run."""

import os
import pickle
import re
import sys
import types

import pytest
import torch
from torchaudio.models import hubert_pretrain_model, wav2vec2_model
from transformers import HubertModel

from serflow.cli import main
from serflow.errors import UserError
from serflow.export import import_hubert
from serflow.models import load_encoder
from serflow.models.fairseq import read

HEADS = 4
CONVOLUTIONS = [(16, 10, 5), *[(24, 3, 2)] * 4, *[(16, 2, 2)] * 2]
SIZES = {
    "extractor_conv_layer_config": CONVOLUTIONS, "encoder_embed_dim": 32, "encoder_projection_dropout": 0.0,
    "encoder_pos_conv_kernel": 16, "encoder_pos_conv_groups": 4, "encoder_num_layers": 3,
    "encoder_num_heads": HEADS, "encoder_attention_dropout": 0.0, "encoder_ff_interm_features": 48,
    "encoder_ff_interm_dropout": 0.0, "encoder_dropout": 0.0, "encoder_layer_drop": 0.0,
}  # fmt: skip
BASE = {"extractor_mode": "group_norm", "extractor_conv_bias": False, "encoder_layer_norm_first": False}
LARGE = {"extractor_mode": "layer_norm", "extractor_conv_bias": True, "encoder_layer_norm_first": True}
BOTH = pytest.mark.parametrize("kind", [BASE, LARGE], ids=["base", "large"])

FAIRSEQ = [  # torchaudio's names -> fairseq's, as published
    (r"^encoder\.feature_projection\.layer_norm\.", "layer_norm."),
    (r"^encoder\.feature_projection\.projection\.", "post_extract_proj."),
    (r"^encoder\.transformer\.", "encoder."),
    (r"encoder\.pos_conv_embed\.conv\.", "encoder.pos_conv.0."),
    (r"parametrizations\.weight\.original0", "weight_g"),
    (r"parametrizations\.weight\.original1", "weight_v"),
    (r"(layers\.\d+)\.attention\.", r"\1.self_attn."),
    (r"(encoder\.layers\.\d+)\.layer_norm\.", r"\1.self_attn_layer_norm."),
    (r"feed_forward\.intermediate_dense\.", "fc1."),
    (r"feed_forward\.output_dense\.", "fc2."),
    (r"(conv_layers\.\d+)\.conv\.", r"\1.0."),
]


def theirs(kind, seed=0):
    """torchaudio's model, no weight of which is what it starts with."""
    torch.manual_seed(seed)
    model = wav2vec2_model(**SIZES, **kind, aux_num_out=None).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.05)
    return model


def fairseq_names(model, kind):
    norm = r"\1.2.1." if kind is LARGE else r"\1.2."
    found = {}
    for name, value in model.state_dict().items():
        for ours, published in [*FAIRSEQ, (r"(conv_layers\.\d+)\.layer_norm\.", norm)]:
            name = re.sub(ours, published, name)
        found[name] = value
    return found


class Dictionary:
    """As fairseq.data.dictionary.Dictionary, which its checkpoints hold in the state of their task."""

    def __init__(self):
        self.symbols, self.count, self.indices = ["<s>", "0"], [1, 1], {"<s>": 0, "0": 1}


class Bomb:
    """Makes a folder where it is unpickled."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call[0], self.call[1:]


Dictionary.__module__ = "fairseq.data.dictionary"


def fairseq_checkpoint(file, model, kind, **more):
    """The container that fairseq 0.10.2's `save_state` writes."""
    weights = fairseq_names(model, kind) | {
        "mask_emb": torch.arange(32.0),
        "label_embs_concat": torch.zeros(504, 16),
        "final_proj.weight": torch.zeros(16, 32),
        "final_proj.bias": torch.zeros(16),
    }
    settings = {"_name": "hubert", "encoder_attention_heads": HEADS, "layer_norm_first": kind is LARGE}
    states = {
        "args": None,
        "cfg": {"common": {"seed": 1337}, "task": {"normalize": False}, "model": settings},
        "model": weights,
        "criterion": {},
        "optimizer_history": [{"num_updates": 400000, "lr_scheduler_state": {"best": None}}],
        "task_state": {"dictionaries": [Dictionary()]},
        "extra_state": {"train_iterator": {"epoch": 1}},
        "last_optimizer_state": None,
        **more,
    }
    module = types.ModuleType("fairseq.data.dictionary")
    module.Dictionary = Dictionary
    names = {"fairseq": types.ModuleType("fairseq"), "fairseq.data": types.ModuleType("fairseq.data")}
    sys.modules.update({**names, "fairseq.data.dictionary": module})
    try:
        torch.save(states, file)
    finally:
        for name in (*names, "fairseq.data.dictionary"):
            del sys.modules[name]
    return file


def assert_equal(ours, model):
    wave = torch.randn(2, 6000)
    with torch.no_grad():
        states, last = ours(wave).hidden_states, model(wave)[0]
        layers = model.extract_features(wave)[0]
    assert len(states) == 1 + len(layers) == 4
    for state, other in zip(states[1:-1], layers, strict=False):
        torch.testing.assert_close(state, other, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(states[-1], last, atol=1e-5, rtol=1e-5)


@BOTH
def test_torchaudio_s_state_dict_gives_torchaudio_s_layers(kind, tmp_path):
    model = theirs(kind)
    torch.save(model.state_dict(), tmp_path / "theirs.pth")
    main(["import", str(tmp_path / "theirs.pth"), str(tmp_path / "ours"), "--heads", str(HEADS)])
    assert_equal(load_encoder(str(tmp_path / "ours")).eval(), model)
    plain, told = HubertModel.from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(told.values()) and plain.config.do_stable_layer_norm == (kind is LARGE)


def test_torchaudio_s_older_names_and_files_are_read(tmp_path):
    """`weight_g` and `weight_v` of the published files, and the format before zip."""
    model = theirs(BASE)
    older = {
        name.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): value
        for name, value in model.state_dict().items()
    }
    torch.save(older, tmp_path / "theirs.pth", _use_new_zipfile_serialization=False)
    import_hubert(tmp_path / "theirs.pth", tmp_path / "ours", HEADS)
    assert_equal(load_encoder(str(tmp_path / "ours")).eval(), model)


def test_torchaudio_s_pretraining_model_brings_its_mask(tmp_path):
    names = {"encoder_ff_interm_features": 48, **SIZES, **BASE}
    model = hubert_pretrain_model(
        **names, mask_prob=0.8, mask_selection="static", mask_other=0.0, mask_length=10, no_mask_overlap=False,
        mask_min_space=1, mask_channel_prob=0.0, mask_channel_selection="static", mask_channel_other=0.0,
        mask_channel_length=10, no_mask_channel_overlap=False, mask_channel_min_space=1, skip_masked=False,
        skip_nomask=False, num_classes=5, final_dim=16, feature_grad_mult=0.1,
    ).eval()  # fmt: skip
    torch.save(model.state_dict(), tmp_path / "theirs.pth")
    import_hubert(tmp_path / "theirs.pth", tmp_path / "ours", HEADS)
    ours = load_encoder(str(tmp_path / "ours")).eval()
    assert_equal(ours, model.wav2vec2)
    assert torch.equal(ours.masked_spec_embed, model.mask_generator.mask_embedding)


@BOTH
def test_fairseq_s_checkpoint_gives_the_same_layers(kind, tmp_path):
    model = theirs(kind)
    file = fairseq_checkpoint(tmp_path / "theirs.pt", model, kind)
    with pytest.raises(pickle.UnpicklingError, match=r"fairseq\.data\.dictionary\.Dictionary"):
        torch.load(file, weights_only=True)  # why `Unread` exists
    import_hubert(file, tmp_path / "ours")
    ours = load_encoder(str(tmp_path / "ours")).eval()
    assert_equal(ours, model)
    assert torch.equal(ours.masked_spec_embed, torch.arange(32.0))


def test_nothing_in_a_checkpoint_is_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = theirs(BASE)
    harmless = Bomb(exec, "import os; os.mkdir('exploded')")  # becomes an `Unread`
    assert_equal(load_read(fairseq_checkpoint("one.pt", model, BASE, extra_state={"bomb": harmless})), model)
    refused = Bomb(os.mkdir, "exploded")  # of os, nothing can be named at all
    with pytest.raises(UserError, match="two.pt cannot be read"):
        read(fairseq_checkpoint("two.pt", model, BASE, extra_state={"bomb": refused}))
    assert sorted(os.listdir()) == ["one.pt", "ours", "two.pt"]


def load_read(file):
    import_hubert(file, "ours")
    return load_encoder("./ours").eval()


def test_the_same_file_gives_the_same_folder(tmp_path):
    torch.save(theirs(BASE).state_dict(), tmp_path / "theirs.pth")  # without an embedding for masked tokens
    for name in ("one", "two"):
        import_hubert(tmp_path / "theirs.pth", tmp_path / name, HEADS)
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two")]
    assert files[0] == files[1]


def test_what_is_no_such_checkpoint_is_told(tmp_path):
    weights = theirs(BASE).state_dict()
    torch.save(weights, tmp_path / "unpublished.pth")
    torch.save({"weight": torch.zeros(2)}, tmp_path / "other.pth")
    torch.save(weights | {"encoder.extra": torch.zeros(1)}, tmp_path / "more.pth")
    (tmp_path / "text.pth").write_text("nothing")
    wrong = fairseq_checkpoint(tmp_path / "wrong.pt", theirs(BASE), LARGE)
    sentences = {
        "unpublished.pth": "attention heads a network of width 32 has: give --heads",
        "other.pth": "cannot be read as a HuBERT",
        "more.pth": "encoder.extra",
        "text.pth": "cannot be read as a HuBERT",
        wrong.name: "layer_norm_first",
        "none.pth": "No such file",
    }
    for name, sentence in sentences.items():
        with pytest.raises(UserError, match=sentence):
            import_hubert(tmp_path / name, tmp_path / "ours", None if name == "unpublished.pth" else HEADS)
    assert not (tmp_path / "ours").exists()
