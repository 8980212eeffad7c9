"""NPC against s3prl's own model, upstream, pretraining loss and checkpoints."""

import argparse
import functools
import types

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from s3prl.upstream.npc.expert import UpstreamExpert
from s3prl.upstream.npc.npc import NPC
from s3prl_reference import Bomb, NpcPretraining, rough, save_checkpoint
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModel

from serflow.errors import UserError
from serflow.models import build, npc
from serflow.models.npc import NpcConfig, NpcForReconstruction, NpcModel

BINS = 80
NETWORK = {
    "kernel_size": 15, "mask_size": 5, "n_blocks": 4, "hidden_size": 32, "dropout": 0.0, "residual": True,
    "batch_norm": True, "activate": "relu", "disable_cross_layer": False,
    "vq": {"codebook_size": [8, 8, 8, 8], "code_dim": [8, 8, 8, 8], "gumbel_temperature": 0.7},
}  # fmt: skip
AUDIO = {
    "feat_type": "fbank",
    "feat_dim": BINS,
    "frame_length": 25,
    "frame_shift": 10,
    "decode_wav": False,
    "cmvn": True,
}
ADAM = {"name": "Adam", "lr": 1e-3}


def saved(file, network=NETWORK, **more):
    theirs = rough(NPC(BINS, **network), seed=0)
    with torch.no_grad():  # so that the running statistics say something
        theirs.train()(2 + 3 * torch.randn(4, 60, BINS))
    config = {"model": {"paras": network}, "data": {"audio": AUDIO}}
    save_checkpoint(file, NpcPretraining, theirs, config, ADAM, **more)
    return theirs


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    file = tmp_path_factory.mktemp("s3prl") / "states-3.ckpt"
    return saved(file).eval(), file


@pytest.fixture
def pair(checkpoint):
    """s3prl's model, and ours from the checkpoint that s3prl saves of it."""
    return checkpoint[0], NpcForReconstruction.from_s3prl(checkpoint[1])


@pytest.fixture(scope="module")
def shared(checkpoint):
    """The same for tests that draw many examples."""
    return checkpoint[0], NpcForReconstruction.from_s3prl(checkpoint[1])


def utterances(lengths, seed):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(length, BINS, generator=generator) for length in lengths]


def s3prl_loss(model, frames, testing):
    """What s3prl's pretraining expert makes of `[B, T, C]`, `testing` deciding between argmax and Gumbel."""
    expert = types.SimpleNamespace(
        model=functools.partial(model, testing=testing), loss=torch.nn.L1Loss(reduction="none"), device="cpu"
    )
    return NpcPretraining.forward(expert, (frames, [frames.shape[1]] * len(frames)), {}, global_step=1)[0]


@settings(max_examples=10, deadline=None)
@given(st.integers(560, 16000), st.integers(0, 99))
def test_the_states_are_those_of_superb_s_weighted_sum(checkpoint, shared, samples, seed):
    with torch.serialization.safe_globals([argparse.Namespace]):
        upstream = UpstreamExpert(checkpoint[1]).eval()
    wave = torch.randn(samples, generator=torch.Generator().manual_seed(seed))
    encoder = shared[1].npc
    with torch.no_grad():
        expected = upstream([wave])["hidden_states"]
        states = encoder(upstream.preprocessor(wave[None])[None]).hidden_states
    assert len(states) == len(expected) == encoder.config.num_hidden_layers + 1 == 9
    for state, other in zip(states, expected, strict=True):
        torch.testing.assert_close(state, other, atol=1e-5, rtol=1e-5)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 120), st.integers(1, 3), st.integers(0, 99))
def test_reconstruction_and_loss_equal_s3prl(shared, length, batch, seed):
    theirs, ours = shared
    frames = torch.stack(utterances([length] * batch, seed))
    with torch.no_grad():
        torch.testing.assert_close(ours.reconstruct(frames), theirs(frames, testing=True)[0], atol=1e-5, rtol=1e-5)
        loss = s3prl_loss(theirs, frames, testing=True)
        torch.testing.assert_close(ours(frames, frames).loss, loss, atol=1e-5, rtol=1e-5)


