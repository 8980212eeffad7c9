"""The protocol card: who is trained on, who is tested, what is scored, and what heard test audio (METHODS 9)."""

from serflow.folds import LEFT_OUT, PARTS


def card(utterances, folds, corpus, settings, selection, seeds, transductive, published=None):
    """A JSON-able description of `folds` of `utterances`.

    settings: what `folds.split` was told. selection: `last` or `validation`. transductive: titles of the systems
    whose pretraining and clustering heard unlabelled test audio. published: utterances that the corpus' owner counts.
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
        "folds": {**settings, "unit": LEFT_OUT.get(settings["protocol"], "speaker")},
        "validation shares speakers with training": bool((own > 1).any()),
        "parts": [{part: _counts(fold[fold.part == part]) for part in PARTS} for _, fold in rows.groupby("fold")],
        "selection": selection,
        "seeds": seeds,
        "heard unlabelled test audio": transductive,
    }


def sentences(card):
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
        f"{tested['utterances']} utterances of {tested['speakers']} speakers tested.{counted}"
    )
    if card["joined"]:
        yield f"Joined from {', '.join(card['joined'])}, which are taken to have no speaker in common."
    if card["validation shares speakers with training"]:
        validation = (
            "validation is a part of the training speakers' utterances, no speaker being set aside for it "
            "(folds.validation_speakers 0)"
        )
    else:
        validation = f"{_range(card, 'validation', 'speakers')} validation speakers, disjoint from both other parts"
    yield (
        f"Folds: {folds['protocol']}, {folds['count']} by {folds['unit']}, seed {folds['seed']}; a fold trains on "
        f"{_range(card, 'train', 'speakers')} speakers ({_range(card, 'train', 'utterances')} utterances), tests "
        f"{_range(card, 'test', 'speakers')} ({_range(card, 'test', 'utterances')}); {validation}."
    )
    scored = {"last": "last step", "validation": "step of the best validation UA"}[card["selection"]]
    heard = card["heard unlabelled test audio"]
    who = (
        f"unlabelled test audio was heard in pretraining and clustering by: {', '.join(heard)}"
        if heard
        else ("nothing that was fitted heard a test speaker")
    )
    yield (
        f"Scored: {scored}, seeds {', '.join(map(str, card['seeds']))}; {who}; classical systems, for which nothing "
        "is chosen on them, train on the validation speakers too."
    )


def _counts(part):
    classes = part.emotion.value_counts().sort_index()
    return {
        "utterances": len(part),
        "speakers": sorted(part.speaker.unique()),
        "classes": {name: int(count) for name, count in classes.items()},
    }


def _range(card, part, what):
    counts = [fold[part][what] for fold in card["parts"]]
    counts = [len(count) if isinstance(count, list) else count for count in counts]
    return str(min(counts)) if min(counts) == max(counts) else f"{min(counts)}-{max(counts)}"
