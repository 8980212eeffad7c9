"""Speaker-disjoint splits: no voice is in two parts of a fold."""

import numpy as np
import pandas as pd

from serflow.errors import UserError

PARTS = ("train", "validation", "test")


def speaker_folds(utterances, count, validation_speakers, seed=0):
    """K-fold cross-validation over speakers, balanced by gender as far as the speakers allow.

    `utterances`: frame with `utterance, speaker, gender, emotion`. Returns a frame `utterance, fold, part`: every
    utterance is tested in exactly one fold, and the parts of a fold share no speaker. The validation speakers of a
    fold come from the next fold's test speakers. Does not depend on the order of the rows.

    Source: METHODS 9; the dealing is ours.
    """
    dealt = _dealt_by_gender(utterances, seed)
    if count < 2:
        raise UserError(f"folds.count is {count}: cross-validation needs at least 2 folds.")
    most_tested = -(-len(dealt) // count)
    if len(dealt) < count or len(dealt) - most_tested - validation_speakers < 1:
        raise UserError(
            f"The corpus has {len(dealt)} speakers, too few for folds.count {count} with "
            f"folds.validation_speakers {validation_speakers}: lower one of them."
        )
    chunks = np.array_split(dealt, count)
    folds = []
    for fold, test in enumerate(chunks):
        others = np.concatenate([*chunks[fold + 1 :], *chunks[:fold]])
        part = dict.fromkeys(dealt, "train")
        part |= dict.fromkeys(test, "test") | dict.fromkeys(others[:validation_speakers], "validation")
        split = pd.DataFrame({"utterance": utterances.utterance, "fold": fold, "part": utterances.speaker.map(part)})
        _check_training_part(utterances, split, fold)
        folds.append(split)
    return pd.concat(folds).sort_values(["fold", "utterance"], ignore_index=True)


def heard_by(folds, pool):
    """Utterances that a fit in `pool` may hear, and those of validation speakers that may watch it; two lists.

    `fold-<k>` hears the training speakers of fold k. `all` and `all-fold-<k>` hear everybody, unlabelled
    (transductive), and nobody is left to watch.
    """
    if pool.startswith("all"):
        return sorted(folds.utterance.unique()), []
    fold = folds[folds.fold == int(pool.removeprefix("fold-"))]
    return [sorted(fold.utterance[fold.part == part]) for part in ("train", "validation")]


def labelled_parts(utterances, folds, fold):
    """({part: (utterances, class numbers)} of one fold, sorted class names)."""
    classes = sorted(utterances.emotion.unique())
    numbers = utterances.set_index("utterance").emotion.map(classes.index)
    split = folds[folds.fold == fold]
    names = {part: sorted(split.utterance[split.part == part]) for part in PARTS}
    return {part: (chosen, numbers[chosen].to_numpy()) for part, chosen in names.items()}, classes


def _dealt_by_gender(utterances, seed):
    """Speakers in a seeded order that alternates between genders, so that consecutive speakers are balanced."""
    genders = utterances.groupby("speaker").gender.first()
    shuffled = np.random.default_rng(seed).permutation(sorted(genders.index))
    genders = genders[shuffled]
    position = genders.groupby(genders).cumcount() / genders.groupby(genders).transform("size")
    order = pd.DataFrame({"position": position, "gender": genders, "rank": range(len(genders))})
    return order.sort_values(["position", "gender", "rank"]).index.to_numpy()


def _check_training_part(utterances, split, fold):
    heard = utterances.emotion[(split.part == "train").to_numpy()]
    missing = sorted(set(utterances.emotion) - set(heard))
    if missing:
        raise UserError(
            f"No training speaker of fold {fold} has class '{missing[0]}': lower folds.count or "
            "folds.validation_speakers, or leave the class out in corpus.classes."
        )
