"""A folder of emotional speech becomes a table of checked utterances. A new corpus is one new file here.

An adapter `<name>.py` has `scan(root, **options)`: a frame with a row for each utterance that file names and
label files promise (it opens no audio): utterance, path (relative to root, with /), speaker, gender (female,
male, unknown), session, text, emotion (NaN: not known) and, for segments, start and end in seconds. `LAYOUT`
says what it looks for; `PUBLISHED` may hold its owner's counts.
"""

import difflib
import importlib
import logging
import os
import pkgutil
from collections import Counter
from inspect import signature
from pathlib import Path

import pandas as pd

from serflow import audio
from serflow.artifacts import digest
from serflow.errors import UserError

LABELS = ["utterance", "path", "speaker", "gender", "session", "text", "emotion", "start", "end"]
COLUMNS = [*LABELS, "seconds", "sample_rate", "sha256"]


def read_corpus(
    name,
    root,
    *,
    classes=None,
    min_seconds=0.1,
    max_seconds=60.0,
    max_quarantined=0.05,
    progress=iter,
    **options,
):
    """Scan corpus `name` below the folder `root`, then open and check every file.

    classes: {class: [the corpus' labels]} picks and merges; None takes every label as a class.
    max_quarantined: the share of utterances that may be unusable. progress: wraps the files, as tqdm does.
    options: the adapter's own.

    Returns (utterances, quarantined). `utterances` has COLUMNS, sorted by utterance; end is NaN: the file's
    end; seconds and sample_rate are as stored, sha256 is the file's. `quarantined` has file and reason.
    Raises UserError; one for too many unusable files carries them as its attribute `quarantined`.
    """
    root = _folder(name, root)
    rows = _scan(name, root, options)
    if classes is not None:
        rows = _choose(name, rows, classes)
    rows = rows.sort_values("utterance", ignore_index=True)
    _refuse_repeated(name, rows)
    rows = rows.join(_listen(rows, root, min_seconds, max_seconds, progress))
    bad = rows["reason"].notna()
    utterances = rows[~bad].reset_index(drop=True)
    quarantined = rows.loc[bad, ["path", "reason"]].set_axis(["file", "reason"], axis=1).reset_index(drop=True)
    _refuse_ruined(name, quarantined, len(rows), max_quarantined)
    _refuse_unlearnable(name, utterances, classes or rows["emotion"].dropna().unique())
    _tell_converted(name, utterances)
    return utterances[COLUMNS].astype({"start": float, "end": float, "sample_rate": int}), quarantined


def adapters():
    """The names that `read_corpus` knows."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def adapter(name):
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


def _scan(name, root, options):
    module = adapter(name)
    try:
        signature(module.scan).bind(root, **options)
    except TypeError as error:
        raise UserError(f"Corpus {name}: {error} in its options.") from error
    rows = module.scan(root, **options)
    if rows.empty or rows["emotion"].isna().all():
        files = sorted(path.relative_to(root).as_posix() for path in Path(root).rglob("*") if path.is_file())
        found = ", ".join(files[:3]) or "an empty folder"
        expected = getattr(module, "LAYOUT", f"what serflow.corpora.{name} describes")
        raise UserError(f"Corpus {name}: nothing labelled below {root}: expected {expected}, found {found}.")
    return rows.assign(start=rows.get("start", 0.0), end=rows.get("end", float("nan")))[LABELS]


def _choose(name, rows, classes):
    labels = [label for chosen in classes.values() for label in chosen]
    repeated = [label for label, count in Counter(labels).items() if count > 1]
    if repeated:
        raise UserError(f"Corpus {name}: label {repeated[0]!r} is listed twice in classes; keep one.")
    known = sorted(rows["emotion"].dropna().unique())
    unknown = [label for label in labels if label not in known]
    if unknown:
        raise UserError(f"Corpus {name}: classes lists label {unknown[0]!r}, but the corpus has {', '.join(known)}.")
    rows = rows[rows["emotion"].isin(labels) | rows["emotion"].isna()]
    return rows.assign(emotion=rows["emotion"].map({label: c for c, ls in classes.items() for label in ls}))


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
    counts = utterances["emotion"].value_counts().reindex(list(classes), fill_value=0)
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
