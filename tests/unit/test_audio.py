import math

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from serflow import audio


def noise(seconds=1.0, rate=16000, channels=1, seed=0):
    samples = np.random.default_rng(seed).uniform(-0.5, 0.5, (round(seconds * rate), channels))
    return samples.astype(np.float32)


def write(path, samples, rate=16000, **options):
    soundfile.write(path, samples, rate, **options)
    return path


def cut(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


BAD = {
    "missing: no such file": lambda path: path,
    "empty: 0 bytes": lambda path: path.write_bytes(b""),
    "empty: a header without samples": lambda path: write(path, np.zeros((0, 1))),
    "unreadable: Format not recognised.": lambda path: path.write_text("a web page that says 404" * 9),
    "not finite: NaN": lambda path: write(path, np.full((8000, 1), np.nan, np.float32), subtype="FLOAT"),
    "not finite: NaN or infinite": lambda path: write(path, np.float32([0.1, -np.inf] * 4000), subtype="FLOAT"),
    "silent: every sample": lambda path: write(path, np.zeros(8000)),
    "silent: every sample is": lambda path: write(path, np.full(8000, 0.3)),
    "silent: every": lambda path: write(path, noise(channels=1) * [1, -1]),
    "overdriven: float samples reach": lambda path: write(path, noise() * 30000, subtype="FLOAT"),
    "unsupported rate: 44099 Hz": lambda path: write(path, noise(), 44099),
    "unsupported rate: 3 Hz": lambda path: write(path, noise(60, 100), 3),
    "truncated: the header promises 1.00 s, 0.50 s are there": lambda path: cut(write(path, noise()), 0.5006),
}


@pytest.mark.parametrize("reason", BAD)
def test_each_fault_is_named(tmp_path, reason):
    path = tmp_path / "a.wav"
    BAD[reason](path)
    with pytest.raises(audio.AudioFault, match=f"^{reason}"):
        audio.decode(path)
    assert str(audio.inspect(path)[0]).startswith(reason)


@pytest.mark.parametrize("format", sorted({*soundfile.available_formats()} - {"RAW", "XI"}))  # RAW has no header
@pytest.mark.parametrize("share", [0.3, 0.6, 0.85])
def test_a_format_is_refused_or_its_truncation_is_seen(tmp_path, format, share):
    path = write(tmp_path / "a", noise(2), format=format)
    if format not in audio.FORMATS:
        with pytest.raises(audio.AudioFault, match=f"^unsupported format: {format}; convert it to WAV or FLAC$"):
            audio.decode(path)
        return
    assert audio.inspect(path)[0]["seconds"] == 2
    with pytest.raises(audio.AudioFault, match="unreadable" if format == "CAF" else "truncated"):
        audio.decode(cut(path, share))


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "ULAW"])
def test_nist_sphere_counts_samples_of_one_channel(tmp_path, subtype):
    path = write(tmp_path / "a.wav", noise(2, channels=2), format="NIST", subtype=subtype)
    assert audio.inspect(path)[0]["seconds"] == 2
    with pytest.raises(audio.AudioFault, match="truncated: the header promises 2.00 s, 1.[12]"):
        audio.decode(cut(path, 0.6))
    path.write_bytes(path.read_bytes().replace(b"sample_count", b"simple_count"))
    with pytest.raises(audio.AudioFault, match="^unreadable: a NIST SPHERE header without sample_count$"):
        audio.decode(path)


def test_a_codec_that_is_only_read_from_its_start_is_whole_or_truncated(tmp_path):
    path = write(tmp_path / "a.wav", noise(2, 8000), 8000, subtype="GSM610")
    whole, rate = audio.decode(path)
    assert whole.shape == (16000, 1) and rate == 8000
    facts = audio.inspect(path, [(0.5, 1.0), (0.0, 0.5), (0.0, None)])
    assert [fact["seconds"] for fact in facts] == [0.5, 0.5, 2.0]
    np.testing.assert_array_equal(audio.decode(path, 0.5, 1.0)[0], whole[4000:8000])
    with pytest.raises(audio.AudioFault, match="truncated"):
        audio.decode(cut(path, 0.5))


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("mode", ["CONSTANT", "AVERAGE", "VARIABLE"])
def test_mp3_without_its_length_is_of_one_bit_rate_or_refused(tmp_path, rate, mode):
    loud = noise(4, rate) * np.linspace(0.001, 1, 4 * rate)[:, None]
    path = write(tmp_path / "a.mp3", loud, rate, bitrate_mode=mode, compression_level=0.5)
    assert audio.inspect(path)[0]["seconds"] == 4
    path.write_bytes(path.read_bytes().replace(b"Xing", b"None", 1).replace(b"Info", b"None", 1))
    (fact,) = audio.inspect(path)
    if mode == "CONSTANT":
        assert fact["seconds"] == pytest.approx(4, abs=0.3)  # with what fills the first frames and the last
    else:
        assert str(fact).startswith("unsupported format: MP3 of a changing bit rate without its length; convert it")


