r"""The recipe of the networks, searched on validation speakers alone: what a head, its layers, its training and its
input are worth, one change at a time. Test speakers are neither heard nor scored.

    .venv/bin/snakemake --cores all --configfile config/ems.yaml config/emodb.yaml --config root=<folder> \
        -- emodb-features
    .venv/bin/python benchmarks/recipe.py results/emodb

writes benchmarks/recipe.csv as it goes on (a second call makes what is missing) and benchmarks/recipe.md at the end,
in which a change is compared to the base on the same folds and seeds. Networks start from random weights: the control
to which pretraining is compared, and where a poor recipe hurts most.
"""

import argparse
import os
import tempfile
import time
from itertools import product
from pathlib import Path

import pandas as pd
from joblib import Parallel, delayed

HERE = Path(__file__).parent
BASE = {
    "encoder": "mel-hubert small", "frozen": "nothing", "standardise": True, "pooling": "mean+std", "layers": "last",
    "head": "pooled", "segment": 0, "weight_decay": 1e-5,
    "steps": 300, "learning_rate": 0.0003, "batch_size": 16, "crop_seconds": 3, "normalisation": "utterance",
    "dropout": 0.0, "smoothing": 0.0, "masked": 0.0, "target": "softmax", "dimension": 512,
}  # fmt: skip
TF = {
    "encoder": "tf-transformer small", "head": "segments", "segment": 256, "crop_seconds": 2.56, "weight_decay": 0.01,
    "learning_rate": 0.0005,
}  # fmt: skip
CLAP = {"head": "gemo-clap"}
CHANGES = [
    {},
    {"standardise": False},
    {"pooling": "mean"},
    {"pooling": "mean", "standardise": False},
    {"pooling": "attention+std"},
    {"layers": "weighted"},
    {"layers": 2},
    {"layers": 1},
    {"steps": 150},
    {"steps": 600},
    {"learning_rate": 0.0001},
    {"learning_rate": 0.001},
    {"learning_rate": 0.002},
    {"learning_rate": 0.001, "smoothing": 0.1},
    {"batch_size": 32, "steps": 150},
    {"crop_seconds": 2},
    {"crop_seconds": 6},
    {"dropout": 0.3},
    {"smoothing": 0.1},
    {"masked": 0.2},
    {"normalisation": "training"},
    {"normalisation": "speaker"},
    {"encoder": "mel-hubert tiny"},
    *(
        {"encoder": encoder, "frozen": "encoder", "learning_rate": rate, "layers": layers, "steps": 100}
        for encoder, rates in (("mockingjay small", (0.001, 0.005)), ("npc small", (0.001, 0.005)))
        for rate, layers in product(rates, ("weighted", 1, "last"))
    ),
    TF,
    TF | {"standardise": False},
    TF | {"segment": 128, "crop_seconds": 1.28, "batch_size": 32},
    TF | {"learning_rate": 0.001},
    TF | {"steps": 600},
    TF | {"normalisation": "training"},
    TF | {"normalisation": "training", "steps": 600},
    CLAP,
    CLAP | {"target": "normalised"},
    CLAP | {"learning_rate": 0.001},
    CLAP | {"target": "normalised", "learning_rate": 0.001},
    CLAP | {"dimension": 128},
    {"head": "statistics"},
    {"head": "statistics", "normalisation": "training"},
]


