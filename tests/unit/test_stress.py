"""Speech in other sound, and what the table says of it."""

import io

import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score
from tests.conftest import PROJECT

from serflow.audio import RATE, to_int16
from serflow.config import schema
from serflow.evaluation.figures import save, stress_curves
from serflow.evaluation.statistics import compare, holm
from serflow.evaluation.stress import COLUMNS, TITLES, TOLD, blocks_of, stress_table, to_markdown
from serflow.stress import CLEAN, CONDITIONS, OPUS, speech_level, stressed

NOISES = {"noise-20": 20, "noise-10": 10, "noise-0": 0}
conditions = st.sampled_from(sorted(CONDITIONS))


def speech(seconds=1.0, seed=0, level=0.1):
    """Buzzing that comes and goes, as syllables do, between silences."""
    times = np.arange(round(seconds * RATE)) / RATE
    rng = np.random.default_rng(seed)
    voice = sum(
        np.sin(2 * np.pi * 120 * harmonic * times + rng.uniform(0, 6)) / harmonic for harmonic in range(1, 30)
    )
    inside = (times > 0.2 * seconds) & (times < 0.8 * seconds)
    return level * voice * (1 + np.sin(2 * np.pi * 4 * times)) * inside


def rms(samples):
    return np.sqrt((np.asarray(samples, dtype=float) ** 2).mean())


def decibels(ratio):
    return 20 * np.log10(ratio)


@given(conditions, st.integers(1, 4000), st.integers(0, 3), st.floats(0, 3), st.booleans())
def test_as_many_samples_of_16_bits_come_out_and_the_same_again(condition, count, seed, level, constant):
    rng = np.random.default_rng(count)
    samples = np.clip(level * (np.ones(count) if constant else rng.standard_normal(count)), -1, 1)
    once, again = (stressed(condition, samples, "a", seed) for _ in range(2))
    assert once.shape == (count,) and once.dtype == np.float32 and np.isfinite(once).all()
    assert np.array_equal(once, again) and np.array_equal(once * 32768, np.rint(once * 32768))
    assert once.min() >= -1 and once.max() < 1


@given(conditions, st.integers(1, 4000))
def test_silence_stays_next_to_silent(condition, count):
    assert np.abs(stressed(condition, np.zeros(count), "a", 0)).max() <= 8 / 32768  # mu-law has no smaller steps


def test_clean_is_what_it_was():
    samples = to_int16(speech()) / 32768
    assert np.array_equal(stressed(CLEAN, samples, "a", 0), samples.astype(np.float32))


@given(st.sampled_from(sorted(NOISES)), st.integers(0, 99), st.floats(0.02, 0.2), st.floats(0.3, 2))
def test_noise_is_as_far_below_the_speech_as_is_asked(condition, seed, peak, seconds):
    samples = speech(seconds, seed)
    samples *= peak / np.abs(samples).max()
    noise = stressed(condition, samples, "a", seed) - samples
    assert decibels(speech_level(samples) / rms(noise)) == pytest.approx(NOISES[condition], abs=0.1)


def test_noise_is_of_the_utterance_and_seed_and_one_at_all_levels():
    samples = speech()
    noises = {name: stressed(name, samples, "a", 0) - samples for name in NOISES}
    assert np.corrcoef(noises["noise-20"], noises["noise-0"])[0, 1] > 0.99
    for other in (("b", 0), ("a", 1)):
        assert abs(np.corrcoef(noises["noise-0"], stressed("noise-0", samples, *other) - samples)[0, 1]) < 0.2


def test_noise_falls_by_9_dB_an_octave_from_500_Hz_on():
    silence = 1e-9 * speech(20)
    noise = stressed("noise-0", speech(20), "a", 0) - stressed("noise-0", silence, "a", 0) - speech(20)
    power = np.abs(np.fft.rfft(noise)) ** 2
    octaves = [power[20 * low : 40 * low].mean() for low in (200, 700, 1400, 2800)]
    falls = [10 * np.log10(low / high) for low, high in zip(octaves[1:], octaves[2:], strict=False)]
    assert falls == pytest.approx([9, 9], abs=0.5) and octaves[0] > octaves[1]


def test_level_is_that_of_the_frames_in_which_somebody_speaks():
    samples = speech()
    assert speech_level(np.concatenate([samples, np.zeros(5 * RATE)])) == pytest.approx(speech_level(samples))
    assert speech_level(samples) > 1.2 * rms(samples)


