"""Train a network of frame-level intensity on a fold's training speakers."""

from pathlib import Path

import pandas as pd

from job import job
from serflow.batches import INTENSITY_BATCHES
from serflow.folds import labelled_parts, numbered
from serflow.frames import FrameStore
from serflow.models import build, described
from serflow.training import fit, forget_checkpoints

with job(snakemake) as made:
    settings, folder = snakemake.params.settings, Path(snakemake.output.model).parent
    utterances, folds = pd.read_parquet(snakemake.input.utterances), pd.read_parquet(snakemake.input.folds)
    parts, _ = labelled_parts(utterances, folds, numbered(snakemake.wildcards.fold), settings["selection"])
    rows = parts["train"]
    if snakemake.input.strengths:
        rows = rows.merge(pd.read_parquet(snakemake.input.strengths), on="utterance")
    classes, method, seed = sorted(rows.emotion.unique()), settings["method"], settings["seed"]
    model = build(method, settings["options"], seed, classes)
    objective, audio = described(method, "network").objective, FrameStore(snakemake.input.audio)
    batches = INTENSITY_BATCHES[objective](audio, rows, classes, settings["schedule"], seed)
    fit(model, batches, folder, settings["schedule"], seed, made)
    forget_checkpoints(folder)
