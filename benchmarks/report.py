"""How long `serflow report` takes for many systems, and how large its page is; predictions are drawn at random.

    PYTHONPATH=workflow .venv/bin/python benchmarks/report.py

Three corpora, twenty systems, ten folds and three seeds of it, unless told otherwise.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from serflow import report
from serflow.artifacts import write_json, write_parquet, write_text
from serflow.audio import RATE
from serflow.evaluation import units
from serflow.evaluation.figures import save, sweep_curves, timeline
from serflow.evaluation.tables import build_table, scores_of_parts, to_latex, to_markdown, to_metrics
from serflow.frames import writing_frames
from serflow.predictions import predictions_frame
from serflow.protocol import card

HOP = 0.02  # s between frames
CLUSTERED = {"mfcc": None, "generic": 1, "emotion": 2}  # units, and the layer that each is of


def generate(folder, classes, systems=20, folds=10, seeds=3, speakers=20, utterances=500, audio=True):
    """Make `folder` what a run would have left there: `systems` that are right more and more often, the last one
    transductive. `classes`: names of emotions."""
    folder, rng = Path(folder), np.random.default_rng(0)
    corpus = spoken(folder, classes, speakers, utterances, folds, rng)
    names = [f"system-{number}" for number in range(systems - 1)]
    names += [f"{names[-1]}-transductive"]
    made = {name: [] for name in names}
    for number, name in enumerate(names):
        for fold in range(folds):
            own = corpus[corpus.fold == fold]
            for seed in range(seeds):
                place = folder / f"systems/{name}/fold-{fold}/seed-{seed}"
                chances = guesses(own.emotion, classes, 1 + 2 * number / systems, rng)
                frame = predictions_frame(own, chances, classes, system=name, fold=fold, seed=seed)
                write_parquet(place / "predictions.parquet", frame)
                write_text(place / "model/history.csv", learning(name, fold, seed, rng).to_csv(index=False))
                made[name].append(frame)
                if seed == 0:
                    framed(place / "frames.arrow", own, classes, rng)
    predictions = {name: pd.concat(frames) for name, frames in made.items()}
    rows = [{"system": name, "name": f"System {name}", "baseline": None} for name in names]
    for row, before in zip(rows[1:], names, strict=False):
        row["baseline"] = before
    table = build_table(rows, predictions, corpus, classes)
    notes = ["Drawn at random."]
    write_text(folder / "tables/all.csv", table.to_csv(index=False))
    write_text(folder / "tables/all.md", f"# All systems of {folder.name}\n\n{to_markdown(table, notes)}")
    write_text(folder / "tables/all.tex", to_latex(table, notes))
    write_json(folder / "tables/all.json", to_metrics(table))
    write_text(folder / "tables/all-scores.csv", scores_of_parts(predictions, corpus, classes).to_csv(index=False))
    for fold in range(folds):
        for seed in range(seeds):
            trained_on = corpus[corpus.fold != fold]
            under_systems(folder / f"fold-{fold}/seed-{seed}", corpus, trained_on, (fold, seed), rng)
    graded(folder / "intensity/energy/frames.arrow", corpus, rng)
    described = [(_named(name), {**_quality(rng), "empty_clusters": 0}) for name in CLUSTERED]
    clustered = units.units_table(described)
    write_text(folder / "tables/units.csv", clustered.to_csv(index=False))
    write_text(folder / "tables/units.md", units.to_markdown(clustered))
    spliced(folder / "figures/frames", names, classes, rng)
    write_json(folder / "configuration.json", {"report": {"audio": audio}, "tables": {}})


def spoken(folder, classes, speakers, utterances, folds, rng):
    """The corpus' own files, of noise; the frame of its utterances, with the fold that tests each."""
    number = np.arange(utterances)
    corpus = pd.DataFrame(
        {
            "utterance": [f"utterance {one}" for one in number],
            "corpus": folder.name,
            "speaker": [f"{one % speakers:02}" for one in number],
            "gender": np.where(number % speakers % 2, "female", "male"),
            "label": [classes[one // speakers % len(classes)] for one in number],
            "seconds": rng.uniform(1.5, 4, utterances),
            "fold": number % speakers % folds,
        }
    )
    corpus["emotion"] = corpus.label
    with writing_frames(folder / "corpus/audio.arrow", 0, "int16", 1 / RATE) as writer:
        for row in corpus.itertuples():
            samples = int(row.seconds * RATE)
            loud = np.hanning(samples) * rng.normal(size=samples).cumsum().clip(-50, 50) / 50
            writer.append(row.utterance, (8000 * loud).astype(np.int16))
    write_parquet(folder / "corpus/utterances.parquet", corpus.drop(columns="fold"))
    write_text(folder / "corpus/quarantine.csv", "file,reason\nbroken.wav,unreadable: no audio\n")
    parts = [
        corpus[["utterance"]].assign(fold=fold, part=np.where(corpus.fold == fold, "test", "train"))
        for fold in range(folds)
    ]
    settings = {"protocol": "k-fold", "count": folds, "seed": 0}
    told = card(corpus.drop(columns="fold"), pd.concat(parts), folder.name, settings, "last", [0], "chain", [], [])
    write_json(folder / "corpus/protocol.json", told)
    return corpus


def guesses(emotions, classes, sure, rng):
    """Probabilities `[N, C]` that are right the more often, the larger `sure`."""
    truth = emotions.to_numpy()[:, None] == np.array(classes, dtype=object)
    logits = rng.normal(size=truth.shape) + sure * truth
    return (np.exp(logits) / np.exp(logits).sum(1, keepdims=True)).astype(np.float32)


def learning(name, fold, seed, rng):
    """A history of ten reports of loss and its terms, and UA."""
    steps = np.arange(30, 301, 30)
    parts = []
    for quantity in ("train loss", "train entropy", "train UA", "validation UA"):
        values = 2 / np.sqrt(steps) + rng.normal(0, 0.01, len(steps))
        parts.append(pd.DataFrame({"step": steps, "quantity": quantity, "value": values}))
    return pd.concat(parts).assign(system=name, fold=fold, seed=seed)


def framed(path, own, classes, rng):
    """Attention and posteriors of every frame."""
    columns = ["weight", *(f"p_{name}" for name in classes)]
    with writing_frames(path, len(columns), "float16", HOP, columns=columns) as writer:
        for row in own.itertuples():
            count = int(row.seconds / HOP)
            walks = rng.normal(0, 0.2, (count, len(columns))).cumsum(0)
            shares, posteriors = np.exp(walks[:, :1]), np.exp(walks[:, 1:])
            frames = np.hstack([shares / shares.sum(), posteriors / posteriors.sum(1, keepdims=True)])
            writer.append(row.utterance, frames)


def under_systems(folder, corpus, trained_on, run, rng):
    """A pretraining, an intensity of all utterances, and units of those that were trained on."""
    told = learning("generic", *run, rng).drop(columns=["system", "fold", "seed"])
    write_text(folder / "ssl/generic/history.csv", told.to_csv(index=False))
    write_json(folder / "ssl/generic/masking.json", {"share": 0.5, "inside": 0.6, "outside": 0.4})
    graded(folder / "intensity/strengthnet/frames.arrow", corpus, rng)
    for name in CLUSTERED:
        with writing_frames(folder / f"units/{name}/units.arrow", 0, "int32", HOP) as writer:
            for row in trained_on.itertuples():
                runs = rng.integers(0, 50, 1 + int(row.seconds / HOP / 4))
                writer.append(row.utterance, np.repeat(runs, 4).astype(np.int32))


def graded(path, corpus, rng):
    """An intensity of every frame."""
    with writing_frames(path, 0, "float16", HOP) as writer:
        for row in corpus.itertuples():
            writer.append(row.utterance, wandering(int(row.seconds / HOP), rng).astype(np.float16))


def wandering(frames, rng):
    """`[frames]` between 0 and 1, each near the one before."""
    return 1 / (1 + np.exp(-rng.normal(0, 0.3, frames).cumsum()))


def _named(units):
    return {"units": units, "frames": units, "layer": CLUSTERED[units], "k": 50}


def _quality(rng):
    return {key: {"pnmi": rng.uniform(0, 0.3), "purity": rng.uniform(0.3, 0.7)} for key in ("emotion", "speaker")}


def spliced(folder, names, classes, rng):
    """Two splices on their time axes, all systems on each, and what layers know."""
    for pattern in ("nen", "nenen"):
        seconds = 1.6 * len(pattern)
        told = [
            ("truth", classes[0] if part == "e" else "neutral", "", [1.6 * place, 1.6 * (place + 1)])
            for place, part in enumerate(pattern)
        ]
        told.append(("waveform", "", "", wandering(400, rng)))
        told += [("intensity", name, "", wandering(int(seconds / HOP), rng)) for name in ("energy", "strengthnet")]
        for name in names:
            told += [("posteriors", name, label, wandering(int(seconds / HOP), rng)) for label in classes]
        told += [("units", name, "", rng.integers(0, 50, int(seconds / HOP))) for name in CLUSTERED]
        rows = pd.DataFrame(told, columns=["kind", "name", "column", "values"])
        save(
            timeline(rows.assign(splice=f"00-{pattern}-0", duration=seconds), {}), folder / f"timeline-{pattern}.png"
        )
    measures = ("Emotion PNMI above chance", "Emotion purity", "Phone-like PNMI")
    told = [
        {"measure": measure, "line": f"encoder-{number}", "k": 50, "layer": layer, "value": rng.uniform(0, 0.5)}
        for measure in measures for number in range(8) for layer in range(4) for _ in range(20)
    ]  # fmt: skip
    save(sweep_curves(pd.DataFrame(told), "What layers know of frames"), folder / "layers.png")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for option, default in (("corpora", 3), ("systems", 20), ("folds", 10), ("seeds", 3)):
        parser.add_argument(f"--{option}", type=int, default=default)
    options = parser.parse_args()
    classes = ["anger", "boredom", "disgust", "fear", "happiness", "neutral", "sadness"]
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder) / f"corpus-{number}" for number in range(options.corpora)]
        for place in places:
            generate(place, classes, options.systems, options.folds, options.seeds)
        begun, worked, target = time.perf_counter(), time.process_time(), Path(folder) / "report.html"
        report.write(places, target)
        seconds, core = time.perf_counter() - begun, time.process_time() - worked
        megabytes = os.path.getsize(target) / 1e6
    print(f"{options}: {seconds:.1f} s, {core:.1f} s of a core, {megabytes:.1f} MB, with audio")


if __name__ == "__main__":
    main()
