"""Other sound: what noise, level, telephones, rooms and codecs make of speech that was recorded well (ours)."""

from __future__ import annotations

import hashlib
import io
from functools import partial

import numpy as np
import soundfile
from scipy.signal import fftconvolve, firwin, resample_poly

from serflow.audio import RATE, from_int16, to_int16

CLEAN = "clean"
FRAME, FLOOR = RATE // 50, 0.1  # speech: frames of 20 ms, no softer than this share of the loudest
LOWEST, FLAT, SLOPE = 100, 500, 1.5  # Hz and power of 1 / f: noise is flat to 500 Hz, then falls by 9 dB an octave
NARROW, BAND, TAPS = 8000, (300, 3400), 255  # of a telephone: rate and band in Hz, and its filter's length
DECAY, DIRECT = 0.5, RATE // 400  # s in which a room loses 60 dB; samples before anything comes back from its walls
OPUS = 0.96  # libsndfile's compression level of 16 kbit/s: 256 kbit/s less 250 times this


def stressed(condition: str, samples: np.ndarray, utterance: str, seed: int) -> np.ndarray:
    """`samples` `[N]` float at 16 kHz, between -1 and 1, in a condition: `[N]` float32 of 16 bits, no sample moved.

    What is drawn at random depends on `utterance` and `seed` alone: the three noises are one, more or less loud.
    KeyError for an unknown condition.
    """
    rng = np.random.default_rng([seed, *hashlib.sha256(utterance.encode()).digest()])
    return from_int16(to_int16(CONDITIONS[condition](np.asarray(samples, dtype=np.float64), rng)))


def speech_level(samples: np.ndarray) -> float:
    """Root mean square of the frames in which somebody speaks; 0 in silence."""
    count = max(1, len(samples) // FRAME)
    power = (samples[: count * FRAME].reshape(count, -1) ** 2).mean(1)
    return float(np.sqrt(power[power >= FLOOR**2 * power.max()].mean()))


def _as_it_is(samples, rng):
    return samples


def _noisy(samples, rng, decibels):
    """With stationary noise of about speech's long-term spectrum, `decibels` below the level of the speech."""
    frequencies = np.fft.rfftfreq(len(samples), 1 / RATE)
    shape = np.minimum(1, FLAT / np.maximum(frequencies, 1)) ** SLOPE * (frequencies >= LOWEST)
    noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(len(samples))) * shape, len(samples))
    noise *= speech_level(samples) * 10 ** (-decibels / 20) / max(1e-9, np.sqrt((noise**2).mean()))
    return _unclipped(samples + noise)


def _amplified(samples, rng, decibels):
    """As recorded at another level; what exceeds full scale is clipped when it is written with 16 bits."""
    return samples * 10 ** (decibels / 20)


def _telephoned(samples, rng):
    """300 to 3400 Hz at 8 kHz, in 8 bits by G.711's mu-law."""
    band = firwin(TAPS, BAND, pass_zero=False, fs=NARROW)
    narrow = fftconvolve(resample_poly(samples, NARROW, RATE), band, mode="same")
    return resample_poly(_coded(narrow, NARROW, format="WAV", subtype="ULAW"), RATE, NARROW)[: len(samples)]


def _reverberant(samples, rng):
    """In a room, where as much sound comes from the walls as from the speaker: noise that decays exponentially."""
    response = rng.standard_normal(round(DECAY * RATE)) * 10 ** (-3 * np.arange(DECAY * RATE) / (DECAY * RATE))
    response[:DIRECT] = 0
    response[0] = np.sqrt((response**2).sum())
    response /= np.sqrt((response**2).sum())
    return _unclipped(fftconvolve(samples, response)[: len(samples)])


def _compressed(samples, rng):
    """Encoded by Opus at 16 kbit/s, and decoded; libsndfile takes the codec's delay away."""
    return _coded(samples, RATE, format="OGG", subtype="OPUS", compression_level=OPUS)


def _coded(samples, rate, **codec):
    """What is left of `samples` in a file of 16 bits or fewer."""
    file = io.BytesIO()
    soundfile.write(file, to_int16(samples), rate, **codec)
    file.seek(0)
    return soundfile.read(file)[0]


def _unclipped(samples):
    """Lowered as a whole where it would exceed full scale."""
    return samples / max(1.0, np.abs(samples).max() / 0.999)


CONDITIONS = {
    CLEAN: _as_it_is,
    "noise-20": partial(_noisy, decibels=20),
    "noise-10": partial(_noisy, decibels=10),
    "noise-0": partial(_noisy, decibels=0),
    "gain-up": partial(_amplified, decibels=12),
    "gain-down": partial(_amplified, decibels=-12),
    "telephone": _telephoned,
    "room": _reverberant,
    "opus-16": _compressed,
}
