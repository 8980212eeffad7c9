"""The built-in demo corpus: pseudo-speech in moods, with the true intensity of every frame (ours).

A source-filter synthesiser: glottal pulses and noise, shaped by moving formants. Eight numbers say how a
voice speaks; speaker, utterance and emotion each add to them, the emotion in proportion to its intensity.
"""

import io
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from numpy.lib.stride_tricks import sliding_window_view

from serflow.artifacts import replacing
from serflow.errors import UserError

RATE = 16_000
HOP = 80  # the controls move every 5 ms
COLUMNS = ["utterance", "path", "speaker", "gender", "text", "emotion"]
TABLE = {"index": False, "lineterminator": "\n"}
LAYOUT = "labels.csv and the folders wav and intensity that serflow.corpora.demo.synthesise writes"

# Phones: seconds, F1 F2 F3 (Hz), loudness of voicing, aspiration and frication, centre of the frication (Hz).
# Vowels: men's means of Peterson & Barney (1952). Consonants: formants after Klatt (1980), the rest ours.
PHONES = {
    "i": (0.09, 270, 2290, 3010, 1.0, 0.0, 0.0, 4000),
    "e": (0.10, 530, 1840, 2480, 1.0, 0.0, 0.0, 4000),
    "ae": (0.12, 660, 1720, 2410, 1.0, 0.0, 0.0, 4000),
    "a": (0.12, 730, 1090, 2440, 1.0, 0.0, 0.0, 4000),
    "o": (0.11, 570, 840, 2410, 1.0, 0.0, 0.0, 4000),
    "u": (0.09, 300, 870, 2240, 1.0, 0.0, 0.0, 4000),
    "er": (0.11, 490, 1350, 1690, 1.0, 0.0, 0.0, 4000),
    "m": (0.07, 250, 1000, 2200, 0.4, 0.0, 0.0, 4000),
    "n": (0.06, 250, 1600, 2600, 0.4, 0.0, 0.0, 4000),
    "l": (0.06, 310, 1050, 2880, 0.6, 0.0, 0.0, 4000),
    "r": (0.06, 310, 1060, 1380, 0.6, 0.0, 0.0, 4000),
    "w": (0.06, 290, 610, 2150, 0.6, 0.0, 0.0, 4000),
    "y": (0.06, 260, 2070, 3020, 0.6, 0.0, 0.0, 4000),
    "h": (0.06, 500, 1500, 2500, 0.1, 1.0, 0.0, 4000),
    "s": (0.10, 320, 1390, 2530, 0.0, 0.1, 0.5, 6500),
    "sh": (0.10, 300, 1840, 2750, 0.0, 0.1, 0.6, 3200),
    "f": (0.09, 340, 1100, 2080, 0.0, 0.2, 0.1, 5000),
    "z": (0.07, 240, 1390, 2530, 0.3, 0.0, 0.25, 6500),
    "v": (0.06, 220, 1100, 2080, 0.4, 0.0, 0.05, 5000),
    "p": (0.02, 400, 1100, 2150, 0.0, 0.6, 0.3, 1000),
    "t": (0.03, 400, 1600, 2600, 0.0, 0.5, 0.7, 5000),
    "k": (0.03, 300, 1990, 2850, 0.0, 0.6, 0.7, 2000),
    "b": (0.01, 200, 1100, 2150, 0.4, 0.0, 0.3, 1000),
    "d": (0.01, 200, 1600, 2600, 0.4, 0.0, 0.5, 5000),
    "g": (0.02, 200, 1990, 2850, 0.4, 0.0, 0.5, 2000),
}
VOWELS, CODAS = ["i", "e", "ae", "a", "o", "u", "er"], ["n", "m", "l", "s", "t", "k"]
ONSETS = [phone for phone in PHONES if phone not in VOWELS]
SILENCE = (0.10, 500, 1500, 2500, 0.0, 0.0, 0.0, 4000)
HIGHER_FORMANTS = np.array([3500, 4500, 5600])  # of a 17 cm tube; they hardly move

# How a voice speaks: pitch (semitones above 100 Hz), its range (log), rate (log), energy (dB), spectral tilt
# (dB/octave), jitter (log), breathiness (dB), formants (log): the columns of the tables below.
PITCH, RANGE, PACE, ENERGY, TILT, JITTER, BREATH, TRACT = range(8)

