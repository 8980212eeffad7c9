import numpy as np
import pytest
import torch
from scipy.signal import get_window

from serflow import features
from serflow.frames import FrameStore, writing_frames


def vowel(seconds=1.0, level=0.1, seed=0):
    """A tone of 150 Hz with overtones, rising in level, in a little noise."""
    time = np.arange(round(seconds * 16000)) / 16000
    tone = sum(np.sin(2 * np.pi * 150 * k * time) / k for k in range(1, 20)) * np.linspace(0.1, 1, len(time))
    return (level * (tone + 0.01 * np.random.default_rng(seed).standard_normal(len(time)))).astype(np.float32)


def mel_energies(samples, window):
    """Kaldi's log-mel energies by hand, `[T, 80]`: no mean, pre-emphasis, window, power, triangles in mel."""
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), 400)[::160]
    frames = frames - frames.mean(1, keepdims=True)
    frames = frames - 0.97 * np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    power = np.abs(np.fft.rfft(frames * window, 512)) ** 2
    mel = 1127 * np.log1p(np.arange(257) * 16000 / 512 / 700)
    edges = np.linspace(1127 * np.log1p(20 / 700), 1127 * np.log1p(8000 / 700), 82)
    left, centre, right = (edges[i : i + 80, None] for i in range(3))
    bank = np.maximum(0, np.minimum((mel - left) / (centre - left), (right - mel) / (right - centre)))
    return np.log(np.maximum(power[:, :256] @ bank[:, :256].T, np.finfo(np.float32).eps))


@pytest.mark.parametrize(
    ("extract", "window"),
    [
        (features.fbank, get_window("hann", 400, fftbins=False) ** 0.85),
        (features.fbank_hamming, get_window("hamming", 400, fftbins=False)),
    ],
)
def test_log_mel_energies_are_kaldis_and_not_normalised(extract, window):
    samples = vowel()
    found = extract(samples)
    assert found.dtype == np.float32 and found.shape == (98, 80)
    np.testing.assert_allclose(found, mel_energies(samples, window), atol=0.01)
    np.testing.assert_allclose(extract(10 * samples) - found, np.log(100), atol=0.1)  # level stays in them


def test_differences_follow_the_static_values():
    samples = vowel()
    static, delta, second = np.split(features.fbank_deltas(samples), 3, axis=1)
    np.testing.assert_array_equal(static, features.fbank(samples))
    for values, slope in ((static, delta), (delta, second)):
        by_hand = (
            sum(n * (values[2 + n : len(values) - 2 + n] - values[2 - n : len(values) - 2 - n]) for n in (1, 2)) / 10
        )
        np.testing.assert_allclose(slope[2:-2], by_hand, atol=1e-4)


@pytest.mark.parametrize("kind", features.WIDTHS)
def test_the_store_holds_features_of_silence_and_of_the_loudest_speech(tmp_path, kind):
    samples = np.concatenate([np.zeros(8000, np.float32), np.clip(vowel(level=3), -1, 1)])
    frames = getattr(features, kind)(samples)
    with writing_frames(tmp_path / "frames.arrow", features.WIDTHS[kind]) as writer:
        writer.append("a", frames)
    np.testing.assert_allclose(FrameStore(tmp_path / "frames.arrow")["a"], frames, rtol=1e-3, atol=1e-3)
    assert torch.from_numpy(frames).isfinite().all()
