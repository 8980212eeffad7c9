"""Audio files in, samples out: decode with every fault named, mix down, resample."""

import contextlib
import hashlib
import io
import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile

RATE = 16000  # Hz, of everything that leaves `load`
TOLERANCE = 0.1  # s that a header or a segment's end may overstate: writers and annotators round (ours)
STREAMED = 0x7FFF0000  # bytes: sizes from here on are what encoders write when they cannot know the length
LOWEST_RATE = 4000  # Hz: half of telephone speech, below which there are no vowels to tell apart (ours)
LARGEST_RATIO = 2000  # torchaudio's kernel grows with rate / gcd(rate, RATE): 44099 Hz would take 12 GB
# Those of libsndfile that show when a part of them is missing.
FORMATS = {"WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC", "OGG", "MP3", "NIST"}


class AudioFault(ValueError):
    """Why a recording cannot be used, as `kind: detail`."""


def decode(path: str | Path, start: float = 0.0, end: float | None = None) -> tuple[np.ndarray, int]:
    """Samples float32 [n, channels] and rate in Hz, from `start` to `end` (seconds; None or NaN: file's end).

    Raises AudioFault: missing, unreadable, empty, unsupported format, unsupported rate, truncated, outside (the
    file), too short, not finite, silent, overdriven.
    """
    with _opened(path) as file:
        return _read(file, start, end), file.samplerate


def load(path: str | Path, start: float = 0.0, end: float | None = None) -> np.ndarray:
    """Samples float32 [n], 16 kHz, the mean of the channels, of 16 bits as every stage reads them. Raises
    AudioFault."""
    return standard(*decode(path, start, end))


def parts(path: str | Path, spans: Iterable[tuple]) -> Iterator[np.ndarray | AudioFault]:
    """`load` for each (start, end) in `spans`, the file being opened once; a part's AudioFault is not raised."""
    with _opened(path) as file:
        for start, end in spans:
            try:
                yield standard(_read(file, start, end), file.samplerate)
            except AudioFault as fault:
                yield fault


def seconds(path: str | Path) -> float:
    """How long a file is, by its header. Raises AudioFault."""
    with _opened(path) as file:
        return file.frames / file.samplerate


def standard(samples: np.ndarray, rate: int) -> np.ndarray:
    """Decoded `samples` float32 [n, channels] at `rate` Hz as `load` gives them."""
    samples = samples.mean(axis=1)
    if rate != RATE:
        import torch
        from torchaudio.functional import resample

        samples = resample(torch.from_numpy(samples), rate, RATE).numpy()
    return from_int16(to_int16(samples))


def to_int16(samples: np.ndarray) -> np.ndarray:
    """Float samples in [-1, 1) as int16: exact for what was decoded from 16 bits or loaded, clipped beyond."""
    return np.clip(np.rint(np.asarray(samples) * 32768.0), -32768, 32767).astype(np.int16)


def from_int16(samples: np.ndarray) -> np.ndarray:
    """What `to_int16` stored, as float32 in [-1, 1)."""
    return samples.astype(np.float32) / 32768.0


def inspect(
    path: str | Path, spans: Sequence[tuple] = ((0.0, None),), min_seconds: float = 0.0, max_seconds: float = math.inf
) -> list[dict | AudioFault]:
    """One entry for each (start, end) in `spans`, the file being opened once: an AudioFault, not raised, or
    a dict of seconds, sample_rate and channels (as stored) and digest (SHA-256 of the decoded samples).
    """
    try:
        with _opened(path) as file:
            return [_inspect(file, start, end, min_seconds, max_seconds) for start, end in spans]
    except AudioFault as fault:
        return [fault] * len(spans)


def _inspect(file, start, end, min_seconds, max_seconds):
    try:
        samples = _read(file, start, end, min_seconds, max_seconds)
    except AudioFault as fault:
        return fault
    rate, channels = file.samplerate, file.channels
    digest = hashlib.sha256(f"{rate} {channels} ".encode() + samples.tobytes()).hexdigest()
    return {"seconds": len(samples) / rate, "sample_rate": rate, "channels": channels, "digest": digest}


@contextlib.contextmanager
def _opened(path):
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise AudioFault("missing: no such file")
    if os.path.getsize(path) == 0:
        raise AudioFault("empty: 0 bytes")
    try:
        file = soundfile.SoundFile(os.fsencode(path))  # whose name need not be UTF-8
    except soundfile.LibsndfileError as error:
        raise AudioFault(f"unreadable: {error.error_string}") from error
    except TypeError as error:  # what soundfile makes of the suffix .raw
        raise AudioFault("unreadable: no header that tells rate and channels") from error
    with file:
        if file.format not in FORMATS:
            raise AudioFault(f"unsupported format: {file.format}; convert it to WAV or FLAC")
        if file.format == "OGG" and not _last_page_complete(path):
            raise AudioFault("truncated: the Ogg stream lacks its last page")
        if file.frames == 0:
            raise AudioFault("empty: a header without samples")
        if file.format == "MP3" and not _length_known(file):
            untold = "MP3 of a changing bit rate without its length"
            raise AudioFault(f"unsupported format: {untold}; convert it to WAV or FLAC")
        check_rate(file.samplerate)
        promised = _promised(file)
        if promised - file.frames > TOLERANCE * file.samplerate:
            there, promised = file.frames / file.samplerate, promised / file.samplerate
            raise AudioFault(f"truncated: the header promises {promised:.2f} s, {there:.2f} s are there")
        with contextlib.nullcontext(file) if file.seekable() else _seekable(file) as decoded:
            yield decoded


