"""Write down what the tables will claim, and what could be resolved, before anything is trained."""

import hashlib

import pandas as pd

from job import job
from serflow.artifacts import write_csv
from serflow.evaluation.register import planned

with job(snakemake) as made:
    utterances, folds = pd.read_parquet(snakemake.input.utterances), pd.read_parquet(snakemake.input.folds)
    tested = utterances[utterances.utterance.isin(folds.utterance[folds.part == "test"])]
    table = planned(
        snakemake.params.settings["claims"],
        folds=folds.fold[folds.part == "test"].nunique(),
        speakers=tested.speaker.nunique(),
        seeds=snakemake.params.settings["seeds"],
        synthesised=snakemake.params.settings["synthesised"],
        recordings=hashlib.sha256("\0".join(sorted(tested.samples)).encode()).hexdigest()[:12],  # by content
    )
    write_csv(snakemake.output.csv, table)
