"""Measures of what is said of frames, against segments whose emotion is known. Times are in seconds.

A segmentation is a list of (start, end, emotion), sorted and without overlap; what no segment covers is `elsewhere`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class Segment(NamedTuple):
    start: float
    end: float
    emotion: Hashable


def filled(segments: Iterable[tuple], duration: float, elsewhere: Hashable) -> list[Segment]:
    """The segmentation of 0 to `duration` that `segments` make, with `elsewhere` between them."""
    found, reached = [], 0.0
    for start, end, emotion in sorted(segments, key=lambda segment: segment[0]):
        found += [Segment(reached, start, elsewhere), Segment(start, end, emotion)]
        reached = end
    return [segment for segment in [*found, Segment(reached, duration, elsewhere)] if segment.end > segment.start]


def segments_of(emotions: Sequence[Hashable], hop: float, window: float | None = None) -> list[Segment]:
    """Frames `[T]`, one a `hop`, each of `window` (a hop, where None) -> segments of equal neighbours.

    Where windows overlap, the overlap is shared alike between neighbours; where they leave gaps, those stay.
    """
    window, count = hop if window is None else window, len(emotions)
    starts, ends = np.arange(count) * hop, np.arange(count) * hop + window
    if window >= hop:
        starts[1:] += (window - hop) / 2
        ends[:-1] = starts[1:]
    found = []
    for start, end, emotion in zip(starts.tolist(), ends.tolist(), emotions, strict=True):
        if found and found[-1].emotion == emotion and found[-1].end == start:
            start = found.pop().start
        found.append(Segment(start, end, emotion))
    return found


def seconds_right(found: Sequence[Segment], truth: Sequence[Segment]) -> float:
    """For how long two segmentations say the same."""
    return sum(
        max(0.0, min(one.end, other.end) - max(one.start, other.start))
        for one in truth
        for other in found
        if one.emotion == other.emotion
    )


def seconds_of(found: Sequence[Segment], truth: Sequence[Segment]) -> dict[Hashable, tuple[float, float]]:
    """{emotion: (how long it is true, for how much of that it was found)}; `truth` leaves nothing open."""
    told = dict.fromkeys((segment.emotion for segment in truth), (0.0, 0.0))
    for segment in truth:
        lasting, right = told[segment.emotion]
        own = seconds_right([one for one in found if one.emotion == segment.emotion], [segment])
        told[segment.emotion] = lasting + segment.end - segment.start, right + own
    return told


def diarization_error(
    found: Sequence[Segment], truth: Iterable[tuple], duration: float, elsewhere: Hashable
) -> float:
    """Emotion diarization error rate: false alarms, missed and confused time, as a share of `duration`.

    `truth`: segments, of any number; the rest is `elsewhere`. What `found` leaves open is wrong. Source: Wang et al.
    2023, arXiv 2306.12991, whose implementation knows one emotional segment a recording.
    """
    return 1 - seconds_right(found, filled(truth, duration, elsewhere)) / duration


def emotions_at(times: ArrayLike, segments: Iterable[tuple], elsewhere: Hashable) -> np.ndarray:
    """The emotion `[T]` of the segment that each of `times` `[T]` lies in."""
    times = np.asarray(times, dtype=float)
    emotions = np.full(len(times), elsewhere, dtype=object)
    for start, end, emotion in segments:
        emotions[(times >= start) & (times < end)] = emotion
    return emotions


def boundary_error(found: Sequence[Segment], truth: Sequence[Segment]) -> float:
    """Mean distance of a true boundary from the nearest that was found, and of one found from the nearest true one,
    both alike; NaN where either has none."""
    ours, theirs = (np.array([after.start for _, after in pairwise(one)]) for one in (found, truth))
    if not len(ours) or not len(theirs):
        return np.nan
    apart = np.abs(ours[:, None] - theirs)
    return float((apart.min(0).mean() + apart.min(1).mean()) / 2)


def separation(scores: ArrayLike, inside: ArrayLike) -> tuple[float, float]:
    """(AUC, average precision) of frame scores `[T]` for the frames that are `inside` `[T]` an emotional segment; NaN
    where all or none are."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    inside = np.asarray(inside, dtype=bool)
    if inside.all() or not inside.any():
        return np.nan, np.nan
    return float(roc_auc_score(inside, scores)), float(average_precision_score(inside, scores))
