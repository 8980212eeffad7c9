"""Splices: a speaker's neutral and emotional utterances joined, so that it is known where the emotion is.

The patterns are those of Wang et al. 2023 (arXiv 2306.12991) and two with more segments; joining, levels and trimming
are ours. All pieces of a splice are of one speaker, so splices are in the part of a fold that their speaker is in.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from serflow.audio import RATE, from_int16, to_int16
from serflow.errors import UserError
from serflow.frames import FrameStore, writing_frames

if TYPE_CHECKING:
    import pandas as pd

PATTERNS = ("ne", "en", "nen", "ee", "nenen", "nenenen")  # n: neutral, e: emotional; ee: two of one emotion
SEAM = "nn"  # the control: what finds this seam finds seams, not emotion
NEUTRAL = "neutral"
FADE = RATE // 50  # samples that neighbours share, cross-faded
LEVEL = 0.05  # root mean square of every piece: none is known by being louder
FRAME, FLOOR = RATE // 50, 0.1  # silence at the ends: frames softer than this share of the loudest
SKIPPED = 0.1, 0.35  # share of a recording that is cut off where another follows or goes before: a seam at the end of
# a sentence is found by what sentences end and begin with (AUC .8 to .9 on EMO-DB)


class Piece(NamedTuple):
    """A recording but for shares of it that are skipped at its start and end."""

    utterance: str
    emotion: str
    start: float = 0.0
    end: float = 0.0


class Splice(NamedTuple):
    name: str
    speaker: str
    pattern: str
    pieces: tuple[Piece, ...]


def planned(utterances: pd.DataFrame, patterns: Collection[str], seed: int) -> list[Splice]:
    """What to join: of every speaker and pattern as many splices as each emotion needs to be in one, and as many of
    two neutral utterances as of a pattern.

    `utterances`: a frame with utterance, speaker and emotion. No recording is twice in a splice; a pattern that a
    speaker has too few neutral recordings or emotions for is left out. The same seed gives the same plan. UserError
    where there is nothing to join.
    """
    found = []
    for number, (speaker, own) in enumerate(utterances.groupby("speaker", sort=True)):
        rng = np.random.default_rng([seed, number])
        recordings = {name: sorted(part["utterance"]) for name, part in own.groupby("emotion", sort=True)}
        neutral = recordings.pop(NEUTRAL, [])
        for pattern in (*patterns, SEAM) if recordings else ():
            for count, pieces in enumerate(_of_pattern(pattern, neutral, recordings, rng)):
                found.append(Splice(f"{speaker}-{pattern}-{count}", str(speaker), pattern, pieces))
    if not any(splice.pattern != SEAM for splice in found):
        raise UserError(
            "splices: no speaker has neutral and emotional recordings enough for "
            f"{', '.join(patterns)}: let splices.patterns be [], or choose a corpus with a class named {NEUTRAL}."
        )
    return found


def _of_pattern(pattern, neutral, recordings, rng):
    """The pieces of a speaker's splices of a pattern."""
    emotions = [name for name in recordings if pattern != "ee" or len(recordings[name]) > 1]
    several = 1 if pattern in ("ee", SEAM) else pattern.count("e")  # different emotions in a splice
    if pattern.count("n") > len(neutral) or several > len(emotions):
        return
    order = [emotions[place] for place in rng.permutation(len(emotions))]
    for first in range(0, len(order), several):
        silent = iter(rng.choice(neutral, pattern.count("n"), replace=False).tolist())
        own = (order * 2)[first : first + several]
        loud = iter([Piece(str(rng.choice(recordings[name])), name) for name in own])
        if pattern == "ee":
            loud = iter([Piece(str(one), own[0]) for one in rng.choice(recordings[own[0]], 2, replace=False)])
        pieces = [Piece(next(silent), NEUTRAL) if kind == "n" else next(loud) for kind in pattern]
        shares, last = rng.uniform(*SKIPPED, (len(pieces), 2)).round(3).tolist(), len(pieces) - 1
        yield tuple(
            piece._replace(start=start * (place > 0), end=end * (place < last))
            for place, (piece, (start, end)) in enumerate(zip(pieces, shares, strict=True))
        )


def joined(pieces: Iterable[Piece], waveforms: Iterable[np.ndarray]) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """Waveforms `[N]` at 16 kHz of the pieces' recordings -> (one waveform `[M]`, (start, end) of each piece in s).

    Silence at the ends is cut and what a piece skips, all have the same level, and neighbours share 20 ms, in the
    middle of which a piece ends and the next begins. What would be clipped lowers the whole.
    """
    pieces = [_levelled(_cut(piece, waveform)) for piece, waveform in zip(pieces, waveforms, strict=True)]
    starts = np.cumsum([0, *(len(piece) - FADE for piece in pieces)])
    waveform = np.zeros(starts[-1] + FADE, dtype=np.float32)
    rise = np.sqrt((np.arange(FADE, dtype=np.float32) + 0.5) / FADE)  # what is unlike adds up by power
    for number, (start, piece) in enumerate(zip(starts, pieces, strict=False)):
        faded = piece.copy()
        if number:
            faded[:FADE] *= rise
        if number < len(pieces) - 1:
            faded[-FADE:] *= rise[::-1]
        waveform[start : start + len(faded)] += faded
    edges = [0.0, *((starts[1:-1] + FADE / 2) / RATE).tolist(), len(waveform) / RATE]
    return waveform / max(1.0, np.abs(waveform).max() / 0.999), list(pairwise(edges))


def write_splices(plan: Iterable[Splice], audio: FrameStore, path: str | Path) -> pd.DataFrame:
    """Join what is planned into a frame store of audio at `path`: a row for every piece, in its order, of splice,
    speaker, pattern, start and end in s, emotion, and the utterance that it was, a recording in the store `audio`."""
    import pandas as pd

    rows = []
    with writing_frames(path, 0, "int16", 1 / RATE) as writer:
        for one in plan:
            waveform, spans = joined(one.pieces, [from_int16(audio[piece.utterance]) for piece in one.pieces])
            writer.append(one.name, to_int16(waveform))
            for piece, (start, end) in zip(one.pieces, spans, strict=True):
                row = one.name, one.speaker, one.pattern, start, end, piece.emotion, piece.utterance
                rows.append(row)
    return pd.DataFrame(rows, columns=["splice", "speaker", "pattern", "start", "end", "emotion", "utterance"])


def heard_alone(plan: Iterable[Splice], utterances: Collection[str]) -> list[Splice]:
    """Those of whose pieces every one is among `utterances`."""
    known = set(utterances)
    return [one for one in plan if all(piece.utterance in known for piece in one.pieces)]


def _cut(piece, waveform):
    """What a piece takes of its recording."""
    samples = np.asarray(waveform, dtype=np.float32)
    count = len(samples) // FRAME
    levels = np.sqrt((samples[: count * FRAME].reshape(count, FRAME) ** 2).mean(1))
    loud = np.flatnonzero(levels >= FLOOR * levels.max()) * FRAME
    first, last = loud[0], loud[-1] + FRAME
    taken = samples[first + int(piece.start * (last - first)) : last - int(piece.end * (last - first))]
    return taken if len(taken) > 4 * FADE else samples


def _levelled(samples):
    return samples * (LEVEL / max(1e-6, float(np.sqrt((samples**2).mean()))))
