"""A corpus that is what it seems, and corpora whose emotions are told by something else."""

import numpy as np
import pandas as pd
import pytest

from serflow.audit import QUANTITIES, audit
from serflow.folds import split

EMOTIONS = ("anger", "neutral", "sadness", "happiness")


def corpus(speakers=12, sentences=4, of=lambda speaker: EMOTIONS):
    """Speakers say `sentences` in the emotions `of` each, recorded alike."""
    rows = [
        {"utterance": f"{speaker:02}-{emotion}-{sentence}", "speaker": f"s{speaker:02}", "emotion": emotion,
         "gender": ("female", "male")[speaker % 2], "text": f"sentence {sentence}"}
        for speaker in range(speakers) for emotion in of(speaker) for sentence in range(sentences)
    ]  # fmt: skip
    rows = pd.DataFrame(rows)
    return rows.assign(
        session=rows.speaker, sha256=rows.utterance, corpus="mine", sample_rate=16000, seconds=2.0, level=np.nan
    )


def one_each(speaker):
    """Two speakers have the same emotion, the next two another."""
    return EMOTIONS[speaker // 2 % 4 :][:1]


def recorded(rows, seed=0):
    noise = np.random.default_rng(seed).normal(size=(len(rows), len(QUANTITIES)))
    return pd.DataFrame(noise, columns=list(QUANTITIES)).assign(utterance=rows.utterance)


def found(rows, nuisance=None, count=4, protocol="k-fold"):
    folds = split(rows, protocol, count, validation_speakers=1, seed=0)
    return audit(rows, folds, protocol, recorded(rows) if nuisance is None else nuisance)


def warned(findings):
    return " ".join(finding.text for finding in findings if finding.warning)


def test_a_sound_corpus_is_told_in_two_notes():
    findings = found(corpus())
    assert not warned(findings) and len(findings) == 2
    assert findings[0].text == "100 % of the tested utterances say a sentence that training has heard."
    assert "tells most by itself" in findings[1].text


def test_speakers_with_one_emotion_are_the_first_thing_told():
    findings = found(corpus(16, of=one_each), count=6)
    assert findings[0].text.startswith("16 of 16 speakers have one emotion alone")
    assert "folds test not every class, fold" in warned(findings)


@pytest.mark.parametrize("quantity", ["level", "floor"])
def test_what_tells_the_emotion_alone_is_named(quantity):
    rows = corpus()
    nuisance = recorded(rows)
    nuisance[quantity] += 4 * rows.emotion.map(EMOTIONS.index)
    assert f"is told by {QUANTITIES[quantity]} " in warned(found(rows, nuisance))


def test_sample_rates_and_sentences_that_go_with_emotions_are_named():
    rows = corpus()
    assert "told by sample rate 50.0 alone" in warned(
        found(rows.assign(sample_rate=np.where(rows.emotion.isin(EMOTIONS[:2]), 16000, 44100)))
    )
    assert "told by the sentence 100.0 alone" in warned(found(rows.assign(text=rows.emotion + rows.text)))


def test_unequal_folds_and_unknown_genders_are_told():
    rows = corpus().query("speaker > 's03' or text == 'sentence 0'")
    rows = rows.assign(gender=np.where(rows.speaker == "s05", "unknown", rows.gender))
    told = " ".join(finding.text for finding in found(rows, count=12, protocol="leave-one-speaker-out"))
    assert "Folds test 4 to 16 utterances" in told and "gender" not in told
    assert "gender of 1 of 12 speakers is unknown" in " ".join(finding.text for finding in found(rows))


def test_labels_alone_tell_before_any_audio_is_read():
    rows = corpus(16, of=one_each)
    folds = split(rows, "k-fold", 4, validation_speakers=1, seed=0)
    assert "one emotion alone" in warned(audit(rows, folds, "k-fold"))


def test_how_strongly_an_emotion_was_meant_is_no_level_of_the_recording():
    rows = corpus()
    assert found(rows.assign(level=1.0)) == found(rows)
