"""Rank a fold's training utterances by how strongly they show their emotion."""

import pandas as pd

from job import job
from serflow.artifacts import write_parquet
from serflow.folds import heard_by
from serflow.intensity.ranking import fit

with job(snakemake) as made:
    heard, _ = heard_by(
        pd.read_parquet(snakemake.input.folds), f"fold-{snakemake.wildcards.fold}", snakemake.params.selection
    )
    emotions = pd.read_parquet(snakemake.input.utterances).set_index("utterance").emotion[heard]
    functionals = pd.read_parquet(snakemake.input.functionals).set_index("utterance").loc[heard].to_numpy()
    strengths = fit(functionals, emotions.to_numpy()).strengths(functionals, emotions.to_numpy())
    write_parquet(snakemake.output.strengths, pd.DataFrame({"utterance": heard, "strength": strengths}), made)
