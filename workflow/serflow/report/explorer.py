"""A few tested utterances to look at and listen to: waveform, spectrogram, and what every system says of them, all on
one time axis.

Pictures of frames are as wide as there are frames, a pixel each; a `Lane` says where on the axis they begin and end.
"""

from __future__ import annotations

import base64
import colorsys
import io
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
import pandas as pd
import soundfile
from PIL import Image
from scipy import signal

from serflow.audio import RATE, from_int16
from serflow.evaluation.figures import EMOTIONS
from serflow.frames import FrameStore, centres

if TYPE_CHECKING:
    from pathlib import Path

    from serflow.report.corpus import Corpus

LONGEST = 15  # s: longer utterances are shown only where there are no others
COLUMNS, RIVER, BANDS = 400, 40, 96  # of a waveform; height of posteriors and of a spectrogram in pixels
LOUDEST, SOFTEST = 0, -70  # dB of a spectrogram, below its maximum
LONGEST_HOP = 0.1  # s between tokens that are frames, not segments
EVEN = 1e-4  # shares in the pooling that differ less are those of a head without attention


@dataclass(frozen=True)
class Lane:
    """A strip from `left` to `left + width` (% of the axis): a `path` in a box of 1000 x 100, or a `picture` (a data
    URI). `system`: of which, None for what all share."""

    kind: str
    title: str
    left: float
    width: float
    path: str | None = None
    picture: str | None = None
    system: str | None = None


@dataclass(frozen=True)
class Guess:
    """What a system says of an utterance: a probability per class, the mean over seeds."""

    system: str
    title: str
    probabilities: list[float]
    prediction: str
    right: bool

    @property
    def confidence(self) -> float:
        return max(self.probabilities)


@dataclass(frozen=True)
class Utterance:
    name: str
    speaker: str
    gender: str
    emotion: str
    seconds: float
    guesses: list[Guess]
    lanes: list[Lane]
    audio: str | None


