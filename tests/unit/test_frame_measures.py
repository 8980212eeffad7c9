"""What is said of frames against what is true of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serflow.evaluation.frames import (
    Segment,
    boundary_error,
    diarization_error,
    emotions_at,
    filled,
    segments_of,
    separation,
)

HOP = 0.02


@st.composite
def recordings(draw):
    """(duration, emotional segments) of whole frames."""
    edges = sorted(draw(st.lists(st.integers(0, 200), min_size=2, max_size=8, unique=True)))
    pairs = zip(edges[:-1:2], edges[1::2], strict=False)
    segments = [(start * HOP, end * HOP, draw(st.sampled_from("abc"))) for start, end in pairs]
    return draw(st.integers(edges[-1], 240)) * HOP, segments


def frames_of(duration, segments):
    centres = (np.arange(round(duration / HOP)) + 0.5) * HOP
    return list(emotions_at(centres, segments, "n"))


def test_the_error_of_the_authors_example():
    found = segments_of(list("nnnaaa"), 0.2)
    assert diarization_error(found, [(0.39, 1.10, "a")], 1.22, "n") == pytest.approx(0.2704918032786885)


@given(recordings())
def test_the_truth_has_no_error(recording):
    duration, segments = recording
    found = segments_of(frames_of(duration, segments), HOP)
    assert diarization_error(found, segments, duration, "n") == pytest.approx(0, abs=1e-9)
    merged = segments_of(frames_of(duration, segments), HOP)
    assert boundary_error(merged, found) == pytest.approx(0) or len(found) == 1


@given(recordings(), st.lists(st.sampled_from("nabc"), min_size=1, max_size=240))
def test_the_error_is_a_share_and_counts_the_frames_that_are_wrong(recording, emotions):
    duration, segments = recording
    error = diarization_error(segments_of(emotions, HOP), segments, duration, "n")
    assert -1e-9 <= error <= 1 + 1e-9
    truth = frames_of(duration, segments)
    right = sum(one == other for one, other in zip(emotions, truth, strict=False))
    assert error == pytest.approx(1 - right * HOP / duration)


said = st.lists(st.sampled_from("nabc"), min_size=240, max_size=240)


@given(st.lists(st.tuples(recordings(), said), min_size=2, max_size=3))
def test_errors_add_up_over_recordings_by_their_length(files):
    def shifted(segments, by):
        return [Segment(start + by, end + by, emotion) for start, end, emotion in segments]

    wrong, start, found, truth = 0.0, 0.0, [], []
    for (duration, segments), emotions in files:
        own = segments_of(emotions[: round(duration / HOP)], HOP)
        wrong += duration * diarization_error(own, segments, duration, "n")
        found, truth = found + shifted(own, start), truth + shifted(segments, start)
        start += duration
    assert diarization_error(found, truth, start, "n") * start == pytest.approx(wrong, abs=1e-6)


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (1.0, [(0, 2, "n"), (2, 4, "a")]),
        (1.5, [(0, 2.25, "n"), (2.25, 4.5, "a")]),
        (0.5, [(0, 0.5, "n"), (1, 1.5, "n"), (2, 2.5, "a"), (3, 3.5, "a")]),
    ],
)
def test_overlaps_are_shared_and_gaps_stay(window, expected):
    assert segments_of(list("nnaa"), 1.0, window) == expected


def test_segments_are_filled_up():
    assert filled([(2, 3, "b"), (0, 1, "a")], 4, "n") == [(0, 1, "a"), (1, 2, "n"), (2, 3, "b"), (3, 4, "n")]
    assert filled([], 4, "n") == [(0, 4, "n")]


def test_boundaries_and_separation():
    truth = filled([(1, 2, "a")], 3, "n")
    assert boundary_error(filled([(1.1, 2.3, "a")], 3, "n"), truth) == pytest.approx(0.2)
    assert np.isnan(boundary_error(filled([], 3, "n"), truth))
    assert separation([0.1, 0.2, 0.9, 0.8], [0, 0, 1, 1]) == (1.0, 1.0)
    assert np.isnan(separation([0.1, 0.2], [1, 1])).all()
