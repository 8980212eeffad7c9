"""The model card of a trained system: what it was trained on, how well it is recognised by whom, and how to use it.

Its form is Hugging Face's: metadata in YAML at its head, for people Markdown below.
"""

import numpy as np
import pandas as pd
import yaml

from serflow.evaluation.statistics import block_confusions, interval
from serflow.evaluation.stress import TITLES, scores_of
from serflow.evaluation.tables import aligned, build_table, escaped
from serflow.protocol import sentences

GROUPS = {"emotion": "Emotion", "gender": "Gender", "speaker": "Speaker"}  # by the column of each
MARKED = ("heard unlabelled test audio", "normalised by speaker")  # keys of a protocol that name systems


def card(
    folder: str,
    settings: dict,
    predictions: pd.DataFrame,
    tested: pd.DataFrame,
    protocol: dict,
    frames: dict[str, pd.Series] | None = None,
    stress: pd.DataFrame | None = None,
) -> str:
    """The card of the system whose folds and seeds stand in `folder`.

    settings: its `title`, the sentences `recipe` on how it was made, `zero_shot` classes or None, `licence` or None,
    and `final`, which folder holds the model that heard everybody, or None. predictions: of every fold and seed, as
    `tables.build_table` takes them. tested: frame of utterance, speaker, gender, emotion. protocol: `protocol.card`.
    frames: {measure: its row}, what `splices.frames_table` has of the system and, of `nowhere`, error. stress: the
    system's rows of `stress.stress_table`.
    """
    title, classes = settings["title"], sorted(protocol["classes"])
    row = {"system": folder, "name": title, "baseline": None, "zero_shot": settings["zero_shot"]}
    (scores,) = build_table([row], {folder: predictions}, tested, classes).itertuples()
    own = {key: [title] if title in protocol[key] else [] for key in MARKED}
    told = [*sentences(protocol | own), *settings["recipe"]]
    parts = [
        _metadata(title, settings["licence"], protocol["corpus"], scores),
        f"# {escaped(title)}",
        f"Tells {', '.join(map(escaped, classes))} in recorded speech. A trained system of serflow's comparison on "
        f"the corpus {escaped(protocol['corpus'])}.",
        "## Use",
        f"```\nserflow predict <files or folders> --model {folder}\n```",
        f"```python\nimport serflow\nmodel = serflow.load({folder!r})\n"
        "model(waveform, rate)[0].probabilities  # of all, or the first 10 s of over a minute\n```",
        _models(folder, settings["final"], protocol),
        "## Scores",
        f"UA {_points(scores.UA, scores.UA_low, scores.UA_high)} %, WA {100 * scores.WA:.1f} %, macro-F1 "
        f"{100 * scores.macro_F1:.1f} %, of single models, each on speakers that it never heard; guessing has a UA "
        f"of {100 / len(settings['zero_shot'] or classes):.1f} %. {_intervals(scores)}",
        "\n".join(_groups(predictions, tested, classes, scores)),
        *([] if frames is None else ["## Frames", _frames(frames)]),
        *([] if stress is None else ["## In other sound", _stress(stress)]),
        "## Data and training",
        "\n".join(f"- {escaped(sentence)}" for sentence in told),
        "## Intended use and limits",
        "For research on how emotion sounds. The scores hold for speech as in this corpus: its language, its "
        "microphones, emotions played or felt as there. Other speakers, rooms and languages are likely to be told "
        "worse, and those who differ from the speakers above worse than others. It names the emotion that listeners "
        "were told or heard, not what a person feels: nothing that matters to a person should be decided by it.",
        "## Licence",
        f"{settings['licence'] or 'Unknown'}. What the licences of the corpus and of a checkpoint under it allow "
        "decides what may be done with the weights"
        + ("." if settings["licence"] else "; `licence` in the configuration names it here."),
    ]
    return "\n\n".join(parts) + "\n"


def _frames(frames):
    error, found, nowhere = frames["error"], frames["UA"], 100 * frames["nowhere"].value
    return (
        "`serflow predict --frames` names the emotion of every frame, and with `--format rttm` or `audacity` where "
        "it changes. In joined neutral and emotional recordings of speakers that the model never heard, "
        f"{_points(error.value, error.low, error.high)} % of the time is labelled wrongly (EDER), where neutral "
        f"everywhere has {nowhere:.1f} %; of the time of each emotion, neutral among them, "
        f"{_points(found.value, found.low, found.high)} % is found (frame UA). Trust where an emotion begins and "
        "ends no further than that."
    )


def _stress(rows):
    _, *others = scores_of(rows).itertuples()
    told = (f"{TITLES[row.condition]} {_points(row.UA, row.low, row.high)}" for row in others)
    return f"UA %, of the same utterances altered: {'; '.join(told)}."


def _metadata(title, licence, corpus, scores):
    task = {"type": "audio-classification", "name": "Speech emotion recognition"}
    named = {"recall": ("UA", scores.UA), "accuracy": ("WA", scores.WA), "f1": ("macro-F1", scores.macro_F1)}
    metrics = [{"type": kind, "name": name, "value": float(value)} for kind, (name, value) in named.items()]
    result = {"task": task, "dataset": {"type": corpus, "name": corpus}, "metrics": metrics}
    told = {
        "license": licence or "unknown",
        "library_name": "serflow",
        "pipeline_tag": "audio-classification",
        "tags": ["speech-emotion-recognition", "serflow"],
        "model-index": [{"name": title, "results": [result]}],
    }
    return f"---\n{yaml.safe_dump(told, sort_keys=False, allow_unicode=True)}---"


def _models(folder, final, protocol):
    each = (
        f"`{folder}/fold-<n>/seed-<n>/model` are the models, of {len(protocol['parts'])} folds: each heard all "
        "speakers but those of its fold, and is scored by them. The whole folder stands for all of them together, by "
        "the mean of their probabilities."
    )
    if final is None:
        return each
    return (
        f"{each}\n\n**`{folder}/{final}/model` is the final model**, trained in the same way on all "
        f"{protocol['utterances']} utterances. It is for use, not for scoring: nobody is left to test it on, and the "
        "scores below are of the models of folds."
    )


def _intervals(scores):
    if scores.block is None:
        return "With so few folds and speakers there are no intervals."
    return f"95 % intervals by Student's t over {scores.block}s; of an emotion or gender, over its own."


def _groups(predictions, tested, classes, scores):
    """A table of UA, of an emotion its recall: every emotion and gender, and the speakers told worst and best."""
    known = tested.set_index("utterance").loc[predictions.utterance]
    frame = predictions.assign(speaker=known.speaker.array, gender=known.gender.array)
    lines = [["Group", "UA %", "Utterances", "Speakers"]]
    for column, group in GROUPS.items():
        rows = []
        for name, part in frame.groupby(column):
            found = interval(block_confusions(part, part[scores.block or "fold"], classes))
            counts = part.utterance.nunique(), part.speaker.nunique()
            rows.append((found.value, f"{group} {name}", _points(found.value, found.low, found.high), *counts))
        if column == "speaker":
            ends = {"worst": min(rows), "best": max(rows)}
            rows = [(value, f"{name}, told {how}", *rest) for how, (value, name, *rest) in ends.items()]
        lines += [list(map(escaped, cells)) for _, *cells in rows]
    return aligned(lines)


def _points(value, low, high):
    return f"{100 * value:.1f}" + ("" if np.isnan(low) else f" [{100 * low:.1f}, {100 * high:.1f}]")