class Explorer:
    """Of a corpus, at most `count` utterances; `audio`: whether with the speech itself."""

    def __init__(self, corpus: Corpus, count: int, audio: bool) -> None:
        self.corpus, self.count, self.audio = corpus, count, audio
        self.classes = corpus.classes
        self.store = _store(corpus.folder / "corpus/audio.arrow")

    @cached_property
    def guesses(self) -> pd.DataFrame:
        """Frame utterance, system, fold and a column p_<class> each: means over seeds."""
        columns, frames = [f"p_{name}" for name in self.classes], []
        for system, own in self.corpus.predictions.items():
            utterances = own.groupby("utterance")
            frames.append(utterances[columns].mean().assign(fold=utterances["fold"].first(), system=system))
        return pd.concat(frames).reset_index() if frames else pd.DataFrame(columns=["utterance"])

    @cached_property
    def chosen(self) -> list[str]:
        """As many utterances of every class, from those that no system gets right to those that all do."""
        if self.store is None or self.corpus.utterances is None or not len(self.guesses):
            return []
        known = self.corpus.utterances.set_index("utterance")
        predicted = self.guesses[[f"p_{name}" for name in self.classes]].to_numpy().argmax(1)
        right = np.array(self.classes)[predicted] == known["emotion"].loc[self.guesses["utterance"]].to_numpy()
        share = pd.Series(right).groupby(self.guesses["utterance"].to_numpy()).mean().rename("share")
        tested = known[known.index.isin(self.store.utterances)].join(share, how="inner")
        short = tested[tested["seconds"] <= LONGEST]
        tested, found = short if len(short) else tested, []
        for _, own in tested.groupby("emotion"):
            ordered = own.reset_index().sort_values(["share", "utterance"])["utterance"].tolist()
            places = np.linspace(0, len(ordered) - 1, min(len(ordered), max(1, self.count // len(self.classes))))
            found += [ordered[place] for place in dict.fromkeys(places.round().astype(int))]
        return found

    @cached_property
    def systems(self) -> list[str]:
        return list(self.corpus.predictions)

    @property
    def first(self) -> str:
        """The system to show first: the best that says something of frames, or the best."""
        framed = {lane.system for utterance in self.utterances for lane in utterance.lanes if lane.system}
        return self.corpus.rows.loc[[name for name in self.systems if name in framed] or self.systems, "UA"].idxmax()

    @cached_property
    def utterances(self) -> list[Utterance]:
        own = self.guesses[self.guesses["utterance"].isin(self.chosen)]
        return [self._shown(name, part) for name in self.chosen for part in [own[own["utterance"] == name]]]

    def _shown(self, name, rows):
        known = self.corpus.utterances.set_index("utterance").loc[name]
        samples = self.store[name]
        seconds, titles, guesses = len(samples) / RATE, self.corpus.rows["name"], []
        for row in rows.to_dict("records"):
            probabilities = [round(row[f"p_{name}"], 4) for name in self.classes]
            prediction = self.classes[int(np.nanargmax(probabilities))]
            told = row["system"], titles[row["system"]], probabilities, prediction, prediction == known["emotion"]
            guesses.append(Guess(*told))
        lanes = [
            Lane("waveform", "Waveform", 0, 100, path=waveform(samples)),
            Lane("spectrogram", f"Spectrogram, 0 to {RATE // 2000}\xa0kHz", 0, 100, picture=spectrogram(samples)),
            *self._intensities(name, seconds, int(rows["fold"].iloc[0])),
            *self._units(name, seconds),
            *(lane for row in rows.itertuples() for lane in self._frames(name, seconds, row.system, row.fold)),
        ]
        gender = known["gender"] if isinstance(known["gender"], str) and known["gender"] else "-"
        told = str(known["speaker"]), gender, known["emotion"], seconds, guesses, lanes
        return Utterance(name, *told, flac(samples) if self.audio else None)

    def _intensities(self, name, seconds, fold):
        """Of the fold that tests the utterance, where it is learned, by the network of the first seed."""
        for path in sorted(self.corpus.folder.glob("intensity/*/frames.arrow")):
            yield from self._intensity(path, name, seconds)
        for path in sorted(self.corpus.folder.glob(f"fold-{fold}/{self._seed}/intensity/*/frames.arrow")):
            yield from self._intensity(path, name, seconds)

    def _intensity(self, path, name, seconds):
        store = _store(path)
        if name in store.utterances:
            values = np.asarray(store[name], dtype=float).reshape(-1)
            span = np.nanmax(values) - np.nanmin(values) or 1
            scaled = (values - np.nanmin(values)) / span
            left, width = _span(len(values), store.hop, seconds)
            yield Lane("intensity", f"Intensity: {path.parent.name}", left, width, path=area(scaled))

    def _units(self, name, seconds):
        """By the clustering of the first pool that heard the utterance: none of a fold hears those that it tests."""
        shown = set()
        for units, _, path in self.corpus.made_in_pools("units/*/units.arrow"):
            if units not in shown and name in _store(path).utterances:
                shown.add(units)
                store = _store(path)
                left, width = _span(len(store[name]), store.hop, seconds)
                yield Lane("units", f"Units: {units}", left, width, picture=strip(np.asarray(store[name])))

    def _frames(self, name, seconds, system, fold):
        """Attention, where the system has any, and posteriors, of the first seed."""
        folder = self.corpus.folder / f"systems/{system}/fold-{fold}"
        path = next(iter(sorted(folder.glob("seed-*/frames.arrow"))), None)
        store = path and _store(path)
        columns = ["weight", *(f"p_{name}" for name in self.classes)]
        if store and store.columns == columns and name in store.utterances:
            values = np.nan_to_num(np.asarray(store[name], dtype=float))
            by_segment = store.hop > LONGEST_HOP  # of models whose tokens are no frames
            left, width = (0, 100) if by_segment else _span(len(values), store.hop, seconds)
            shares, posteriors = values[:, 0], values[:, 1:]
            if np.ptp(shares) > EVEN:
                attention = area(shares / shares.max())
                yield Lane("attention", "Attention", left, width, path=attention, system=system)
            title = f"Emotion by {'segment' if by_segment else 'half second'}"
            yield Lane("posteriors", title, left, width, picture=river(posteriors), system=system)

    @cached_property
    def _seed(self):
        """The folder of the first seed."""
        seeds = {path.name for path in self.corpus.folder.glob("fold-*/seed-*")}
        return min(seeds, key=lambda name: int(name.split("-")[1]), default=None)


def waveform(samples: np.ndarray) -> str:
    """int16 `[N]` -> the outline of a waveform, scaled to its peak, as the path of an SVG of 1000 x 100."""
    parts = np.array_split(np.asarray(samples, dtype=float), min(COLUMNS, len(samples)))
    peak = max(np.abs(samples.astype(float)).max(), 1)
    low, high = (np.array([bound(part) for part in parts]) / peak for bound in (np.min, np.max))
    across = np.linspace(0, 1000, len(parts))
    above, below = (np.column_stack([across, 50 - 48 * bound]) for bound in (high, low))
    return _path([*above, *below[::-1]])


def area(values: np.ndarray) -> str:
    """`[T]` in [0, 1] -> the area below it as the path of an SVG of 1000 x 100, a step a frame."""
    edges = np.linspace(0, 1000, len(values) + 1)
    heights = 100 - 96 * np.asarray(values)
    steps = np.column_stack([np.repeat(edges, 2)[1:-1], np.repeat(heights, 2)])
    return _path([(0, 100), *steps, (1000, 100)])


def _path(points):
    return "M" + "L".join(f"{x:.0f} {y:.0f}" for x, y in points) + "Z"


def spectrogram(samples: np.ndarray) -> str:
    """int16 `[N]` -> a picture of 25 ms windows, 10 ms apart, low frequencies below, as a data URI."""
    size, hop = round(0.025 * RATE), round(0.01 * RATE)
    padded = np.pad(from_int16(samples), (0, max(0, size - len(samples))))
    transform = signal.ShortTimeFFT(np.hanning(size), hop, RATE, mfft=512, scale_to="magnitude")
    power = transform.spectrogram(padded, p0=0, p1=max(1, 1 + (len(padded) - 1) // hop))
    rows = np.array_split(power, BANDS)
    decibels = 10 * np.log10(np.stack([row.mean(0) for row in rows[::-1]]) + 1e-12)
    scaled = np.clip((decibels - decibels.max() - SOFTEST) / (LOUDEST - SOFTEST), 0, 1)
    colors = (255 * matplotlib.colormaps["magma"](scaled)[..., :3]).astype(np.uint8)
    return _uri(Image.fromarray(colors), "webp", quality=70)


def river(posteriors: np.ndarray) -> str:
    """`[T, C]` -> a picture whose columns are shared out among the classes' colours, as a data URI."""
    totals = posteriors.sum(1, keepdims=True)
    shares = np.divide(posteriors, totals, out=np.full(posteriors.shape, 1 / posteriors.shape[1]), where=totals > 0)
    edges = np.cumsum(shares, 1)
    rows = (np.arange(RIVER) + 0.5) / RIVER
    classes = (rows[:, None, None] > edges[None]).sum(-1).clip(max=posteriors.shape[1] - 1)
    return _paletted(classes, [EMOTIONS[number % len(EMOTIONS)] for number in range(posteriors.shape[1])])


def strip(units: np.ndarray) -> str:
    """Units `[T]` -> a picture one pixel high in which each has a colour, which only tells it from others."""
    colors = [
        colorsys.hls_to_rgb(number * 0.381966 % 1, (0.45, 0.6, 0.75)[number % 3], 0.55) for number in range(256)
    ]
    named = [f"#{''.join(f'{round(255 * part):02x}' for part in color)}" for color in colors]
    return _paletted(np.asarray(units)[None] % 256, named)


def flac(samples: np.ndarray) -> str:
    """int16 `[N]` at 16 kHz as a data URI."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, RATE, format="FLAC", subtype="PCM_16")
    return f"data:audio/flac;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _paletted(numbers, colors):
    picture = Image.fromarray(numbers.astype(np.uint8), "P")
    picture.putpalette([channel for color in colors for channel in bytes.fromhex(color[1:])])
    return _uri(picture, "png", optimize=True)


def _uri(picture, form, **options):
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return f"data:image/{form};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _span(frames, hop, seconds):
    """Where `frames` lie on an axis of `seconds`, in %: each reaches half a hop beyond its centre."""
    first = centres(1, hop)[0] - hop / 2
    left, right = max(first, 0), min(first + frames * hop, seconds)
    return round(100 * left / seconds, 3), round(100 * (right - left) / seconds, 3)


@cache
def _store(path: Path) -> FrameStore | None:
    return FrameStore(path) if path.is_file() else None
