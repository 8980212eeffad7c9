"""A folder of emotional speech becomes a table of checked utterances. A new corpus is one new file here.

An adapter `<name>.py` has `scan(root, **options)`: a frame with a row for each utterance that file names and label
files promise (it opens no audio): utterance, path (relative to root, with /), speaker, label (the corpus' own) and
emotion (the same in the vocabulary of labels.py; NaN: not known); where there are such, gender (female, male,
unknown), session (else the speaker is one), text, level (how strongly the emotion was meant, a number that rises with
it; `LEVELS` is then true) and, for segments, start and end in seconds. `LAYOUT` says what it
looks for. It may have `PUBLISHED`, its owner's counts (published.py), `CLASSES`, class sets by name (labels.py), and
`UNLABELLED`, what stands in place of every emotion where the corpus has no labels.
"""

import difflib
import importlib
import logging
import os
import pkgutil
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from types import ModuleType

import pandas as pd

from serflow import audio
from serflow.artifacts import digest
from serflow.corpora.folders import below
from serflow.corpora.labels import choose, tell_alike
from serflow.corpora.published import tell_differences
from serflow.errors import UserError

SHARED = {"audformat", "folders", "labels", "published"}  # modules here that are no corpus
LABELS = [
    "utterance", "corpus", "path", "speaker", "gender", "session", "text", "label", "emotion", "level",
    "start", "end",
]  # fmt: skip
COLUMNS = [*LABELS, "seconds", "sample_rate", "sha256", "samples"]


def read_corpus(
    name: str,
    root: str | Path,
    *,
    classes: dict | str | None = None,
    min_seconds: float = 0.1,
    max_seconds: float = 60.0,
    max_quarantined: float = 0.05,
    progress: Callable = iter,
    **options: object,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scan corpus `name` below the folder `root`, then open and check every file.

    classes: {class: [labels]} picks and merges, each label a name of the common vocabulary or the corpus' own; or the
    name of a class set, as "4-class"; None takes every emotion as a class.
    max_quarantined: the share of utterances that may be unusable. progress: wraps the files, as tqdm does.
    options: the adapter's own.

    Returns (utterances, quarantined). `utterances` has COLUMNS, sorted by utterance; corpus is `name` or, of joined
    corpora, whichever it is from; end is NaN: the file's end; seconds and sample_rate are as stored; sha256 is the
    file's, samples that of the decoded samples, which another lossless format leaves alone. `quarantined` has file
    and reason.
    Raises UserError; one for too many unusable files carries them as its attribute `quarantined`.
    """
    rows, classes = labelled(name, root, classes, options)
    root = Path(root)
    rows = rows.join(_listen(rows, root, min_seconds, max_seconds, progress))
    bad = rows["reason"].notna()
    utterances = rows[~bad].reset_index(drop=True)
    quarantined = rows.loc[bad, ["path", "reason"]].set_axis(["file", "reason"], axis=1).reset_index(drop=True)
    _refuse_ruined(name, quarantined, len(rows), max_quarantined)
    _refuse_unlearnable(name, utterances, classes)
    _tell_converted(name, utterances)
    utterances = utterances.rename(columns={"digest": "samples"})
    return utterances[COLUMNS].astype({"start": float, "end": float, "sample_rate": int}), quarantined


def labelled(
    name: str, root: str | Path, classes: dict | str | None, options: dict
) -> tuple[pd.DataFrame, list[str]]:
    """(rows, names of the classes) of a corpus before any audio is opened: LABELS, sorted by utterance.

    Published counts are compared. Raises UserError.
    """
    rows, classes = part(name, root, classes, options, called=name)
    classes = list(classes or rows["emotion"].dropna().unique())
    _refuse_unlearnable(name, rows[rows["emotion"].notna()], classes)
    return rows, classes


def part(
    name: str, root: str | Path, classes: dict | str | None, options: dict, called: str
) -> tuple[pd.DataFrame, dict | None]:
    """What `labelled` returns, of a corpus that may be too small alone, `called` so in messages; classes: {class:
    labels}, None where none were asked for.
    """
    module = adapter(name)
    root = _folder(called, root)
    _check_options(called, module, root, options)
    if name == "joined":
        rows, classes = module.labelled(root, classes, **options)
    else:
        rows = _scan(called, module, root, options)
        tell_alike(called, rows)
        published = getattr(module, "PUBLISHED", {})
        tell_differences(called, rows, root, published)
        if classes is not None:
            wanted = str(classes)
            rows, classes = choose(called, module, rows, classes)
            tell_differences(f"{called}, {wanted}", rows, root, published.get(wanted))
    rows = rows.sort_values("utterance", ignore_index=True)
    _refuse_repeated(called, rows)
    return rows, classes


def published(name: str, classes: dict | str | None) -> int | None:
    """How many utterances corpus `name` has by its owner's count, of a named class set or all; None if unknown."""
    counts = getattr(adapter(name), "PUBLISHED", {})
    counts = counts if classes is None else counts.get(classes, {}) if isinstance(classes, str) else {}
    return counts.get("utterances")


def has_levels(name: str) -> bool:
    """Whether corpus `name` says how strongly every emotion was meant."""
    return getattr(adapter(name), "LEVELS", False)


def adapters() -> list[str]:
    """The names that `read_corpus` knows."""
    return sorted({module.name for module in pkgutil.iter_modules(__path__)} - SHARED)


def adapter(name: str) -> ModuleType:
    """The module of corpus `name`. Raises UserError."""
    if name in adapters():
        return importlib.import_module(f"{__name__}.{name}")
    close = difflib.get_close_matches(str(name), adapters(), n=1)
    hint = f"did you mean {close[0]!r}?" if close else "any other can be described in a table: use 'table'."
    raise UserError(f"There is no corpus {name!r} (known: {', '.join(adapters())}); {hint}")


def _folder(name, root):
    if root is None:
        raise UserError(f"Corpus {name} has no root: give the folder that holds it.")
    if not os.path.isdir(root):
        fault = "is not a folder" if os.path.exists(root) else "does not exist"
        raise UserError(f"Corpus {name}: its root {root} {fault}; give the folder that holds the corpus.")
    return Path(root)


def _check_options(name, module, root, options):
    try:
        signature(module.scan).bind(root, **options)
    except TypeError as error:
        raise UserError(f"Corpus {name}: {error} in its options.") from error


def _scan(name, module, root, options):
    try:
        rows = module.scan(root, **options)
    except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError) as error:
        told = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(
            f"Corpus {name}: {root} cannot be read ({told}): check corpus.options and the files."
        ) from error
    if rows.empty or rows["emotion"].isna().all():
        found = ", ".join(below(root)[:3]) or "an empty folder"
        expected = getattr(module, "LAYOUT", f"what serflow.corpora.{name} describes")
        raise UserError(f"Corpus {name}: nothing labelled below {root}: expected {expected}, found {found}.")
    usual = {"gender": "unknown", "session": rows["speaker"], "text": ""}
    usual |= {"level": float("nan"), "start": 0.0, "end": float("nan")}
    rows = rows.assign(corpus=name, **{column: value for column, value in usual.items() if column not in rows})
    return rows.astype({"gender": object, "text": object}).fillna({"gender": "unknown", "text": ""})[LABELS]


