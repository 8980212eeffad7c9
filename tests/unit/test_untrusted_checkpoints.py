"""Checkpoints from elsewhere: safetensors with numbers in them, or one sentence and nothing read."""

import json

import pytest
import torch
from tests.unit.test_export import classifier
from transformers import RobertaConfig, RobertaModel

from serflow.errors import UserError
from serflow.export import export
from serflow.heads.prompts import SMALL, small_tokenizer, text_tower
from serflow.intensity import load
from serflow.models import build, load_encoder

PROMPTS = {"anger": ["anger"], "joy": ["joy"]}
READERS = {  # name -> (what writes its folder, what reads it)
    "encoder": (lambda folder: build("mel-hubert", {"size": "tiny"}, 0).save_pretrained(folder), load_encoder),
    "classifier": (
        lambda folder: classifier("hubert", pooling="mean").save_pretrained(folder),
        lambda folder: export(folder, f"{folder}-exported"),
    ),
    "encoder of a classifier": (lambda folder: classifier("hubert").save_pretrained(folder), load_encoder),
    "intensity": (
        lambda folder: build("rank-model", {}, 0, ["anger", "neutral"]).save_pretrained(folder),
        lambda folder: load("rank-model", folder),
    ),
    "text": (
        lambda folder: (
            RobertaModel(RobertaConfig(vocab_size=9, **SMALL)).save_pretrained(folder),
            small_tokenizer(["anger", "joy"]).save_pretrained(folder),
        ),
        lambda folder: text_tower(folder, PROMPTS),
    ),
}


@pytest.fixture(params=READERS)
def saved(request, tmp_path):
    """(folder, what reads it)"""
    write, read = READERS[request.param]
    write(tmp_path / "model")
    return tmp_path / "model", lambda: read(str(tmp_path / "model"))


@pytest.mark.parametrize("named", ["pytorch_model.bin", "../elsewhere/model.safetensors"])
def test_an_index_that_names_anything_but_safetensors_beside_it_is_refused(saved, monkeypatch, named):
    folder, read = saved
    read_pickles = []
    monkeypatch.setattr(torch, "load", lambda *given, **more: read_pickles.append(given))
    weights = folder / "model.safetensors"
    (folder / "pytorch_model.bin").write_bytes(weights.read_bytes())
    weights.unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": named}, "metadata": {}}))
    with pytest.raises(
        UserError, match=f"index.json names {named}, no file of safetensors beside it|holds no trained"
    ):
        read()
    assert not read_pickles


def test_weights_that_are_no_numbers_are_told(saved):
    from safetensors.torch import load_file, save_file

    folder, read = saved
    weights = load_file(folder / "model.safetensors")
    next(weights[name] for name in sorted(weights) if weights[name].ndim > 1).view(-1)[0] = torch.nan
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match="are not all numbers"):
        read()


@pytest.mark.parametrize("elsewhere", [{"attn_implementation": "nobody/kernel"}, {"num_labels": 10**6}])
def test_a_description_leads_nowhere_else_and_fills_no_memory(saved, elsewhere):
    folder, read = saved
    told = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(told | elsewhere))
    found = read()
    config = getattr(found, "config", None)
    assert config is None or (config.num_labels < 9 and config._attn_implementation != "nobody/kernel")


def test_more_layers_than_a_network_has_are_told(saved):
    folder, read = saved
    told = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(told | {"num_hidden_layers": 10**6}))
    with pytest.raises(UserError, match="num_hidden_layers is 1000000, more than a network has"):
        read()


@pytest.mark.parametrize("told", ["[]", "{", '{"model_type": 3}', "[" * 10**5])
def test_a_folder_that_describes_no_model_is_told(saved, told):
    folder, read = saved
    (folder / "config.json").write_text(told)
    with pytest.raises(UserError):
        read()


@pytest.mark.parametrize("encoder", [None, [], {}, "hubert", {"model_type": "hubart"}, {"model_type": []}])
def test_a_classifier_with_a_wrong_encoder_is_told(tmp_path, encoder):
    classifier("hubert").save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text()) | {"encoder": encoder}
    (tmp_path / "config.json").write_text(json.dumps(config))
    for read in (load_encoder, lambda folder: export(folder, f"{folder}-exported")):
        with pytest.raises(UserError):
            read(str(tmp_path))