@pytest.mark.parametrize("mode", ["CONSTANT", "AVERAGE"])
def test_mp3_with_its_length_is_told_to_be_truncated(tmp_path, mode):
    path = write(tmp_path / "a.mp3", noise(4), bitrate_mode=mode, compression_level=0.5)
    with pytest.raises(audio.AudioFault, match="^truncated"):
        audio.decode(cut(path, 0.6))


def test_ogg_that_lost_only_its_last_bytes_is_truncated(tmp_path):
    path = write(tmp_path / "a.ogg", noise())
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(audio.AudioFault, match="truncated"):
        audio.decode(path)


def test_length_unknown_to_a_streaming_encoder_is_no_truncation(tmp_path):
    path = write(tmp_path / "a.wav", noise())
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert audio.inspect(path)[0]["seconds"] == 1.0


def test_headerless_file_is_unreadable(tmp_path):
    (tmp_path / "a.raw").write_bytes(b"abcd" * 99)
    with pytest.raises(audio.AudioFault, match="unreadable: no header"):
        audio.decode(tmp_path / "a.raw")


@pytest.mark.parametrize(("start", "end"), [(0.0, None), (0.25, math.nan), (0.25, 0.5), (0.5, 1.05)])
@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg"])
def test_segment_is_a_slice_of_the_whole(tmp_path, start, end, name):
    path = write(tmp_path / name, noise(1, 8000, 2), 8000)
    whole, rate = audio.decode(path)
    part, _ = audio.decode(path, start, end)
    stop = 1.0 if end is None or math.isnan(end) else end
    assert rate == 8000 and part.dtype == np.float32 and part.shape[1] == 2
    np.testing.assert_array_equal(part, whole[round(start * rate) : round(stop * rate)])


@pytest.mark.parametrize(("start", "end"), [(1.0, None), (2.0, 3.0), (0.5, 1.2)])
def test_segment_outside_the_file(tmp_path, start, end):
    with pytest.raises(audio.AudioFault, match="outside: from"):
        audio.decode(write(tmp_path / "a.wav", noise()), start, end)


def test_lengths_are_judged_without_decoding(tmp_path):
    path = write(tmp_path / "a.flac", noise(2))
    facts = audio.inspect(path, [(0, 0.05), (0, 1), (0, None)], min_seconds=0.1, max_seconds=1.5)
    assert str(facts[0]).startswith("too short: 0.050 s") and str(facts[2]).startswith("too long: 2.0 s")
    assert facts[1] | {"digest": 0} == {"seconds": 1.0, "sample_rate": 16000, "channels": 1, "digest": 0}
    assert str(audio.inspect(cut(path, 0.5), max_seconds=1.5)[0]).startswith("too long")


def test_digest_is_of_the_samples_not_of_the_container(tmp_path):
    digests = [
        audio.inspect(write(tmp_path / name, audio.to_int16(noise(seed=seed))))[0]["digest"]
        for name, seed in [("a.wav", 0), ("a.flac", 0), ("b.wav", 1)]
    ]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_load_resamples_and_mixes_down(tmp_path, rate):
    time = np.arange(rate) / rate
    left, right = np.sin(2 * np.pi * 440 * time), np.sin(2 * np.pi * 1000 * time)
    samples = audio.load(write(tmp_path / "a.wav", np.stack([left, right], 1), rate, subtype="FLOAT"))
    time = np.arange(audio.RATE) / audio.RATE
    expected = (np.sin(2 * np.pi * 440 * time) + np.sin(2 * np.pi * 1000 * time)) / 2
    assert samples.dtype == np.float32 and samples.shape == (audio.RATE,)
    np.testing.assert_allclose(samples[500:-500], expected[500:-500], atol=0.01)


@given(arrays.arrays(np.int16, st.integers(1, 50)))
def test_to_int16_undoes_decoding(samples):
    np.testing.assert_array_equal(audio.to_int16(samples.astype(np.float32) / 32768), samples)


@given(st.floats(-1e6, 1e6, width=32))
def test_to_int16_rounds_and_clips(value):
    expected = min(max(round(value * 32768), -32768), 32767)
    assert audio.to_int16(np.float32([value]))[0] == expected
