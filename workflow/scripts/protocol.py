"""Write down who is trained on, who is tested, and what heard test audio."""

import pandas as pd

from job import job
from serflow.artifacts import write_json
from serflow.protocol import card

with job(snakemake) as made:
    utterances, folds = pd.read_parquet(snakemake.input.utterances), pd.read_parquet(snakemake.input.folds)
    write_json(snakemake.output.protocol, {**card(utterances, folds, **snakemake.params.settings), "made": made})
