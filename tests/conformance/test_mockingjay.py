"""MockingJay against s3prl's own model, pretraining loss, masks and checkpoints."""

import pickletools
import random
import zipfile

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from s3prl_reference import (
    Bomb,
    MockingjayHead,
    MockingjayPretraining,
    MockingjaySizes,
    MockingjayWithHead,
    mask_batch,
    positions,
    rough,
    save_checkpoint,
)
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModel

from serflow.errors import UserError
from serflow.masking import corrupt, uniform_spans
from serflow.models import build, mockingjay
from serflow.models.mockingjay import MockingjayForReconstruction, MockingjayModel

BINS = 12
TRANSFORMER = {
    "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64,
    "hidden_act": "gelu", "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
    "initializer_range": 0.02, "layer_norm_eps": "1.e-12", "share_layer": False, "pre_layer_norm": False,
}  # fmt: skip
ADAMW = {"name": "AdamW_with_schedule", "lr": 2e-4, "warmup_proportion": 0.07}


def saved(file, transformer=TRANSFORMER, **more):
    theirs = rough(MockingjayWithHead(MockingjaySizes(transformer), BINS, None), seed=0)
    save_checkpoint(file, MockingjayPretraining, theirs, {"transformer": transformer}, ADAMW, **more)
    return theirs


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """s3prl's model, and ours from the checkpoint that s3prl saves of it."""
    file = tmp_path_factory.mktemp("s3prl") / "states-3.ckpt"
    theirs = saved(file)
    return theirs.eval(), MockingjayForReconstruction.from_s3prl(file)


def utterances(lengths, seed):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(length, BINS, generator=generator) for length in lengths]


def padded(frames):
    return pad_sequence(frames, batch_first=True), torch.tensor([len(one) for one in frames])


some_lengths = st.lists(st.integers(1, 120), min_size=1, max_size=4)