def _refuse_repeated(name, rows):
    repeated = rows[rows["utterance"].duplicated(keep=False)]
    if len(repeated):
        first, second = sorted(repeated["path"][repeated["utterance"] == repeated["utterance"].iloc[0]])[:2]
        raise UserError(
            f"Corpus {name}: {first} and {second} are both utterance "
            f"{repeated['utterance'].iloc[0]!r}; rename or remove one."
        )


def _listen(rows, root, min_seconds, max_seconds, progress):
    """For each row what its audio tells, or the reason not to use it."""
    told = [{"reason": "unknown label"}] * len(rows)
    starts, ends = rows["start"].to_numpy(float), rows["end"].to_numpy(float)
    files = rows[rows["emotion"].notna()].groupby("path").groups
    for path, where in progress(files.items()):
        spans = [(starts[i], ends[i]) for i in where]
        facts = audio.inspect(root / path, spans, min_seconds, max_seconds)
        sha256 = digest(root / path) if any(isinstance(fact, dict) for fact in facts) else None
        for i, fact in zip(where, facts, strict=True):
            which = f" (utterance {rows['utterance'][i]})" if len(spans) > 1 else ""
            told[i] = fact | {"sha256": sha256} if isinstance(fact, dict) else {"reason": f"{fact}{which}"}
    columns = ["seconds", "sample_rate", "channels", "digest", "sha256", "reason"]
    told = pd.DataFrame(told, index=rows.index).reindex(columns=columns)
    same = told["digest"].notna() & told["digest"].duplicated()
    first = rows["utterance"].groupby(told["digest"]).transform("first")
    told["reason"] = told["reason"].astype(object).mask(same, "duplicate: the same samples as " + first)
    return told


def _refuse_ruined(name, quarantined, total, max_quarantined):
    share = len(quarantined) / total
    if share <= max_quarantined:
        return
    kinds = quarantined["reason"].str.partition(":")[0].value_counts()
    error = UserError(
        f"Corpus {name}: {len(quarantined)} of {total} utterances cannot be used ({share:.1%}, at most "
        f"{max_quarantined:.1%} may), mostly {kinds.index[0]} ({kinds.iloc[0]}); "
        f"the first is {quarantined['file'][0]}: mend them or raise corpus.max_quarantined."
    )
    error.quarantined = quarantined
    raise error


def _refuse_unlearnable(name, utterances, classes):
    if hasattr(adapter(name), "UNLABELLED"):
        return
    counts = utterances["emotion"].value_counts().reindex(classes, fill_value=0)
    if len(counts) < 2:
        raise UserError(f"Corpus {name}: its only class is {counts.index[0]!r}; two or more are needed.")
    if counts.min() < 2:
        raise UserError(
            f"Corpus {name}: class {counts.idxmin()!r} has {counts.min()} utterances and needs 2 or more; "
            "leave it out of classes."
        )
    speakers = utterances["speaker"].unique()
    if len(speakers) < 2:
        raise UserError(
            f"Corpus {name}: its only speaker is {speakers[0]!r}; speaker-disjoint folds need two or more."
        )


def _tell_converted(name, utterances):
    files = utterances.drop_duplicates("path")
    rates = files.loc[files["sample_rate"] != audio.RATE, "sample_rate"].value_counts().sort_index()
    mixed = files.loc[files["channels"] > 1, "channels"].value_counts().sort_index()
    told = [f"{n} files resampled from {rate:.0f} Hz" for rate, n in rates.items()]
    told += [f"{n} files mixed down from {channels:.0f} channels" for channels, n in mixed.items()]
    if told:
        logging.getLogger("serflow").info("Corpus %s: %s", name, ", ".join(told))
