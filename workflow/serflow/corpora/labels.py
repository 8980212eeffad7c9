"""One vocabulary for the emotions of all corpora, so that they can be joined, and class sets by name."""

import difflib
import logging
import unicodedata
from collections import Counter
from collections.abc import Iterable
from types import ModuleType

import pandas as pd

from serflow.errors import UserError

# The common name first, then what others call it.
VOCABULARY = {
    "anger": ["angry", "ang"],
    "boredom": ["bored", "bor"],
    "calm": ["calmness"],
    "contempt": ["contemptuous"],
    "disgust": ["disgusted", "dis"],
    "excitement": ["excited", "exc"],
    "fear": ["fearful", "fea", "afraid", "scared"],
    "frustration": ["frustrated", "fru"],
    "happiness": ["happy", "hap", "joy"],
    "neutral": ["neu"],
    "sadness": ["sad"],
    "surprise": ["surprised", "sur"],
    "other": ["oth"],
}
SYNONYMS = {own: emotion for emotion, others in VOCABULARY.items() for own in [emotion, *others]}
INVISIBLE = {"Cf", "Cc", "Zs", "Zl", "Zp"}  # Unicode's formats, controls and separators
CLASSES = {"4-class": {emotion: [emotion] for emotion in ("anger", "happiness", "neutral", "sadness")}}


def harmonised(labels: pd.Series) -> pd.Series:
    """A Series of labels in the common vocabulary; one without an equivalent there stays as it is, NaN too."""
    return labels.map({own: SYNONYMS.get(own.lower(), own) for own in labels.dropna().unique()})


def tell_alike(corpus: str, rows: pd.DataFrame, columns: Iterable[str] = ("speaker", "emotion")) -> None:
    """Log a warning for speakers, and for emotions outside of the vocabulary, that are read alike: that differ only
    in case, blanks, invisible characters, Unicode's forms of a letter, or how a number is written."""
    for column in columns:
        names = pd.Series(sorted({*rows[column].dropna()} - {*VOCABULARY}), dtype=object)
        plain = names.map(_plain)
        for _, alike in names[plain.duplicated(keep=False)].groupby(plain):
            logging.getLogger("serflow").warning(
                "Corpus %s: the %ss %s and %s are read alike and count as two; write them alike if they are one",
                *(corpus, column, *map(ascii if alike[:2].map(str.casefold).is_unique else repr, alike[:2])),
            )


def _plain(name):
    """What people read of a name."""
    name = unicodedata.normalize("NFKC", name)
    name = "".join(letter for letter in name if unicodedata.category(letter) not in INVISIBLE).casefold()
    return name.lstrip("0").removesuffix(".0") if name.replace(".", "").isdecimal() else name


def choose(
    corpus: str, adapter: ModuleType | None, rows: pd.DataFrame, classes: dict | str
) -> tuple[pd.DataFrame, dict]:
    """`rows` of the classes wanted, with the class as emotion, and those of unknown emotion, to be told later.

    classes: {class: [labels]}, or the name of a set in the adapter's CLASSES or ours. A label is a name of the common
    vocabulary or the corpus' own: `happiness` takes all that map to it, IEMOCAP's `hap` takes those alone.
    Raises UserError. Returns (rows, classes).
    """
    if isinstance(classes, str):
        rows = _subset(rows, getattr(adapter, "SUBSETS", {}).get(classes))
        classes = _named(corpus, adapter, classes)
    else:
        _check(corpus, rows, classes)
    into = {label: name for name, chosen in classes.items() for label in chosen}
    by_own, by_common = rows["label"].map(into), rows["emotion"].map(into)
    twice = rows[by_own.notna() & by_common.notna() & (by_own != by_common)]
    if len(twice):
        own, common = twice[["label", "emotion"]].iloc[0]
        raise UserError(f"Corpus {corpus}: classes lists {own!r} and, meaning it too, {common!r}; keep one.")
    chosen = by_own.astype(object).where(by_own.notna(), by_common)
    return rows.assign(emotion=chosen)[chosen.notna() | rows["emotion"].isna()], classes


def _named(corpus, adapter, name):
    sets = CLASSES | getattr(adapter, "CLASSES", {})
    if name not in sets:
        close = difflib.get_close_matches(name, sets, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]!r}?" if close else "or list the labels of each class."
        raise UserError(f"Corpus {corpus} has no class set {name!r} (known: {', '.join(sorted(sets))}); {hint}")
    return sets[name]


def _subset(rows, part):
    return rows if part is None else rows[rows["utterance"].str.contains(part, regex=False)]


def _check(corpus, rows, classes):
    labels = [label for chosen in classes.values() for label in chosen]
    repeated = [label for label, count in Counter(labels).items() if count > 1]
    if repeated:
        raise UserError(f"Corpus {corpus}: label {repeated[0]!r} is listed twice in classes; keep one.")
    emotions, own = ({*rows[column].dropna().unique()} for column in ("emotion", "label"))
    unknown = [label for label in labels if label not in emotions | own]
    if unknown:
        known = ", ".join(sorted(emotions)) + (f" (or its own: {', '.join(sorted(own))})" if own - emotions else "")
        raise UserError(f"Corpus {corpus}: classes lists label {unknown[0]!r}, but the corpus has {known}.")
