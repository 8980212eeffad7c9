"""Speaker-disjoint splits: no voice, and no recording, is in two parts of a fold."""

import difflib
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd

from serflow import registry
from serflow.artifacts import FINAL
from serflow.corpora.folders import SEPARATORS, read_table
from serflow.errors import UserError

PARTS = ("train", "validation", "test")
LEFT_OUT = {"leave-one-speaker-out": "speaker", "leave-one-session-out": "session", "cross-corpus": "corpus"}
LISTED = ("utterance", "speaker", "session")
FITTED = {"last": ("train", "validation"), "validation": ("train",)}  # selection -> parts that may be fitted on


def split(
    utterances: pd.DataFrame,
    protocol: str = "k-fold",
    count: int = 5,
    validation_speakers: int = 1,
    seed: int = 0,
    file: str | Path | None = None,
    test: list[str] | None = None,
    unheard: Collection[str] = (),
) -> pd.DataFrame:
    """Cross-validation of `utterances`, a frame with `utterance, speaker, gender, session, corpus, emotion, sha256`.

    protocol: `k-fold` deals speakers into `count` folds, balanced by class and gender as far as they allow;
    `leave-one-speaker-out`, `leave-one-session-out` and `cross-corpus` test one of them a fold (`count` must be their
    number); `cross-corpus` with `test`, names of corpora, tests those in a single fold and trains on the others;
    `pretraining`, for speech without labels, has one fold that tests nobody; `list` follows `file`, a .csv or .tsv
    with the columns fold, part and one of utterance, speaker, session.
    validation_speakers: taken from the speakers that a fold does not test; 0, for corpora with no speaker to spare,
    takes every tenth recording of each class from the training speakers instead.
    unheard: classes that training may lack.

    Returns a frame `utterance, fold, part` that does not depend on the order of the rows. The parts of a fold share
    no speaker (but training and validation with 0 validation speakers) and no recording: speakers with a recording
    in common count as one. Nothing is tested twice. Raises UserError. Source: ours.
    """
    rows = utterances.sort_values("utterance", ignore_index=True)
    rows = rows.assign(recording=pd.factorize(rows.sha256)[0])
    rows = rows.assign(voice=_voices(rows))
    for name in unheard:
        registry.chosen(name, dict.fromkeys(sorted(set(rows.emotion))), "folds.unheard: the corpus has no class")
    voices = _in_turn(rows, seed)
    if protocol == "list":
        plans = [(part, voices) for part in _listed(rows, Path(file), count)]
    elif protocol == "pretraining":
        if count != 1:
            raise UserError(f"folds.protocol pretraining has one fold: set folds.count to 1 instead of {count}.")
        plans = [(pd.Series("train", index=rows.index), voices)]
    else:
        plans = _held_out(rows, _tested_in(rows, voices, protocol, count, test), count)
    frames = []
    for fold, (part, lenders) in enumerate(plans):
        part = _with_validation(rows, part, lenders, validation_speakers, seed)
        due = PARTS[:2] if protocol == "pretraining" else PARTS
        _check(rows, part, fold, "voice" if validation_speakers else "recording", due, unheard)
        frames.append(pd.DataFrame({"utterance": rows.utterance, "fold": fold, "part": part}))
    folds = pd.concat(frames).dropna().reset_index(drop=True)
    _check_tested_once(folds)
    return folds


def heard_by(folds: pd.DataFrame, pool: str, selection: str) -> list[list[str]]:
    """Utterances that a fit in `pool` may hear, and those of validation speakers that may watch it; two lists.

    `fold-<k>` hears the training speakers of fold k, and where `selection` is `last`, so that nothing is chosen on
    them, its validation speakers too. `all` and `all-fold-<k>` hear everybody, unlabelled (transductive), and
    `fold-final` does for a model that no test follows.
    """
    if pool.startswith("all"):
        return [sorted(folds.utterance.unique()), []]
    part = _parts(folds, numbered(pool.removeprefix("fold-")), selection)
    return [part["train"], part["validation"]]


