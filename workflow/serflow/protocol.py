"""The protocol card: who is trained on, who is tested, what is scored, and what heard test audio."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from serflow.folds import LEFT_OUT, PARTS

if TYPE_CHECKING:
    import pandas as pd


def card(
    utterances: pd.DataFrame,
    folds: pd.DataFrame,
    corpus: str,
    settings: dict,
    selection: str,
    seeds: list[int],
    seeds_of: str,
    transductive: list[str],
    speaker_normalised: list[str],
    published: int | None = None,
) -> dict:
    """A JSON-able description of `folds` of `utterances`.

    settings: what `folds.split` was told. selection: `last` or `validation`. transductive: titles of the systems
    whose pretraining and clustering heard unlabelled test audio. speaker_normalised: titles of those whose input is
    normalised by the speaker's own utterances. published: utterances that the corpus' owner counts.
    """
    rows = folds.merge(utterances, on="utterance")
    tested = rows[rows.part == "test"]
    merged = utterances.groupby("emotion").label.agg(lambda labels: sorted(set(labels)))
    own = rows[rows.part != "test"].groupby(["fold", "speaker"]).part.nunique()
    return {
        "corpus": corpus,
        "joined": sorted(utterances.corpus.unique()) if utterances.corpus.nunique() > 1 else [],
        "classes": {
            name: {"labels": merged[name], "utterances": int(count)}
            for name, count in utterances.emotion.value_counts().sort_index().items()
        },
        "utterances": len(utterances),
        "published utterances": published,
        "tested": {"utterances": len(tested), "speakers": tested.speaker.nunique()},
        "folds": {**settings, "by": LEFT_OUT.get(settings["protocol"], "speaker")},
        "validation shares speakers with training": bool((own > 1).any()),
        "parts": [{part: _counts(fold[fold.part == part]) for part in PARTS} for _, fold in rows.groupby("fold")],
        "selection": selection,
        "seeds": seeds,
        "seeds of": seeds_of,
        "heard unlabelled test audio": transductive,
        "normalised by speaker": speaker_normalised,
    }


def sentences(card: dict) -> Iterator[str]:
    """What stands under every table."""
    folds = card["folds"]
    classes = [
        name + (f" (of {', '.join(entry['labels'])})" if len(entry["labels"]) > 1 else "")
        for name, entry in card["classes"].items()
    ]
    tested, published = card["tested"], card["published utterances"]
    differs = published not in (None, card["utterances"])
    counted = f" The corpus here has {card['utterances']} utterances, its owner's {published}." if differs else ""
    yield (
        f"{card['corpus']}, {len(classes)} classes: {', '.join(classes)}; "
        f"{tested['utterances']} utterances of {tested['speakers']} speakers tested. "
        f"Guessing has a UA of {100 / len(classes):.1f} %.{counted}"
    )
    if card["joined"]:
        yield f"Joined from {', '.join(card['joined'])}, which are taken to have no speaker in common."
    trained, watched = ["train"], ""
    if card["selection"] == "last":
        trained += ["validation"]
    elif card["validation shares speakers with training"]:
        watched = (
            "; validation is a part of the training speakers' utterances, no speaker being set aside for it "
            "(folds.validation_speakers 0)"
        )
    else:
        count = _range(card, ["validation"], "speakers")
        watched = f"; {count} validation speakers, disjoint from both other parts, choose the step"
    yield (
        f"Folds: {folds['protocol']}, {folds['count']} by {folds['by']}, seed {folds['seed']}; a fold trains on "
        f"{_range(card, trained, 'speakers')} speakers ({_range(card, trained, 'utterances')} utterances), tests "
        f"{_range(card, ['test'], 'speakers')} ({_range(card, ['test'], 'utterances')}){watched}."
    )
    scored = {"last": "last step", "validation": "step of the best validation UA"}[card["selection"]]
    redone = {"chain": "the whole chain, from the first clustering on", "systems": "the systems alone"}
    seeds = f"seed{'s' * (len(card['seeds']) > 1)} {', '.join(map(str, card['seeds']))}"
    heard = card["heard unlabelled test audio"]
    who = (
        f"unlabelled test audio was heard in pretraining and clustering by: {', '.join(heard)}"
        if heard
        else "nothing that was fitted heard a test speaker"
    )
    yield f"Scored: {scored}, {seeds} of {redone[card['seeds of']]}; {who}."
    if card["normalised by speaker"]:
        yield (
            "Input normalised by all utterances of its speaker, tested ones too, which is transductive: "
            f"{', '.join(card['normalised by speaker'])}."
        )


def _counts(part):
    classes = part.emotion.value_counts().sort_index()
    return {
        "utterances": len(part),
        "speakers": sorted(part.speaker.unique()),
        "classes": {name: int(count) for name, count in classes.items()},
    }


def _range(card, parts, what):
    """The number of speakers or utterances in `parts` together, over folds."""
    counts = []
    for fold in card["parts"]:
        own = [fold[part][what] for part in parts]
        counts.append(len(set().union(*own)) if what == "speakers" else sum(own))
    return str(min(counts)) if min(counts) == max(counts) else f"{min(counts)}-{max(counts)}"