def test_a_gain_clips_what_is_loud_and_only_that():
    soft, loud = speech(level=0.01), speech(level=0.2)
    for name, gain in {"gain-up": 12, "gain-down": -12}.items():
        assert decibels(rms(stressed(name, soft, "a", 0)) / rms(soft)) == pytest.approx(gain, abs=0.1)
    clipped = stressed("gain-up", loud, "a", 0)
    full = (clipped >= 32767 / 32768) | (clipped == -1)
    assert full.mean() > 0.02 and np.allclose(clipped[~full], 10 ** (12 / 20) * loud[~full], atol=1 / 32768)


@pytest.mark.parametrize(("hertz", "is_heard"), [(100, False), (1000, True), (3000, True), (5000, False)])
def test_a_telephone_lets_pass_300_to_3400_hz(hertz, is_heard):
    tone = 0.3 * np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE)
    heard = stressed("telephone", tone, "a", 0)
    assert decibels(rms(heard) / rms(tone)) == (pytest.approx(0, abs=0.5) if is_heard else pytest.approx(-60, abs=25))
    if is_heard:  # and where it was: mu-law is off by its steps alone
        assert rms(heard - tone) < 0.05 * rms(tone)


def test_a_room_answers_for_half_a_second_as_loud_as_the_speaker():
    click = np.zeros(RATE)
    click[0] = 0.99
    answer = stressed("room", click, "a", 0).astype(float)
    assert np.argmax(np.abs(answer)) == 0 and not answer[1:40].any()
    assert decibels(answer[0] / np.sqrt((answer[1:] ** 2).sum())) == pytest.approx(0, abs=0.1)
    left = np.cumsum(answer[::-1] ** 2)[::-1]  # Schroeder's integral: of 60 dB in .5 s, the first 20 in a third of it
    assert 10 * np.log10(left[40] / left[40 + RATE // 6]) == pytest.approx(20, abs=1)


def test_opus_takes_16_kbit_a_second_and_moves_nothing():
    samples, file = stressed("noise-20", speech(20), "a", 0), io.BytesIO()
    soundfile.write(file, to_int16(samples), RATE, format="OGG", subtype="OPUS", compression_level=OPUS)
    assert 8 * len(file.getvalue()) / 20 == pytest.approx(16000, rel=0.15)
    heard = stressed("opus-16", samples, "a", 0)
    shifts = [np.dot(heard[50:-50], np.roll(samples, shift)[50:-50]) for shift in range(-20, 21)]
    assert np.argmax(shifts) == 20 and np.corrcoef(heard, samples)[0, 1] > 0.9


def test_what_is_loud_already_is_lowered_as_a_whole_by_noise_and_rooms():
    loud = 0.99 * np.sign(np.random.default_rng(0).standard_normal(RATE))
    for condition in ("noise-0", "room"):
        changed = stressed(condition, loud, "a", 0)
        assert 0.99 < np.abs(changed).max() < 1 and (np.abs(changed) > 0.998).sum() < 3


CLASSES = ["anger", "joy", "sadness"]
ASKED = (CLEAN, "noise-0", "telephone")


def predictions(shares, folds=6, seed=0):
    """shares: {condition: the share of 30 utterances of each class and fold that are told rightly}"""
    rng, rows = np.random.default_rng(seed), []
    for condition, share in shares.items():
        for fold in range(folds):
            for place, label in enumerate(CLASSES):
                right = round(30 * share) + rng.integers(-1, 2)
                told = [label] * right + [CLASSES[place - 1]] * (30 - right)
                rows += [(condition, fold, f"s{fold}", label, prediction) for prediction in told]
    return pd.DataFrame(rows, columns=["condition", "fold", "speaker", "emotion", "prediction"])


def built(**systems):
    """The table of an idea over its baseline; systems: {name: share of what is right in each of ASKED}"""
    own = {
        name: predictions(dict(zip(ASKED, shares, strict=True)), seed=n)
        for n, (name, shares) in enumerate(systems.items())
    }
    blocks = {name: blocks_of(frame, "fold", CLASSES) for name, frame in own.items()}
    found = compare(blocks["idea"][CLEAN], blocks["base"][CLEAN])
    rows = [
        ("majority", None, np.nan, np.nan),
        ("base", "majority", 0.001, 0.001),
        ("idea", "base", found.p, found.p),
    ]
    paper = pd.DataFrame(rows, columns=["system", "baseline", "p", "p_holm"])
    return stress_table(blocks, {name: f"The {name}" for name in blocks}, {"paper": paper}), own


def test_the_table_has_what_is_lost_and_what_an_idea_adds_in_each_condition():
    table, own = built(base=(0.6, 0.5, 0.6), idea=(0.8, 0.4, 0.8))
    assert list(table.columns) == COLUMNS and len(table) == 2 * len(ASKED)
    rows = table.set_index(["system", "condition"])
    for (name, condition), row in rows.iterrows():
        frame = own[name][own[name].condition == condition]
        assert pytest.approx(balanced_accuracy_score(frame.emotion, frame.prediction), abs=5e-5) == row.UA
        assert row.low < row.UA < row.high and row.change == pytest.approx(row.UA - rows.UA[name, CLEAN], abs=2e-4)
    assert rows.loc["base", "baseline"].isna().all()  # majority is not trained: it is not asked
    idea = rows.loc["idea"]
    assert idea.difference.to_list() == pytest.approx((rows.UA["idea"] - rows.UA["base"]).to_list(), abs=2e-4)
    assert idea.p_holm[CLEAN] == idea.p[CLEAN]  # as in its own table
    assert sorted(idea.p_holm[1:]) == pytest.approx(sorted(holm(idea.p[1:])), abs=2e-4)
    assert idea.change_low["telephone"] <= 0 <= idea.change_high["telephone"] and idea.change_high["noise-0"] < 0


@pytest.mark.parametrize(
    ("idea", "verdict", "told"),
    [
        ((0.8, 0.4, 0.5), "- **Helps in clean speech only:** The idea vs The base: +", "not ahead in Noise 0 dB ("),
        ((0.8, 0.4, 0.8), "- **Does not help everywhere:** The idea vs The base: +", "; ahead in Telephone (+"),
        ((0.8, 0.7, 0.8), "- The idea vs The base: +", "; ahead in Noise 0 dB (+"),
        ((0.6, 0.4, 0.8), "- 1 of 1 claims: not resolved as an advance", "that may be chance"),
    ],
)  # fmt: skip
def test_an_idea_that_helps_only_in_clean_speech_is_told(idea, verdict, told):
    table, _ = built(base=(0.6, 0.5, 0.6), idea=idea)
    lines = to_markdown(table, "6 folds").splitlines()
    (line,) = [line for line in lines if line.startswith(verdict)]
    assert told in line
    others = ("Helps in clean speech only", "Does not help everywhere", "not resolved as an advance")
    assert [other for other in others if other in "\n".join(lines)] == [other for other in others if other in line]
    (row,) = [line for line in lines if line.startswith("| The idea vs")]
    assert (
        "**" in row
        and "| UA points vs baseline" in "\n".join(lines)
        and "UA % [95 % over 6 folds]" in "\n".join(lines)
    )


def test_where_nothing_can_be_tested_nothing_is_claimed():
    one = {
        name: blocks_of(predictions({CLEAN: 0.8, "room": 0.5}, folds=2), None, CLASSES) for name in ("base", "idea")
    }
    paper = pd.DataFrame({"system": ["base", "idea"], "baseline": [None, "base"], "p": np.nan, "p_holm": np.nan})
    table = stress_table(one, {"base": "=Base", "idea": "Id|ea"}, {"paper": paper})
    assert (
        table[["low", "change_low", "p", "p_holm"]].isna().all(axis=None) and (table.difference.dropna() == 0).all()
    )
    text = to_markdown(table, "")
    assert "No claim can be tested here" in text and "Id\\|ea" in text and "[" not in text.replace("In brackets", "")


def test_curves_have_a_panel_for_noise_and_one_for_the_rest(tmp_path):
    table, _ = built(base=(0.6, 0.5, 0.6), idea=(0.8, 0.4, 0.8))
    for conditions, panels in ((ASKED, 2), (ASKED[:2], 1), (ASKED[::2], 1)):
        figure = stress_curves(table[table.condition.isin(conditions)], TITLES, "A paper", 1 / 3)
        assert len(figure.axes) == panels and all(len(axes.lines) == 3 for axes in figure.axes)  # two, and guessing
        save(figure, tmp_path / "curves.svg")
    assert "The idea" in (tmp_path / "curves.svg").read_text()


def test_every_condition_that_can_be_asked_for_has_its_words():
    asked = schema()["properties"]["stress"]["properties"]["conditions"]["items"]["enum"]
    assert [CLEAN, *asked] == list(CONDITIONS) == list(TITLES)
    assert {name.split("-")[0] for name in asked} == set(TOLD)
    assert yaml.safe_load((PROJECT / "config/stress.yaml").read_text())["stress"]["conditions"] == asked