def unweighted_accuracy(results, change, fold, seed):
    """UA of the validation speakers of a fold, of a network that `BASE` with a `change` trains on its training
    speakers; and the seconds of a core that it took."""
    import torch
    from torch import nn

    from serflow import heads
    from serflow.batches import Inputs, LabelledBatches
    from serflow.evaluation import metrics
    from serflow.folds import labelled_parts
    from serflow.frames import FrameStore
    from serflow.heads.classifier import EmotionClassifier
    from serflow.inference import predict
    from serflow.models import build, described
    from serflow.normalisation import shared_moments
    from serflow.padding import batch_seconds
    from serflow.training import train

    class Smoothed(EmotionClassifier):
        def forward(self, input_values, lengths, emotions=None, **more):
            output = super().forward(input_values, lengths, emotions, **more)
            if emotions is not None and recipe["smoothing"]:
                logits = output.logits.float()
                output.loss = nn.functional.cross_entropy(logits, emotions, label_smoothing=recipe["smoothing"])
            return output

    class Masked(LabelledBatches):
        """With spans of 20 frames and of 10 bands set to 0, the mean (SpecAugment, Park et al. 2019)."""

        def __getitem__(self, step):
            batch, generator = super().__getitem__(step), torch.Generator().manual_seed(step)
            for axis in (1, 2):
                size = batch["input_values"].shape[axis]
                spans = max(1, round(recipe["masked"] * size / 20)) if recipe["masked"] else 0
                for row in batch["input_values"]:
                    for start in torch.randint(max(1, size - 20), (spans,), generator=generator).tolist():
                        row.narrow(axis - 1, start, min(20 if axis == 1 else 10, size - start)).zero_()
            return batch

    began, recipe = time.process_time(), BASE | change
    schedule = {
        "warmup": 0.1, "betas": [0.9, 0.999], "epsilon": 1e-8, "clip": 5,
        "checkpoint_steps": 10**6, "report_steps": 10**6, **recipe,
    }  # fmt: skip
    torch.set_num_threads(1)
    os.environ["TENSORBOARD_LOGGING_DIR"] = folder = tempfile.mkdtemp()
    utterances = pd.read_parquet(results / "corpus/utterances.parquet")
    folds = pd.read_parquet(results / "corpus/folds.parquet")
    parts, classes = labelled_parts(utterances, folds, fold, "validation")
    name, size = recipe["encoder"].split()
    kind = described(name)
    store = FrameStore(results / f"features/{kind.reads}.arrow")
    shared = shared_moments(recipe["normalisation"], store, utterances, parts["train"].utterance)
    inputs = Inputs(store, kind.stack, shared)
    if recipe["head"] == "statistics":
        probabilities = linear(inputs, parts, classes)
    else:
        known = heads.described(recipe["head"]).options
        options = {key: recipe[key] for key in ("pooling", "standardise", "target", "dimension") if key in known}
        cut = {"segment": recipe["segment"], "hop": recipe["segment"] // 2} if recipe["segment"] else {}
        encoder = build(name, {"size": size, **cut}, seed)
        model = Smoothed.around(encoder, classes, recipe | {"options": options}, seed)
        if recipe["dropout"]:
            model.head.standardise = nn.Sequential(model.head.standardise, nn.Dropout(recipe["dropout"]))
        batches = Masked(inputs, parts["train"], classes, schedule, seed)
        train(model, batches, Path(folder) / "checkpoints", schedule, seed, {})
        probabilities, _ = predict(model, inputs, parts["validation"].utterance, batch_seconds())
    right = parts["validation"].emotion.map(classes.index)
    counts = metrics.confusion(right, probabilities.argmax(1), range(len(classes)))
    return metrics.unweighted_accuracy(counts), time.process_time() - began


def linear(inputs, parts, classes):
    """Logistic regression on statistics of what a network would read, C as in the baseline."""
    import numpy as np

    from serflow.classical import CLASSICAL
    from serflow.utterance_features import statistics

    def features(part):
        rows = inputs.store.rows(parts[part].utterance)
        return np.array([list(statistics(inputs.read(row)).values()) for row in rows])

    method, heard = CLASSICAL["statistics"], parts["train"].emotion.map(classes.index).to_numpy()
    return method.fit(features("train"), heard, features("validation"), len(classes), method.C)


def named(change):
    return ", ".join(f"{key} {value}" for key, value in change.items()) or "the base"


def job(work):
    results, change, fold, seed = work
    UA, seconds = unweighted_accuracy(results, change, fold, seed)
    cell = {"corpus": results.name, "change": named(change), "fold": fold, "seed": seed}
    return cell | {"UA": round(float(UA), 4), "seconds": round(seconds)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="results/<corpus> with its features made")
    parser.add_argument("--folds", type=int, nargs="+", default=[0, 2], help="folds whose validation speakers score")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="trainings side by side, a core each")
    parser.add_argument("--only", nargs="+", default=[""], help="changes whose name begins with one of these texts")
    arguments = parser.parse_args()
    table = HERE / "recipe.csv"
    done = pd.read_csv(table) if table.is_file() else pd.DataFrame(columns=["corpus", "change", "fold", "seed"])
    done = done[done.corpus == arguments.results.name]
    known = set(zip(done.change, done.fold, done.seed, strict=True))
    changes = [change for change in CHANGES if named(change).startswith(tuple(arguments.only))]
    cells = product(changes, arguments.folds, arguments.seeds)
    works = [(arguments.results, *cell) for cell in cells if (named(cell[0]), *cell[1:]) not in known]
    found = Parallel(arguments.processes, return_as="generator_unordered")(delayed(job)(work) for work in works)
    for number, row in enumerate(found, 1):
        pd.DataFrame([row]).to_csv(table, mode="a", header=not table.is_file(), index=False)
        print(f"{number} of {len(works)}: {row}", flush=True)
    rows = pd.read_csv(table)
    order = {named(change): number for number, change in enumerate(CHANGES)}
    base = rows[rows.change == named({})].set_index(["corpus", "fold", "seed"]).UA
    rows["base"] = base.reindex(pd.MultiIndex.from_frame(rows[["corpus", "fold", "seed"]])).to_numpy()
    mean = rows.groupby(["corpus", "change"])[["UA", "base", "seconds"]].mean()
    mean["networks"] = rows.groupby(["corpus", "change"]).size()
    lines = ["| Corpus | Change | Validation UA % | Against the base | Networks | Core seconds a network |"]
    lines += ["|---|---|---|---|---|---|"]
    for (corpus, change), row in sorted(mean.iterrows(), key=lambda item: (item[0][0], order[item[0][1]])):
        seconds = "-" if pd.isna(row.seconds) else f"{row.seconds:.0f}"
        gain = f"{100 * (row.UA - row.base):+.1f}" if change != named({}) else ""
        lines.append(f"| {corpus} | {change} | {100 * row.UA:.1f} | {gain} | {row.networks:.0f} | {seconds} |")
    base = ", ".join(f"{key} {value}" for key, value in BASE.items())
    (HERE / "recipe.md").write_text("\n".join([f"The base: {base}.", "", *lines]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