@settings(max_examples=15, deadline=None)
@given(some_lengths, st.integers(0, 99))
def test_every_state_and_the_loss_equal_s3prl(pair, lengths, seed):
    theirs, ours = pair
    frames, lengths = padded(utterances(lengths, seed))
    valid = torch.arange(frames.shape[1]) < lengths[:, None]
    mask = valid & (torch.rand(valid.shape, generator=torch.Generator().manual_seed(seed)) < 0.4)
    mask[:, 0] = True
    corrupted = frames.masked_fill(mask[..., None], 0)
    position = positions(frames.shape[1], 32).expand(len(frames), -1, -1)
    with torch.no_grad():
        expected = theirs.Transformer(corrupted, position, valid.float())
        states = ours.mockingjay(corrupted, lengths).hidden_states
        loss, _ = theirs(corrupted, position, mask[..., None].expand_as(frames), valid.float(), frames)
        own = ours(corrupted, frames, mask, lengths=lengths).loss
    assert len(states) == len(expected) == 4
    for state, other in zip(states, expected, strict=True):
        torch.testing.assert_close(state[valid], other[valid], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(own, loss, atol=1e-5, rtol=1e-5)


def test_every_gradient_equals_s3prl(pair):
    theirs, ours = pair
    frames = torch.stack(utterances([50, 50], seed=0))
    mask = torch.rand(2, 50, generator=torch.Generator().manual_seed(0)) < 0.3
    position = positions(50, 32).expand(2, -1, -1)
    theirs(frames, position, mask[..., None].expand_as(frames), torch.ones(2, 50), 2 * frames)[0].backward()
    ours(frames, 2 * frames, mask).loss.backward()
    parts = {"Transformer": theirs.Transformer, "SpecHead": theirs.SpecHead}
    gradients = {part: {name: w.grad for name, w in model.named_parameters()} for part, model in parts.items()}
    expected = mockingjay._renamed(gradients, layers=3)
    assert expected.keys() == dict(ours.named_parameters()).keys()
    for name, weight in ours.named_parameters():
        torch.testing.assert_close(weight.grad, expected[name], atol=1e-5, rtol=1e-4)


@settings(max_examples=15, deadline=None)
@given(some_lengths, st.integers(0, 99))
def test_a_padded_batch_equals_one_by_one(pair, lengths, seed):
    model, frames = pair[1].mockingjay, utterances(lengths, seed)
    batch, lengths = padded(frames)
    behind = torch.arange(batch.shape[1]) >= lengths[:, None]
    with torch.no_grad():
        together = model(batch.masked_fill(behind[..., None], 1e3), lengths)
        for row, one in enumerate(frames):
            alone = model(one[None]).hidden_states
            assert together.lengths[row] == len(one)
            for state, other in zip(together.hidden_states, alone, strict=True):
                torch.testing.assert_close(state[row, : len(one)], other[0], atol=1e-5, rtol=1e-5)


def test_stopping_early_gives_the_same_states(pair):
    model, frames = pair[1].mockingjay, utterances([40], 0)[0][None]
    with torch.inference_mode():
        whole, cut = model(frames).hidden_states, model(frames, last_layer=1).hidden_states
    assert len(cut) == 2 and all(torch.equal(*both) for both in zip(cut, whole[:2], strict=True))


def test_the_score_branch_is_the_released_one(pair):
    theirs, encoder = pair[0], pair[1].mockingjay
    ours = MockingjayForReconstruction.around(encoder, seed=1, score_branch=True).eval()
    heads = {}
    for name in ("head", "score_head"):
        heads[name] = MockingjayHead(MockingjaySizes(TRANSFORMER), BINS)
        weights = ours.get_submodule(name).state_dict()
        for theirs_name, own in (("dense", "0"), ("LayerNorm", "2"), ("output", "3")):
            part = {kind: weights[f"{own}.{kind}"] for kind in ("weight", "bias")}
            heads[name].get_submodule(theirs_name).load_state_dict(part)
    frames, intensity = torch.stack(utterances([30, 30], 0)), torch.rand(2, 30)
    mask = torch.arange(30).expand(2, 30) % 10 < 3
    corrupted, hidden = frames.masked_fill(mask[..., None], 0), intensity.masked_fill(mask, 0)
    position = positions(30, 32).expand(2, -1, -1)
    with torch.no_grad():
        scores = hidden[..., None].expand(2, 30, BINS)
        first = heads["head"](theirs.Transformer(corrupted + scores, position, torch.ones(2, 30))[-1])[0]
        second = heads["score_head"](theirs.Transformer(scores, position, torch.ones(2, 30))[-1])[0]
        expected = (first - frames)[mask].abs().mean() + (second - intensity[..., None])[mask].abs().mean()
        loss = ours(corrupted, frames, mask, hidden, intensity).loss
    torch.testing.assert_close(loss, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("length", [28, 130, 300])
def test_masks_are_distributed_as_s3prl_draws_them(length):
    """How many frames are masked, and how often their utterance is zeroed, replaced or left as it is."""
    count, settings = 3000, {
        "position_encoding_size": 4, "mask_proportion": 0.15, "mask_consecutive_min": 7, "mask_consecutive_max": 7,
        "mask_allow_overlap": True, "mask_frequency": 0, "noise_proportion": 0.0,
    }  # fmt: skip
    torch.manual_seed(0), random.seed(0)
    frames, generator = torch.rand(count, length, 2) + 0.1, torch.Generator().manual_seed(0)
    theirs, _, behind, _, _ = mask_batch((frames.clone(),), settings)
    mask = uniform_spans(torch.full((count,), length), 7, 0.15, generator)
    ours = corrupt(frames, mask, generator)
    expected, drawn = behind[..., 0].double().mean(1), mask.double().mean(1)
    assert abs(expected.mean() - drawn.mean()) < 0.001 and abs(expected.std() - drawn.std()) < 0.001

    def shares(read):
        return torch.tensor([(read == 0).any((1, 2)).double().mean(), (read == frames).all(2).all(1).double().mean()])

    torch.testing.assert_close(shares(ours), shares(theirs), atol=0.03, rtol=0)


def test_a_saved_folder_gives_the_same_encoder(pair, tmp_path):
    pair[1].save_pretrained(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"config.json", "model.safetensors"}
    frames = utterances([40], 0)[0][None]
    with torch.no_grad():
        expected = pair[1].mockingjay(frames).hidden_states[-1]
        for model in (MockingjayModel, AutoModel):
            assert torch.equal(model.from_pretrained(tmp_path).eval()(frames).hidden_states[-1], expected)


def test_it_trains_after_it_was_used_for_inference():
    model = MockingjayForReconstruction.around(build("mockingjay", {"size": "small"}, 0), seed=0)
    frames = torch.randn(2, 30, 240)
    with torch.inference_mode():
        model.mockingjay(frames)
    model.train()(frames, frames, torch.ones(2, 30, dtype=torch.bool)).loss.backward()
    assert all(weight.grad.isfinite().all() for weight in model.parameters())


def test_seeds_decide_the_weights_and_the_encoder_is_kept():
    torch.manual_seed(0)
    encoder = build("mockingjay", {"size": "small"}, 0)
    before = {name: weight.clone() for name, weight in encoder.state_dict().items()}
    one, two, other = (MockingjayForReconstruction.around(encoder, seed) for seed in (1, 1, 2))
    assert all(torch.equal(before[name], weight) for name, weight in encoder.state_dict().items())
    assert torch.equal(one.head[0].weight, two.head[0].weight)
    assert not torch.equal(one.head[0].weight, other.head[0].weight)
    for weight in (encoder.layers[0].expand.weight, one.head[0].weight):
        assert weight.std().item() == pytest.approx(0.02, rel=0.05)


def test_what_a_checkpoint_pickles_is_never_run(tmp_path):
    file, mark = tmp_path / "foreign.ckpt", tmp_path / "ran"
    saved(file, Extra=Bomb(mark))
    with pytest.raises(UserError, match="foreign.ckpt cannot be read as an s3prl checkpoint"):
        MockingjayModel.from_s3prl(file)
    assert not mark.exists()
    with zipfile.ZipFile(file) as archive:  # read, not run: the file does ask for it
        (pickled,) = (archive.read(name) for name in archive.namelist() if name.endswith("data.pkl"))
    steps = [(operation.name, argument) for operation, argument, _ in pickletools.genops(pickled)]
    asked = next(number for number, (_, argument) in enumerate(steps) if argument == "touch")
    assert ("REDUCE", None) in steps[asked:]


@pytest.mark.parametrize(
    ("transformer", "reason"),
    [
        ({**TRANSFORMER, "share_layer": True}, "share_layer is True, and serflow knows only False"),
        ({**TRANSFORMER, "hidden_act": "relu"}, "hidden_act is 'relu', and serflow knows only 'gelu'"),
    ],
)
def test_other_networks_are_refused(tmp_path, transformer, reason):
    saved(tmp_path / "other.ckpt", transformer)
    with pytest.raises(UserError, match=reason):
        MockingjayModel.from_s3prl(tmp_path / "other.ckpt")


@pytest.mark.parametrize("content", [None, b"", b"text", [1], {"Config": {}}])
def test_other_files_are_refused(tmp_path, content):
    file = tmp_path / "other.ckpt"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        torch.save(content, file)
    with pytest.raises(UserError, match="other.ckpt cannot be read"):
        MockingjayModel.from_s3prl(file)
