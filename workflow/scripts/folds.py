"""Split a corpus by speaker."""

import pandas as pd

from job import job
from serflow.artifacts import write_parquet
from serflow.folds import speaker_folds

with job(snakemake) as made:
    utterances = pd.read_parquet(snakemake.input.utterances)
    write_parquet(snakemake.output.folds, speaker_folds(utterances, **snakemake.params.folds), made)
