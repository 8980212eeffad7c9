"""Split a corpus into folds."""

import pandas as pd

from job import job
from serflow.artifacts import write_parquet
from serflow.folds import split

with job(snakemake) as made:
    utterances = pd.read_parquet(snakemake.input.utterances)
    write_parquet(snakemake.output.folds, split(utterances, **snakemake.params.folds), made)
