"""What a corpus may hide: ways to tell its emotions without hearing any. Source: ours."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from serflow.classical import CLASSICAL, logistic

# What a recording is like -> its name in a sentence. The values are those of features/nuisance.parquet.
QUANTITIES = {
    "level": "level",
    "seconds": "duration",
    "seconds_before": "silence before speech",
    "seconds_behind": "silence after speech",
    "pauses": "pauses",
    "floor": "noise floor",
}
KINDS = {"sample_rate": "sample rate", "corpus": "the corpus it is from", "text": "the sentence"}
# Between guessing (0) and certainty (1). Alone, nothing of QUANTITIES has more than .16 on RAVDESS and .19 on EMO-DB,
# where anger is loud and sadness slow, as they are; a corpus whose classes were recorded apart has .5.
SUSPICIOUS = 0.3
ONE_EMOTION = 0.25  # share of the speakers
UNEQUAL = 2  # times as many utterances tested in one fold as in another


class Finding(NamedTuple):
    """`warning`: whether it may be what the scores are made of; `text`: one sentence."""

    warning: bool
    text: str


def audit(
    utterances: pd.DataFrame, folds: pd.DataFrame, protocol: str, nuisance: pd.DataFrame | None = None
) -> list[Finding]:
    """Findings about `folds` (utterance, fold, part) of `utterances`, warnings first.

    nuisance: a row an utterance, with QUANTITIES. Without it, as before any audio was read, what labels tell.
    """
    rows = folds.merge(utterances, on="utterance")
    found = [*_speakers(utterances), *_parts(rows), *_sizes(rows), *_genders(utterances, protocol), *_script(rows)]
    if nuisance is not None:
        own = rows.drop(columns=QUANTITIES, errors="ignore")  # seconds as stored, level as meant
        recorded = own.merge(nuisance, on="utterance")
        found += _shortcuts(recorded, utterances.emotion.nunique())
    return sorted(found, key=lambda finding: not finding.warning)


def _speakers(utterances):
    """Speakers of several utterances who have one emotion in all of them."""
    voices = utterances.groupby("speaker").emotion.agg(["nunique", "size"])
    several = voices[voices["size"] > 1]
    single = int((several["nunique"] == 1).sum())
    if single > ONE_EMOTION * len(several) and utterances.emotion.nunique() > 1:
        yield Finding(
            True,
            f"{single} of {len(several)} speakers have one emotion alone: voice and recording tell what is felt, and "
            "scores may be of them.",
        )


def _parts(rows):
    """Parts of a fold in which classes are missing."""
    classes = set(rows.emotion)
    tested = rows[rows.part == "test"].groupby("fold").emotion.unique()
    lacking = {fold: sorted(classes - set(there)) for fold, there in tested.items() if classes - set(there)}
    if lacking:
        fold, names = max(lacking.items(), key=lambda item: len(item[1]))
        yield Finding(
            2 * len(names) >= len(classes),
            f"{len(lacking)} of {len(tested)} folds test not every class, fold {fold} no {', '.join(names)}.",
        )


def _sizes(rows):
    tested = rows[rows.part == "test"].groupby("fold").size()
    if len(tested) and tested.max() > UNEQUAL * tested.min():
        yield Finding(
            False, f"Folds test {tested.min()} to {tested.max()} utterances: means over folds weigh them alike."
        )


def _genders(utterances, protocol):
    unknown = int((utterances.groupby("speaker").gender.first() == "unknown").sum())
    if unknown and protocol == "k-fold":
        yield Finding(
            False,
            f"The gender of {unknown} of {utterances.speaker.nunique()} speakers is unknown: folds may differ in it.",
        )


def _script(rows):
    """Sentences that training has heard."""
    known = rows[rows.text.notna() & (rows.text != "")]
    tested = known[known.part == "test"]
    heard = known[known.part != "test"][["fold", "text"]].drop_duplicates()
    share = len(tested.merge(heard, on=["fold", "text"])) / max((rows.part == "test").sum(), 1)
    if share > 0.01:
        yield Finding(False, f"{100 * share:.0f} % of the tested utterances say a sentence that training has heard.")


def _shortcuts(rows, classes):
    """What tells emotions of unheard speakers by itself, under the same folds."""
    told = {name: _told_by(rows, column, _by_value) for column, name in QUANTITIES.items()}
    told |= {name: _told_by(rows, column, _by_kind) for column, name in KINDS.items() if rows[column].nunique() > 1}
    told = dict(sorted(told.items(), key=lambda item: -item[1]))
    guessing = 1 / classes
    alone = {name: score for name, score in told.items() if score - guessing >= SUSPICIOUS * (1 - guessing)}
    if alone:
        listed = ", ".join(f"{name} {100 * score:.1f}" for name, score in alone.items())
        yield Finding(
            True,
            f"The emotion of speakers that were not heard is told by {listed} alone (UA %, where guessing has "
            f"{100 * guessing:.1f}): systems may have learned that instead of emotion.",
        )
    elif told:
        name, score = next(iter(told.items()))
        yield Finding(
            False,
            f"Of what is no emotion, {name} tells most by itself: UA {100 * score:.1f} % of unheard speakers, where "
            f"guessing has {100 * guessing:.1f}.",
        )


def _told_by(rows, column, guess):
    """UA, pooled over folds, of classes guessed from one column by what `guess` learns of the speakers trained on."""
    tested = rows[rows.part == "test"].assign(guessed="")
    for fold, own in tested.groupby("fold"):
        heard = rows[(rows.fold == fold) & (rows.part != "test")]
        tested.loc[own.index, "guessed"] = guess(heard[column], heard.emotion, own[column])
    return (tested.guessed == tested.emotion).groupby(tested.emotion).mean().mean()


def _by_value(heard, emotions, tested):
    """As the nuisance row learns, from numbers."""
    names, numbers = np.unique(emotions, return_inverse=True)
    train, test = (values.to_numpy(float)[:, None] for values in (heard, tested))
    return names[logistic(train, numbers, test, len(names), CLASSICAL["nuisance"].C).argmax(1)]


def _by_kind(heard, emotions, tested):
    """For every value the class that has it most often, each class counted alike; any class for an unheard value."""
    shares = pd.crosstab(heard, emotions, normalize="columns")
    return tested.map(shares.idxmax(axis=1)).fillna(emotions.min())
