import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from serflow.masking import random_spans


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