def _promised(file):
    """Frames by the header: of a file that has fewer, libsndfile only logs it, or, of NIST SPHERE, says nothing. The
    keys are those of WAV, AIFF, AU, RF64 and W64."""
    if file.format == "NIST":
        with open(file.name, "rb") as header:
            counted = re.search(rb"^sample_count -i (\d+)", header.read(1024), re.MULTILINE)
        if not counted:
            raise AudioFault("unreadable: a NIST SPHERE header without sample_count")
        return int(counted[1])
    keys = "data|SSND|Data Size|Riff size|riff"
    found = re.search(rf"^\s*(?:{keys})\s*: (\d+) \(should be (\d+)\)", file.extra_info, re.MULTILINE)
    promised, present = map(int, found.groups()) if found else (1, 1)
    return file.frames * (promised / present if promised < STREAMED and present else 1)


def _seekable(file):
    """What a codec that can only be read from the start, as GSM 6.10, holds."""
    samples, whole = file.read(file.frames, dtype="float32", always_2d=True), io.BytesIO()
    soundfile.write(whole, samples, file.samplerate, "FLOAT", format="WAV")
    whole.seek(0)
    return soundfile.SoundFile(whole)


def _last_page_complete(path):
    """Whether an Ogg file's last page is whole and marked as the stream's end (RFC 3533, section 6)."""
    with open(path, "rb") as file:
        file.seek(max(os.path.getsize(path) - 65536, 0))
        tail = file.read()
    page = tail[max(tail.rfind(b"OggS"), 0) :]
    lacing = page[27 : 27 + page[26]] if len(page) > 26 else b""
    return bool(lacing) and bool(page[5] & 4) and len(page) >= 27 + page[26] + sum(lacing)


def _length_known(file):
    """Whether an MP3 file has a header with its length (Xing, Info or VBRI), or as many frames of one bit rate as
    libsndfile guesses by the first one."""
    if not re.search(r"bitrate mode\s*: constant", file.extra_info):
        return True
    with open(file.name, "rb") as whole:
        content = whole.read()
    found = re.findall(rb"\xff([\xe2-\xff])([\x10-\xef])", content)
    if b"Info\0\0\0" in content or not found:
        return bool(found)
    kinds = Counter((kind[0], rate[0] & ~2) for kind, rate in found)  # without the bit of padding
    (kind, _), count = kinds.most_common(1)[0]
    samples = 576 if kind & 0x0E == 2 else 1152  # of a frame: MPEG 2 and 2.5 halve those of layer III
    return abs(count * samples - file.frames) < TOLERANCE * file.samplerate + 4 * samples  # encoders fill some


def _read(file, start, end, min_seconds=0.0, max_seconds=math.inf):
    rate, length = file.samplerate, file.frames / file.samplerate
    to_end = end is None or math.isnan(end)
    if start >= length or (not to_end and end > length + TOLERANCE):
        ends = "" if to_end else f" to {end:g} s"
        raise AudioFault(f"outside: from {start:g} s{ends} of a file of {length:.2f} s")
    first = round(start * rate)
    wanted = (file.frames if to_end else min(round(end * rate), file.frames)) - first
    # Told from the header, so that hours of audio are not decoded to learn that they are too long.
    if wanted < max(min_seconds * rate, 1):
        raise AudioFault(f"too short: {wanted / rate:.3f} s, at least {min_seconds:g} s is needed")
    if wanted > max_seconds * rate:
        raise AudioFault(f"too long: {wanted / rate:.1f} s, at most {max_seconds:g} s is allowed")
    try:
        file.seek(first)
        samples = file.read(wanted, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise AudioFault("truncated: decoding stops before the end") from error
    if wanted - len(samples) > TOLERANCE * rate or not len(samples):
        raise AudioFault(f"truncated: {wanted / rate:.2f} s promised, {len(samples) / rate:.2f} s decoded")
    check_samples(samples)
    return samples


def check_rate(rate: int) -> None:
    """AudioFault for a rate in Hz from which nothing can be resampled."""
    if rate < LOWEST_RATE or rate // math.gcd(rate, RATE) > LARGEST_RATIO:
        raise AudioFault(f"unsupported rate: {rate} Hz")


def check_samples(samples: np.ndarray) -> None:
    """AudioFault for float samples [n, channels] in which nothing can be heard."""
    if not np.isfinite(samples).all():
        raise AudioFault("not finite: NaN or infinite samples")
    mono = samples.mean(axis=1)  # what will be heard: opposite channels cancel
    peak = float(np.abs(mono).max())
    if peak < 2**-15 or np.ptp(mono) == 0:
        raise AudioFault("silent: every sample is the same or below one 16-bit step")
    if peak > 2:  # lossy codecs overshoot 1 a little; floats on the int16 scale would be clipped to noise
        raise AudioFault(f"overdriven: float samples reach {peak:g}, full scale is 1")