# An emotion adds this at e = 1. Sizes ours; directions after Scherer (2003) and Juslin & Laukka (2003).
EMOTIONS = {
    "neutral": (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    "anger": (5.0, 0.3, 0.30, 8.0, 7.0, 2.4, -6.0, 0.00),
    "happiness": (7.0, 1.2, 0.20, 4.0, 2.0, -0.5, -3.0, 0.12),
    "sadness": (-2.5, -1.5, -0.38, -7.0, -5.0, 0.7, 10.0, -0.05),
    "fear": (7.0, -0.5, 0.40, 1.0, 1.5, 2.0, 6.0, 0.05),
    "disgust": (-2.5, 0.3, -0.35, 2.0, 2.0, 1.4, -4.0, -0.08),
    "boredom": (-3.0, -1.5, -0.45, -4.0, -1.5, -0.4, 0.0, -0.02),
    "surprise": (8.0, 1.4, -0.05, 4.0, 1.0, -0.4, 4.0, 0.04),
}
GENDERS = {"female": (175, 240, 0.15), "male": (95, 140, 0.0)}  # range of mean F0 (Hz), formants (log)
# Standard deviations: between speakers, between utterances, and (log) of how strongly either shows a cue.
# Set so that eGeMAPS functionals with a linear SVM reach a UA of about .85 on unseen speakers.
SPEAKER_SPREAD = np.array([0.0, 0.12, 0.06, 2.5, 0.6, 0.2, 2.0, 0.03])
UTTERANCE_SPREAD = np.array([0.5, 0.12, 0.04, 2.0, 0.4, 0.2, 1.5, 0.01])
STYLE_SPREAD = 0.15
SPEAKER, STYLE, SENTENCE, UTTERANCE = range(4)  # second word of a seed: what is drawn from it


def sentence(seed: int, index: int) -> list[list[str]]:
    """Words of pseudo-speech, each a list of phones: 8 syllables, the same for every speaker."""
    rng = np.random.default_rng([seed, SENTENCE, index])
    words = []
    for syllables in rng.permutation([1, 2, 2, 3]):
        word = [phone for _ in range(syllables) for phone in (rng.choice(ONSETS), rng.choice(VOWELS))]
        words.append([*word, rng.choice(CODAS)] if rng.random() < 0.4 else word)
    return words


def segments(words: list[list[str]]) -> tuple[np.ndarray, np.ndarray]:
    """Rows as in PHONES `[S, 8]`, silence at both ends, and the rows of the stressed vowels."""
    rows, stressed = [SILENCE], []
    for word in words:
        for position, phone in enumerate(word):
            if phone in "ptkbdg":  # stops are closed first, the voiced ones with a voice bar
                rows.append((0.05, *PHONES[phone][1:4], PHONES[phone][4] / 4, 0, 0, 4000))
            if position == 1:
                stressed.append(len(rows))
            rows.append(PHONES[phone])
    rows = np.array([*rows, SILENCE])
    rows[stressed, 0] *= 1.25
    rows[-3:-1, 0] *= 1.3  # phrases slow down at their end
    return rows, np.array(stressed)


def speaker(seed: int, index: int) -> tuple[str, np.ndarray]:
    """A voice: its gender and what it adds to the eight numbers, `[8]`. Women and men take turns."""
    gender, (*pitch, tract) = list(GENDERS.items())[index % 2]
    rng = np.random.default_rng([seed, SPEAKER, index])
    voice = SPEAKER_SPREAD * rng.standard_normal(8)
    voice[[PITCH, TRACT]] += 12 * np.log2(rng.uniform(*pitch) / 100), tract
    return gender, voice


def intensity(rng: np.random.Generator, position: np.ndarray) -> np.ndarray:
    """e at `position` in [0, 1]: one or two bumps, peak .6-1, floor .05-.2."""
    count = rng.integers(1, 3)
    centres, widths = rng.uniform(0.1, 0.9, (count, 1)), rng.uniform(0.13, 0.26, (count, 1))
    bumps = np.exp(-0.5 * ((position - centres) / widths) ** 2)
    floor, peak = rng.uniform(0.05, 0.2), rng.uniform(0.6, 1)
    return floor + (peak - floor) * (1 - np.prod(1 - bumps, axis=0))


def utter(seed: int, speaker_index: int, sentence_index: int, emotion: str) -> tuple[np.ndarray, np.ndarray]:
    """One utterance: samples int16 `[160 T]` and the true intensity `[T]`, one value each 10 ms."""
    from scipy.ndimage import gaussian_filter1d  # planning a run imports this module, and has no use for it

    code = list(EMOTIONS).index(emotion)
    rng = np.random.default_rng([seed, UTTERANCE, speaker_index, sentence_index, code])
    style = np.random.default_rng([seed, STYLE, speaker_index, code]).standard_normal(8)
    voice = speaker(seed, speaker_index)[1] + UTTERANCE_SPREAD * rng.standard_normal(8)
    change = EMOTIONS[emotion] * np.exp(STYLE_SPREAD * (style + rng.standard_normal(8)))
    rows, stressed = segments(sentence(seed, sentence_index))

    # Time: `clock` runs through the sentence at the even pace of the phone table; e bends it into seconds.
    ends = np.cumsum(rows[:, 0])
    clock = np.linspace(0, ends[-1], 1000)
    curve = intensity(rng, clock / ends[-1]) * np.clip(np.minimum(clock, ends[-1] - clock) / SILENCE[0], 0, 1)
    curve *= emotion != "neutral"
    seconds = np.cumsum(np.exp(-voice[PACE] - change[PACE] * curve)) * clock[1]
    frames = 2 * int(seconds[-1] * RATE / HOP / 2)
    clock, curve = (np.interp(np.arange(frames) * HOP / RATE, seconds, track) for track in (clock, curve))
    controls = voice + curve[:, None] * change
    target = rows[np.minimum(np.searchsorted(ends, clock), len(rows) - 1)]
    formants = gaussian_filter1d(target[:, 1:4], 4, axis=0) * np.exp(controls[:, TRACT, None])
    voicing, aspiration, frication = gaussian_filter1d(target[:, 4:7], 1.2, axis=0).T

    # Intonation: declination and an accent on every word, the wider the larger the range.
    centres, heights = ends[stressed] - rows[stressed, 0] / 2, rng.uniform(1, 4, len(stressed))
    accents = np.exp(-0.5 * ((clock[:, None] - centres) / 0.09) ** 2) @ heights
    melody = accents + 3 * (1 - clock / ends[-1])
    f0 = 100 * np.exp2((controls[:, PITCH] - 2.5 + np.exp(controls[:, RANGE]) * melody) / 12)
    loudness = 10 ** ((controls[:, ENERGY] + 0.8 * accents) / 20)
    aspiration = 0.6 * aspiration + 3 * voicing * 10 ** ((controls[:, BREATH] - 26) / 20)
    jitter = 0.006 * np.exp(controls[:, JITTER])

    glottis = source(rng, f0, jitter, voicing * loudness, aspiration * loudness)
    hiss = rng.standard_normal(frames * HOP) * to_samples(frication * loudness)
    frequency = np.fft.rfftfreq(10 * HOP, 1 / RATE)
    tilt = np.exp2(np.log2(np.maximum(frequency, 100) / 700) * controls[:, TILT, None] / 6.02)
    tract = tilt * vocal_tract(frequency, formants, np.exp(voice[TRACT]))
    mouth = np.sqrt(tilt) / (1 + ((frequency - target[:, 7, None]) / 1200) ** 2)
    speech = filtered((glottis, tract), (hiss, 0.7 * mouth))
    samples = 0.002 * speech + 0.00025 * rng.standard_normal(len(speech))
    return np.round(32767 * np.clip(samples, -1, 1)).astype(np.int16), curve[::2]


def to_samples(control: np.ndarray) -> np.ndarray:
    """A control of every 5 ms, at every sample."""
    return np.interp(np.arange(len(control) * HOP), np.arange(len(control)) * HOP, control)


def source(
    rng: np.random.Generator, f0: np.ndarray, jitter: np.ndarray, voicing: np.ndarray, aspiration: np.ndarray
) -> np.ndarray:
    """Glottal flow derivative (Rosenberg 1971, C) with jitter and shimmer, plus aspiration: `[HOP T]`."""
    f0, jitter = to_samples(f0) / RATE, to_samples(jitter)
    cycle = np.cumsum(f0).astype(int)
    wobble = rng.standard_normal((2, cycle[-1] + 1))[:, cycle] * jitter
    phase = np.cumsum(f0 * (1 + wobble[0])) % 1
    opening, closing = 0.5 - 0.5 * np.cos(np.pi * phase / 0.4), np.cos(np.pi / 2 * (phase - 0.4) / 0.16)
    flow = np.where(phase < 0.4, opening, np.where(phase < 0.56, closing, 0))
    pulses = np.diff(flow, prepend=0) / f0 * (1 + 4 * wobble[1])
    return pulses * to_samples(voicing) + rng.standard_normal(len(pulses)) * to_samples(aspiration)


def vocal_tract(frequency: np.ndarray, formants: np.ndarray, scale: float) -> np.ndarray:
    """Transfer function `[T, F]` of a cascade of resonators (Klatt 1980); `formants` `[T, 3]` in Hz."""
    delay = np.exp(-2j * np.pi * frequency / RATE)

    def resonator(centre, bandwidth):
        radius = np.exp(-np.pi * bandwidth / RATE)
        b, c = 2 * radius * np.cos(2 * np.pi * centre / RATE), -(radius**2)
        return (1 - b - c) / (1 - (b + c * delay) * delay)

    response = np.prod([resonator(f, 0.06 * f) for f in HIGHER_FORMANTS * scale], axis=0)
    f1, f2, f3 = formants.T[:, :, None]
    return response * resonator(f1, 70) * resonator(f2, 100) * resonator(f3, 150)


def filtered(*pairs: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Sum of excitations `[HOP T]`, each through its own response per 5 ms `[T, F]`, by overlap-add."""
    spectrum = 0
    for excitation, response in pairs:
        blocks = sliding_window_view(np.pad(excitation, (HOP, 0)), 2 * HOP)[::HOP]
        spectrum = spectrum + np.fft.rfft(blocks * np.hanning(2 * HOP + 1)[:-1], 10 * HOP) * response
    pieces = np.fft.irfft(spectrum, 10 * HOP).reshape(-1, 10, HOP)
    late = (np.pad(pieces[:, step], ((step, 9 - step), (0, 0))) for step in range(10))
    return sum(late)[1 : len(pieces) + 1].ravel()


def synthesise(
    root: str | Path,
    speakers: int = 8,
    emotions: Sequence[str] = ("neutral", "anger", "happiness", "sadness"),
    sentences: int = 6,
    seed: int = 0,
) -> None:
    """Write the corpus to the folder `root`, replacing all of it: `wav/` (16 kHz mono int16), `labels.csv`
    and `intensity/`, per utterance a table of time (s, every 10 ms) and true intensity (0 to 1).

    The same arguments give the same bytes, and an utterance is the same whichever others are asked for.
    Raises UserError for an emotion that EMOTIONS does not have.
    """
    unknown = [emotion for emotion in emotions if emotion not in EMOTIONS]
    if unknown:
        raise UserError(f"The demo corpus has no emotion {unknown[0]!r}: choose from {', '.join(EMOTIONS)}.")
    labels = []
    with replacing(root) as folder:
        (folder / "wav").mkdir(parents=True)
        (folder / "intensity").mkdir()
        for person, emotion, index in product(range(speakers), emotions, range(sentences)):
            name, gender = f"s{person + 1:02d}", speaker(seed, person)[0]
            utterance = f"{name}_{emotion}_{index + 1}"
            samples, curve = utter(seed, person, index, emotion)
            wav = io.BytesIO()  # libsndfile does not say that a disk is full
            soundfile.write(wav, samples, RATE, subtype="PCM_16", format="WAV")
            (folder / "wav" / f"{utterance}.wav").write_bytes(wav.getvalue())
            frames = pd.DataFrame({"time": np.arange(len(curve)) / 100, "intensity": curve})
            frames.to_csv(folder / "intensity" / f"{utterance}.csv", float_format="%.4f", **TABLE)
            text = " ".join("".join(word) for word in sentence(seed, index))
            labels.append((utterance, f"wav/{utterance}.wav", name, gender, text, emotion))
        pd.DataFrame(labels, columns=COLUMNS).to_csv(folder / "labels.csv", **TABLE)


def scan(root: str | Path) -> pd.DataFrame:
    """A row for each file that `labels.csv` below the folder `root` names; a session is a speaker.

    Raises UserError when labels.csv is missing or is not the table that `synthesise` writes.
    """
    path = Path(root) / "labels.csv"
    try:
        labels = pd.read_csv(path, dtype=str).reindex(columns=COLUMNS)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}): synthesise the demo corpus again.") from error
    incomplete = labels.columns[labels.isna().any()]
    if len(incomplete):
        raise UserError(f"{path} lacks {incomplete[0]!r} in some line: synthesise the demo corpus again.")
    return labels.assign(session=labels["speaker"], label=labels["emotion"])
