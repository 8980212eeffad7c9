"""Fit a system that needs no network on a fold's training and validation speakers, and predict its test speakers."""

import pandas as pd

from job import job
from serflow.artifacts import write_parquet
from serflow.classical import CLASSICAL
from serflow.folds import labelled_parts
from serflow.predictions import predictions_frame

with job(snakemake) as made:
    utterances = pd.read_parquet(snakemake.input.utterances)
    features = pd.read_parquet(snakemake.input.features) if snakemake.input.features else utterances[["utterance"]]
    features = features.set_index("utterance")
    parts, classes = labelled_parts(
        utterances, pd.read_parquet(snakemake.input.folds), int(snakemake.wildcards.fold), "last"
    )
    tested, labels = parts["test"]
    heard, targets = parts["train"]  # with the validation speakers, on whom nothing is chosen
    method = CLASSICAL[snakemake.params.settings["method"]]
    train, test = (features.loc[names].to_numpy() for names in (heard, tested))
    probabilities = method.fit(train, targets, test, len(classes), method.C)
    speakers = utterances.set_index("utterance").speaker
    frame = predictions_frame(tested, speakers, labels, probabilities, classes)
    write_parquet(snakemake.output.predictions, frame, made)