def test_straight_through_and_every_gradient_equal_s3prl(pair, monkeypatch):
    theirs, ours = (model.train() for model in pair)
    frames = torch.stack(utterances([50, 50], seed=0))
    monkeypatch.setattr(torch.Tensor, "exponential_", lambda self: self.fill_(1.0))  # Gumbel noise is -log of this
    loss = s3prl_loss(theirs, frames, testing=False)
    own = ours(frames, frames).loss
    torch.testing.assert_close(own, loss, atol=1e-5, rtol=1e-5)
    loss.backward(), own.backward()
    expected = npc._renamed({name: weight.grad for name, weight in theirs.named_parameters()}, groups=4)
    theirs.zero_grad(), theirs.eval()
    assert expected.keys() == dict(ours.named_parameters()).keys()
    for name, weight in ours.named_parameters():
        torch.testing.assert_close(weight.grad, expected[name], atol=1e-5, rtol=1e-4)
    assert ours.quantiser.score.weight.grad.abs().max() > 0  # what only the straight-through estimate gives


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 90), min_size=1, max_size=4), st.integers(0, 99))
def test_a_padded_batch_equals_one_by_one(shared, lengths, seed):
    model, alone = shared[1], utterances(lengths, seed)
    batch, lengths = pad_sequence(alone, batch_first=True), torch.tensor(lengths)
    batch = batch.masked_fill((torch.arange(batch.shape[1]) >= lengths[:, None])[..., None], 1e3)
    with torch.no_grad():
        together = model.npc(batch, lengths)
        loss = model(batch, batch, lengths=lengths).loss
        losses = torch.stack([model(one[None], one[None]).loss for one in alone])
        for row, one in enumerate(alone):
            assert together.lengths[row] == len(one)
            for state, other in zip(together.hidden_states, model.npc(one[None]).hidden_states, strict=True):
                torch.testing.assert_close(state[row, : len(one)], other[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(loss, (losses * lengths).sum() / lengths.sum(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("last", range(9))
def test_stopping_early_gives_the_same_states(pair, last):
    encoder, frames = pair[1].npc, utterances([40], 0)[0][None]
    with torch.no_grad():
        whole, cut = encoder(frames).hidden_states, encoder(frames, last_layer=last).hidden_states
    assert len(cut) == last + 1 and all(torch.equal(*both) for both in zip(cut, whole, strict=False))


def test_no_state_but_the_blocks_sees_the_frame_itself(pair):
    """The point of NPC: changing a frame, and the mask_size - 1 around it, leaves its own reconstruction as it is."""
    model, frames = pair[1], utterances([60], 0)[0][None]
    changed = frames.clone()
    changed[:, 28:33] += 5
    with torch.no_grad():
        before, after = model.reconstruct(frames), model.reconstruct(changed)
    assert torch.equal(before[:, 30], after[:, 30])
    assert not torch.equal(before[:, 27], after[:, 27])


def test_the_score_branch_reconstructs_the_shifted_frames_too(pair):
    ours = NpcForReconstruction.around(pair[1].npc, seed=0, score_branch=True).eval()
    frames, intensity = torch.stack(utterances([40, 40], 0)), torch.rand(2, 40)
    with torch.no_grad():
        both = ours(frames, frames, intensity).loss
        ours.config.score_branch = False
        shifted = frames + intensity[..., None]
        torch.testing.assert_close(both, ours(frames, frames).loss + ours(shifted, shifted).loss)


def test_weights_count_each_frame_by_its_intensity(pair):
    ours = NpcForReconstruction.around(pair[1].npc, seed=0, weighted=True).eval()
    frames, lengths = torch.stack(utterances([40, 40, 40], 0)), torch.tensor([40, 30, 20])
    intensity = torch.rand(3, 40)
    intensity[2] = 0  # neutral throughout
    with torch.no_grad():
        loss = ours(frames, frames, intensity, lengths).loss
        distance = (ours.reconstruct(frames, lengths) - frames).abs().mean(-1)
    rows = [
        (distance[0] * intensity[0] / intensity[0].mean()).sum(),
        (distance[1] * intensity[1] / intensity[1, :30].mean())[:30].sum(),
        distance[2, :20].sum(),
    ]
    torch.testing.assert_close(loss, sum(rows) / 90)


def test_a_saved_folder_gives_the_same_encoder(pair, tmp_path):
    pair[1].save_pretrained(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"config.json", "model.safetensors"}
    frames = utterances([40], 0)[0][None]
    with torch.no_grad():
        expected = pair[1].npc(frames).hidden_states
        for model in (NpcModel, AutoModel):
            states = model.from_pretrained(tmp_path).eval()(frames).hidden_states
            assert all(torch.equal(*both) for both in zip(states, expected, strict=True))


def test_seeds_decide_the_weights_and_the_encoder_is_kept():
    torch.manual_seed(0)
    encoder = build("npc", {"size": "small"}, 0)
    before = {name: weight.clone() for name, weight in encoder.state_dict().items()}
    one, two, other = (NpcForReconstruction.around(encoder, seed) for seed in (1, 1, 2))
    assert all(torch.equal(before[name], weight) for name, weight in encoder.state_dict().items())
    assert torch.equal(one.quantiser.score.weight, two.quantiser.score.weight)
    assert not torch.equal(one.quantiser.score.weight, other.quantiser.score.weight)


def test_initial_weights_spread_as_s3prl_s():
    ours = dict(NpcForReconstruction(NpcConfig()).named_parameters())
    vq = {"codebook_size": [64] * 4, "code_dim": [128] * 4, "gumbel_temperature": 1.0}
    theirs = NPC(80, 512, 4, 0.1, True, 15, 5, vq)
    for name, weight in npc._renamed(dict(theirs.named_parameters()), groups=4).items():
        assert ours[name].abs().max().item() == pytest.approx(weight.abs().max().item(), rel=0.1), name


@pytest.mark.parametrize(
    "sizes", [{"mask_size": 7}, {"mask_size": 5, "num_blocks": 5}, {"mask_size": 4}, {"kernel_size": 14}]
)
def test_a_mask_as_wide_as_the_kernel_is_refused(sizes):
    with pytest.raises(UserError, match="lower mask_size"):
        NpcModel(NpcConfig(**sizes))


def test_what_a_checkpoint_pickles_is_never_run(tmp_path):
    file, mark = tmp_path / "foreign.ckpt", tmp_path / "ran"
    saved(file, Extra=Bomb(mark))
    with pytest.raises(UserError, match="foreign.ckpt cannot be read as an s3prl checkpoint"):
        NpcModel.from_s3prl(file)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"residual": False}, "residual is False, and serflow knows only True"),
        ({"vq": None}, "cannot be read as an s3prl checkpoint of this model"),
        ({"vq": {**NETWORK["vq"], "codebook_size": [8, 8, 8, 4]}}, "codebook_size is"),
    ],
)
def test_other_networks_are_refused(tmp_path, change, reason):
    saved(tmp_path / "other.ckpt", {**NETWORK, **change})
    with pytest.raises(UserError, match=reason):
        NpcModel.from_s3prl(tmp_path / "other.ckpt")
