import random

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from serflow.masking import corrupt, intense_spans, random_spans, released_spans, uniform_spans


def spans(lengths, seed=0, span=10, probability=0.8, minimum=2):
    return random_spans(torch.tensor(lengths), span, probability, minimum, torch.Generator().manual_seed(seed))


@given(
    st.lists(st.integers(1, 80), min_size=1, max_size=8), st.integers(1, 12), st.floats(0.05, 1), st.integers(1, 3),
    st.integers(0, 2**40),
)  # fmt: skip
def test_masks_stay_within_length_and_consist_of_whole_spans(lengths, span, probability, minimum, seed):
    mask = spans(lengths, seed, span, probability, minimum)
    assert mask.shape == (len(lengths), max(lengths))
    for row, length in zip(mask, lengths, strict=True):
        assert not row[length:].any()
        assert row.any()
        runs = "".join("x" if hidden else " " for hidden in row.tolist()).split()
        assert all(len(run) >= min(span, length) for run in runs)


def test_about_57_percent_is_masked_at_hubert_s_setting():
    mask = spans([1000] * 200)
    assert 0.55 < mask.float().mean() < 0.585


def test_the_seed_decides():
    assert torch.equal(spans([100, 60], 3), spans([100, 60], 3))
    assert not torch.equal(spans([100, 60], 3), spans([100, 60], 4))


@settings(max_examples=25)
@given(st.integers(20, 60), st.integers(1, 4))
def test_every_frame_can_be_masked(length, span):
    covered = spans([length] * 400, span=span).any(0)
    assert covered.all()


def curves(lengths, smooth, seed):
    """Intensity `[B, T]`: white noise, or noise smoothed over 31 frames as emotion changes."""
    noise = torch.rand(len(lengths), 1, max(lengths) + 30, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.avg_pool1d(noise, 31, 1)[:, 0] if smooth else noise[:, 0, : max(lengths)]


def mockingjay(place, lengths, *intensity, seed=0):
    return place(*intensity, torch.tensor(lengths), 7, 0.15, torch.Generator().manual_seed(seed))


many_lengths = st.lists(st.integers(1, 300), min_size=1, max_size=6)


@given(many_lengths, st.booleans(), st.integers(0, 2**40))
def test_matched_masks_as_many_frames_as_random_in_spans_that_do_not_overlap(lengths, smooth, seed):
    intensity = curves(lengths, smooth, seed)
    uniform = mockingjay(uniform_spans, lengths, seed=seed)
    matched = mockingjay(intense_spans, lengths, intensity, seed=seed)
    assert torch.equal(matched.sum(1), uniform.sum(1))
    for row, covered, length in zip(matched, uniform.sum(1), lengths, strict=True):
        assert not row[length:].any()
        runs = [len(run) for run in "".join("x" if hidden else " " for hidden in row.tolist()).split()]
        # Spans that do not overlap: all of 7 frames but one, which is cut to the count, side by side or apart.
        assert sum(run % 7 for run in runs) == covered % 7


@given(st.lists(st.integers(100, 300), min_size=1, max_size=4), st.booleans(), st.integers(0, 2**40))
def test_matched_masks_where_intensity_is_high(lengths, smooth, seed):
    intensity = curves(lengths, smooth, seed)
    matched = mockingjay(intense_spans, lengths, intensity, seed=seed)
    for row, curve, length in zip(matched, intensity, lengths, strict=True):
        assert curve[:length][row[:length]].mean() > curve[:length][~row[:length]].mean()


@given(st.lists(st.integers(1, 30), min_size=1, max_size=4), st.integers(0, 2**40))
def test_no_clip_is_too_short_to_be_masked(lengths, seed):
    intensity = curves(lengths, False, seed)
    assert mockingjay(uniform_spans, lengths, seed=seed).any(1).all()
    for place in (intense_spans, released_spans):
        assert mockingjay(place, lengths, intensity, seed=seed).any(1).all()


def test_released_code_masks_a_third_of_what_random_masks_on_smooth_intensity():
    lengths = [1000] * 100
    assert 0.13 < mockingjay(uniform_spans, lengths).float().mean() < 0.15
    assert 0.04 < mockingjay(released_spans, lengths, curves(lengths, True, 0)).float().mean() < 0.06
    assert mockingjay(released_spans, lengths, curves(lengths, False, 0)).float().mean() > 0.12


def test_masked_share_is_distributed_as_a_loop_over_the_definition_draws_it():
    def share(length):
        starts = random.sample(range(length - 6), round(length * 0.15 / 7))
        return len({start + i for start in starts for i in range(7)}) / length

    random.seed(0)
    expected = torch.tensor([share(300) for _ in range(3000)])
    drawn = mockingjay(uniform_spans, [300] * 3000).float().mean(1)
    assert abs(drawn.mean() - expected.mean()) < 0.001 and abs(drawn.std() - expected.std()) < 0.001


def test_corruption_zeroes_replaces_or_leaves_what_is_masked_and_nothing_else():
    frames = torch.arange(1, 1 + 1000 * 50).reshape(1000, 50, 1).float()
    mask = mockingjay(uniform_spans, [50] * 1000)
    read = corrupt(frames, mask, torch.Generator().manual_seed(0))
    assert torch.equal(read[~mask], frames[~mask])
    zeroed = ((read == 0).squeeze(-1) == mask).all(1)
    kept = (read == frames).flatten(1).all(1)
    replaced = ~zeroed & ~kept
    assert 0.76 < zeroed.float().mean() < 0.84 and 0.07 < kept.float().mean() < 0.13
    own = (read[replaced] - 1) // 50 == torch.arange(1000)[replaced][:, None, None]
    assert own.all() and (read[replaced] != frames[replaced])[mask[replaced]].all()
