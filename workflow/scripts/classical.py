"""Fit a system that needs no network on a fold's training and validation speakers, and predict its test speakers."""

import pandas as pd

from job import job
from serflow.artifacts import write_parquet
from serflow.classical import CLASSICAL
from serflow.folds import labelled_parts
from serflow.predictions import predictions_frame

with job(snakemake) as made:
    utterances, folds = pd.read_parquet(snakemake.input.utterances), pd.read_parquet(snakemake.input.folds)
    features = pd.read_parquet(snakemake.input.features) if snakemake.input.features else utterances[["utterance"]]
    method = CLASSICAL[snakemake.params.settings["method"]]
    features = features.set_index("utterance").drop(columns=list(method.without))
    told = {"system": snakemake.wildcards.system}
    told |= {name: int(snakemake.wildcards[name]) for name in ("fold", "seed")}
    # Validation speakers are heard too: nothing is chosen on them.
    parts, classes = labelled_parts(utterances, folds, told["fold"], "last")
    heard = parts["train"].emotion.map(classes.index)
    train, test = (features.loc[parts[part].utterance].to_numpy() for part in ("train", "test"))
    probabilities = method.fit(train, heard.to_numpy(), test, len(classes), method.C)
    write_parquet(
        snakemake.output.predictions, predictions_frame(parts["test"], probabilities, classes, **told), made
    )