def numbered(fold: str) -> int | str:
    """The number of a fold as paths have it, or FINAL."""
    return fold if fold == FINAL else int(fold)


def refuse_heard(tested: pd.DataFrame, heard: pd.DataFrame) -> None:
    """UserError where one of the utterances `tested` has the very samples of one that was `heard` by an encoder that
    another corpus' run pretrained; frames with `utterance, samples`, and `corpus` of the latter."""
    there = heard.add_suffix("_heard")
    both = tested.merge(there, left_on="samples", right_on="samples_heard")
    if len(both):
        first = both.iloc[0]
        raise UserError(
            f"{len(both)} utterances that this corpus tests were heard in the pretraining of corpus "
            f"{first.corpus_heard}, the first is {first.utterance} ({first.utterance_heard} there): take them out of "
            "that corpus and pretrain again."
        )


def labelled_parts(
    utterances: pd.DataFrame, folds: pd.DataFrame, fold: int | str, selection: str
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """({part: its rows of `utterances`} of one fold, or FINAL, sorted class names); `selection` as in `heard_by`."""
    rows = utterances.set_index("utterance", drop=False)
    parts = {part: rows.loc[names].reset_index(drop=True) for part, names in _parts(folds, fold, selection).items()}
    return parts, sorted(utterances.emotion.unique())


def without_classes(
    parts: dict[str, pd.DataFrame], classes: list[str], unheard: list[str]
) -> dict[str, pd.DataFrame]:
    """`parts` for a system that is trained without the classes `unheard` and scored on them alone (zero-shot);
    `watched` are the other classes of validation, for a step must not be chosen by what is never heard.

    UserError for one that is no class, where training keeps fewer than two, and where no speaker to score has any.
    """
    for name in unheard:
        registry.chosen(name, dict.fromkeys(classes), "zero_shot: the corpus has no class")
    if len(set(parts["train"].emotion) - set(unheard)) < 2:
        raise UserError("zero_shot leaves training fewer than two classes: name fewer of them.")
    for part in ("validation", "test"):
        if len(parts[part]) and not parts[part].emotion.isin(unheard).any():
            raise UserError(
                f"zero_shot: no {part} speaker of this fold has {' or '.join(unheard)}: name other classes, or folds "
                "with more speakers."
            )
    known = {"train": parts["train"], "watched": parts["validation"]}
    heard = {part: rows[~rows.emotion.isin(unheard)] for part, rows in known.items()}
    scored = {part: parts[part][parts[part].emotion.isin(unheard)] for part in ("validation", "test")}
    return {part: rows.reset_index(drop=True) for part, rows in (heard | scored).items()}


def _parts(folds, fold, selection):
    """{part: utterances} of a fold, its validation speakers being trained on where nothing is chosen on them."""
    if fold == FINAL:
        return {"train": sorted(folds.utterance.unique()), "validation": [], "test": []}
    split = folds[folds.fold == fold]
    part = split.part.mask(split.part.isin(FITTED[selection]), "train")
    return {name: sorted(split.utterance[part == name]) for name in PARTS}


def _voices(rows):
    """For every row the number of its voice: a speaker, or speakers that share a recording."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    speakers, names = pd.factorize(rows.speaker, sort=True)
    size = len(names) + len(rows)
    links = coo_array((np.ones(len(rows), dtype=bool), (speakers, len(names) + rows.recording)), shape=(size, size))
    _, groups = connected_components(links, directed=False)
    return groups[speakers]


def _in_turn(rows, seed):
    """Voices in a seeded order that alternates between genders, so that consecutive ones are balanced."""
    genders = rows.groupby("voice").gender.first()
    genders = genders[np.random.default_rng(seed).permutation(genders.index)]
    position = genders.groupby(genders).cumcount() / genders.groupby(genders).transform("size")
    order = pd.DataFrame({"position": position, "gender": genders, "rank": range(len(genders))})
    return order.sort_values(["position", "gender", "rank"]).index


def _tested_in(rows, voices, protocol, count, test):
    """A Series: voice, in turn -> number of the fold that tests it; `count` and above are tested in none."""
    if protocol == "k-fold":
        return _dealt(rows, voices, count)
    column = LEFT_OUT[protocol]
    units = rows.groupby("voice")[column].unique()
    spread = units[units.map(len) > 1]
    if column != "speaker" and len(spread):
        who = rows.speaker[rows.voice == spread.index[0]].iloc[0]
        raise UserError(
            f"folds.protocol {protocol}: speaker {who} is in {column}s {', '.join(map(str, spread.iloc[0][:2]))} and "
            "would be trained on and tested: use leave-one-speaker-out."
        )
    names = units.map(min)[voices]
    if test:
        unknown = sorted(set(test) - set(names))
        if unknown or not set(names) - set(test):
            fault = f"'{unknown[0]}' is none of them" if unknown else "none is left to train on"
            raise UserError(f"folds.test: the corpora are {', '.join(sorted(set(names)))}; {fault}.")
        found, order = 1, names.isin(test).map({True: 0, False: 1})
    else:
        # In the order of the voices, not of the names: neighbours, who lend validation speakers, differ in gender.
        found, order = names.nunique(), pd.Series(pd.factorize(names)[0], index=voices)
    if count != found:
        what = "cross-corpus with folds.test" if test else f"{protocol} of {found} {column}s"
        what = what.replace("corpuss", "corpora")
        raise UserError(f"{what} makes {found} fold{'s' * (found > 1)}: set folds.count to {found}.")
    if found < 2 and not test:
        raise UserError(f"folds.protocol {protocol}: the corpus has one {column} only; use k-fold.")
    return order


def _dealt(rows, voices, count):
    """Folds of as many voices as the others, or one more; each goes where its classes and gender are rarest."""
    if count < 2:
        raise UserError(f"folds.count is {count}: cross-validation needs at least 2 folds.")
    if len(voices) < count:
        raise UserError(f"The corpus has {len(voices)} speakers, too few for folds.count {count}: lower it.")
    counts = pd.crosstab(rows.voice, [rows.gender, rows.emotion])
    shares = (counts / counts.sum()).loc[voices].to_numpy()
    load, size, dealt = np.zeros((count, shares.shape[1])), np.zeros(count, dtype=int), []
    for share in shares:
        cost = np.where(size == size.min(), load @ share, np.inf)
        dealt.append(cost.round(12).argmin())
        load[dealt[-1]] += share
        size[dealt[-1]] += 1
    return pd.Series(dealt, index=voices)


def _held_out(rows, tested_in, count):
    """For every fold: its parts, a Series a row, and the voices in the order in which they may lend validation."""
    for fold in range(count):
        turn = (tested_in - fold) % (tested_in.max() + 1)
        part = rows.voice.map(turn.eq(0).map({True: "test", False: "train"}))
        yield part, turn.sort_values(kind="stable").index


def _listed(rows, file, count):
    """The parts as `file` has them, refused where they leak; a row that it does not name is in no part."""
    if not file.is_file() or file.suffix.lower() not in SEPARATORS:
        raise UserError(f"folds.file: {file} is no .csv or .tsv; name one with the columns fold, part and utterance.")
    lines = read_table(file)
    keys = [column for column in LISTED if column in lines]
    if len(keys) != 1 or not {"fold", "part"} <= set(lines):
        raise UserError(f"{file}: its columns must be fold, part and one of {', '.join(LISTED)}.")
    if lines.empty:
        raise UserError(f"{file} lists nothing: give it a line for each {keys[0]} of a fold.")
    names = lines[keys[0]]
    for wrong, fault in [
        (~lines.part.isin(PARTS), f"part must be one of {', '.join(PARTS)}"),
        (~names.isin(rows[keys[0]]), f"the corpus has no such {keys[0]}"),
        (lines.duplicated(["fold", keys[0]]), f"this {keys[0]} was listed before in its fold"),
    ]:
        if wrong.any():
            line = wrong.idxmax()
            close = difflib.get_close_matches(names[line], rows[keys[0]].unique(), n=1)
            hint = f" (did you mean {close[0]}?)" if close and close[0] != names[line] else ""
            raise UserError(f"{file}, line {line}: {fault}: '{names[line]}', '{lines.part[line]}'{hint}.")
    folds = sorted(lines.fold.unique(), key=lambda name: (len(name), name))
    if len(folds) != count:
        raise UserError(f"{file} lists {len(folds)} folds: set folds.count to {len(folds)}.")
    listed = {fold: part.set_index(keys[0]).part for fold, part in lines.groupby("fold")}
    return [rows[keys[0]].map(listed[fold]) for fold in folds]


def _with_validation(rows, part, lenders, validation_speakers, seed):
    """`part` with validation utterances taken from training, where it has none yet."""
    if (part == "validation").any():
        return part
    trained = part == "train"
    if validation_speakers == 0:
        return part.mask(trained & rows.recording.isin(_tenth(rows[trained], seed)), "validation")
    free = set(rows.voice[trained])
    lenders = [voice for voice in lenders if voice in free]
    if len(lenders) <= validation_speakers:
        raise UserError(
            f"The corpus has {rows.voice.nunique()} speakers, too few: {len(lenders)} beside those of a test part, "
            f"and folds.validation_speakers is {validation_speakers}: lower it or folds.count."
        )
    return part.mask(trained & rows.voice.isin(lenders[:validation_speakers]), "validation")


def _tenth(rows, seed):
    """Every tenth recording of each class; one with several classes counts for the rarest. No class loses its only
    recording.
    """
    pairs = rows[["recording", "emotion"]].drop_duplicates()
    turn = np.random.default_rng(seed).permutation(len(pairs))[pd.factorize(pairs.recording)[0]]
    pairs = pairs.assign(turn=turn, size=pairs.groupby("emotion").recording.transform("size")).sort_values("turn")
    kept = pairs.recording[~pairs.emotion.duplicated()]
    counted = pairs.sort_values(["size", "emotion", "turn"]).drop_duplicates("recording")
    drawn = counted.recording[counted.groupby("emotion").cumcount() % 10 == 1]
    return set(drawn) - set(kept)


def _check(rows, part, fold, apart, due, unheard):
    """Tested voices are in no other part, training and validation share no `apart` (voice or recording), no part that
    is `due` is empty, training has every class that is not `unheard`. Raises UserError.
    """
    for one, others, kept in [("test", ["train", "validation"], "voice"), ("validation", ["train"], apart)]:
        leaks = rows[kept].isin(rows[kept][part == one]) & part.isin(others)
        if leaks.any():
            first, other = rows[leaks].iloc[0], part[leaks].iloc[0]
            what = f"speaker {first.speaker}" if kept == "voice" else f"the recording of {first.utterance}"
            hint = ", or set folds.validation_speakers to 0" if one == "validation" and kept == "voice" else ""
            raise UserError(
                f"folds.file: {what} is in the {one} part and in the {other} part of fold {fold} (utterance "
                f"{first.utterance}, or a recording shared with another): keep each in one part of a fold{hint}."
            )
    absent = [name for name in due if not (part == name).any()]
    if absent:
        raise UserError(f"Fold {fold} has no {absent[0]} part: change folds.file, .protocol or .validation_speakers.")
    missing = sorted(set(rows.emotion) - set(rows.emotion[part == "train"]) - set(unheard))
    if missing:
        raise UserError(
            f"No training speaker of fold {fold} has class '{missing[0]}': lower folds.count or "
            "folds.validation_speakers, leave the class out in corpus.classes, or name it in folds.unheard."
        )


def _check_tested_once(folds):
    tested = folds.utterance[folds.part == "test"]
    twice = tested[tested.duplicated()]
    if len(twice):
        raise UserError(f"folds.file: utterance {twice.iloc[0]} is in the test part of two folds; test it once.")
