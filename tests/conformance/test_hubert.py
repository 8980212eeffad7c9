"""HuBERT, WavLM and wav2vec 2.0 against transformers' own forward, and HuBERT's pretraining loss against
torchaudio's."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchaudio.models.wav2vec2.components import LogitGenerator
from torchaudio.models.wav2vec2.utils import import_huggingface_model
from transformers import AutoModel, HubertConfig, HubertModel, Wav2Vec2Config, Wav2Vec2Model, WavLMConfig, WavLMModel

from serflow.models import build, encoder_class, load_encoder, pretraining_class
from serflow.models.hubert import HubertForMaskedPrediction
from serflow.models.mel_hubert import MelHubertConfig

SMALL = {
    "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64,
    "conv_dim": (16,) * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4,
}  # fmt: skip
LARGE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
GROUP, LAYER = HubertConfig(**SMALL), HubertConfig(**SMALL, **LARGE)
THEIRS = {HubertConfig: HubertModel, WavLMConfig: WavLMModel, Wav2Vec2Config: Wav2Vec2Model}
CONFIGS = [kind(**SMALL, **size) for kind in THEIRS for size in ({}, LARGE)]
NAMES = [f"{config.model_type}, {'large' if config.conv_bias else 'base'}" for config in CONFIGS]


def encoder(config, seed=0):
    torch.manual_seed(seed)
    return encoder_class(config.model_type)(config).eval()


def waves(lengths, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(length, generator=generator) for length in lengths]


def padded(clips):
    return torch.nn.utils.rnn.pad_sequence(clips, batch_first=True), torch.tensor([len(clip) for clip in clips])


@pytest.mark.parametrize("config", CONFIGS, ids=NAMES)
def test_every_layer_equals_transformers(config):
    ours = encoder(config)
    theirs = THEIRS[type(config)](config).eval()
    theirs.load_state_dict(ours.state_dict())
    clip = waves([9000])[0][None]
    with torch.no_grad():
        output = theirs(clip, output_hidden_states=True)
        states = ours(clip).hidden_states
    expected = (
        *output.hidden_states[:-1],
        output.last_hidden_state,
    )  # the last one after the large model's last norm
    assert len(states) == len(expected) == 4
    for state, other in zip(states, expected, strict=True):
        torch.testing.assert_close(state, other, atol=1e-5, rtol=1e-5)


def test_a_checkpoint_that_was_never_masked_can_be():
    model = encoder(Wav2Vec2Config(**SMALL, mask_time_prob=0.0))
    assert model(waves([4000])[0][None], mask=torch.ones(1, 12, dtype=torch.bool)).hidden_states[-1].isfinite().all()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(400, 8000), min_size=1, max_size=5), st.sampled_from(CONFIGS), st.integers(0, 99))
def test_a_padded_batch_equals_one_by_one(lengths, config, seed):
    model, clips = encoder(config, seed), waves(lengths, seed)
    with torch.no_grad():
        batch = model(*padded(clips))
        for row, clip in enumerate(clips):
            alone = model(clip[None]).hidden_states
            tokens = (len(clip) - 400) // 320 + 1
            assert batch.lengths[row] == alone[0].shape[1] == tokens
            for state, other in zip(batch.hidden_states, alone, strict=True):
                torch.testing.assert_close(state[row, :tokens], other[0], atol=1e-5, rtol=1e-5)


def test_transformers_itself_is_not_exact_on_padded_batches():
    """Why `WaveFrontEnd` exists: should this fail one day, it can go."""
    model = HubertModel(GROUP).eval()
    clips = waves([8000, 3000])
    batch, lengths = padded(clips)
    mask = torch.arange(batch.shape[1]) < lengths[:, None]
    with torch.no_grad():
        together = model(batch, attention_mask=mask).last_hidden_state[1, :9]
        alone = model(clips[1][None]).last_hidden_state[0]
    assert (together - alone).abs().max() > 1e-3


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(4)))
def test_the_order_of_a_batch_changes_nothing(order):
    model, clips = encoder(GROUP), waves([2000, 5000, 800, 3300])
    batch, lengths = padded(clips)
    with torch.no_grad():
        states = model(batch, lengths).hidden_states[-1]
        shuffled = model(batch[list(order)], lengths[list(order)]).hidden_states[-1]
    for place, row in enumerate(order):
        tokens = (lengths[row] - 400) // 320 + 1
        torch.testing.assert_close(shuffled[place, :tokens], states[row, :tokens], atol=1e-5, rtol=1e-5)


def test_stopping_early_gives_the_same_states():
    model, clip = encoder(LAYER), waves([5000])[0][None]
    with torch.no_grad():
        whole, cut = model(clip).hidden_states, model(clip, last_layer=2).hidden_states
    assert len(cut) == 3
    assert all(torch.equal(*pair) for pair in zip(cut, whole[:3], strict=True))


def test_the_pretraining_loss_equals_torchaudio_s():
    config = HubertConfig(**SMALL, units=7)
    torch.manual_seed(0)
    model = HubertForMaskedPrediction(config).eval()
    reference = import_huggingface_model(_for_torchaudio(model.hubert)).eval()
    logits = LogitGenerator(32, 7, 256, skip_masked=False, skip_nomask=True)
    logits.label_embeddings.data = model.unit_embeddings.data
    logits.final_proj.load_state_dict(model.project.state_dict())
    clips, tokens = torch.stack(waves([6000, 6000])), (6000 - 400) // 320 + 1
    generator = torch.Generator().manual_seed(1)
    mask = torch.rand(2, tokens, generator=generator) < 0.5
    labels = torch.randint(7, (2, tokens), generator=generator)
    features, _ = reference.feature_extractor(clips, None)
    hidden, _ = reference.encoder._preprocess(features, None)
    hidden = torch.where(mask[..., None], model.hubert.masked_spec_embed, hidden)
    masked_logits, _ = logits(reference.encoder.transformer(hidden), labels, mask, ~mask)
    target = torch.zeros(len(masked_logits), dtype=torch.long)  # torchaudio puts the right unit first
    expected = torch.nn.functional.cross_entropy(masked_logits, target) + 10 * features.square().mean()
    output = model(clips, mask, labels)
    torch.testing.assert_close(output.loss, expected, atol=1e-5, rtol=1e-5)
    assert output.masked.item() == mask.sum()
    assert output.correct.item() == (masked_logits.argmax(-1) == 0).sum()


def _for_torchaudio(hubert):
    """A plain HubertModel: torchaudio knows classes by name."""
    plain = HubertModel(hubert.config).eval()
    plain.load_state_dict(hubert.state_dict())
    return plain


@pytest.mark.parametrize("theirs", THEIRS.values(), ids=["hubert", "wavlm", "wav2vec2"])
def test_a_waveform_folder_loads_with_transformers(theirs, tmp_path):
    name = theirs.config_class.model_type
    model = pretraining_class(name).around(build(name, {"size": "tiny"}, 0), 5, seed=0, frozen=True).eval()
    model.save_pretrained(tmp_path)
    clip = waves([4000])[0][None]
    theirs, info = theirs.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    again = load_encoder(str(tmp_path)).eval()
    with torch.no_grad():
        expected = model.base_model(clip).hidden_states[-1]
        torch.testing.assert_close(theirs.eval()(clip).last_hidden_state, expected, atol=1e-5, rtol=1e-5)
        assert torch.equal(again(clip).hidden_states[-1], expected)


def test_a_mel_folder_loads_with_the_auto_classes(tmp_path):
    model = HubertForMaskedPrediction.around(build("mel-hubert", {"size": "tiny"}, 0), 5, seed=0, frozen=True).eval()
    model.save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path).eval()
    assert isinstance(loaded.config, MelHubertConfig)
    frames = torch.randn(2, 51, 80)
    with torch.no_grad():
        expected = model.hubert(frames).hidden_states
        assert expected[0].shape == (2, 25, 64)
        assert torch.equal(loaded(frames).hidden_states[-1], expected[-1])


def test_a_padded_mel_batch_equals_one_by_one():
    model = build("mel-hubert", {"size": "tiny"}, 0).eval()
    clips = [torch.randn(length, 80) for length in (40, 7, 23)]
    with torch.no_grad():
        batch = model(*padded(clips))
        for row, clip in enumerate(clips):
            alone = model(clip[None]).hidden_states[-1][0]
            torch.testing.assert_close(batch.hidden_states[-1][row, : len(clip) // 2], alone, atol=1e-5, rtol=1e-5)


def test_hidden_tokens_change_the_output_and_dropping_the_mask_does_not():
    model, frames = build("mel-hubert", {"size": "tiny"}, 0).eval(), torch.randn(1, 40, 80)
    mask = torch.zeros(1, 20, dtype=torch.bool)
    with torch.no_grad():
        plain = model(frames).hidden_states[-1]
        assert torch.equal(model(frames, mask=mask).hidden_states[-1], plain)
        mask[0, 5] = True
        assert not torch.equal(model(frames, mask=mask).hidden_states[-1], plain)
