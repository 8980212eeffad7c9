"""Rank a fold's training utterances by how strongly they show their emotion; score tested ones by every ranker."""

import pandas as pd

from job import job
from serflow.artifacts import write_parquet
from serflow.folds import heard_by, numbered
from serflow.intensity.ranking import fit

with job(snakemake) as made:
    folds, fold = pd.read_parquet(snakemake.input.folds), numbered(snakemake.wildcards.fold)
    heard, _ = heard_by(folds, f"fold-{fold}", snakemake.params.selection)
    tested = sorted(folds.utterance[(folds.fold == fold) & (folds.part == "test")])
    emotions = pd.read_parquet(snakemake.input.utterances).set_index("utterance").emotion[heard].to_numpy()
    functionals = pd.read_parquet(snakemake.input.functionals).set_index("utterance")
    rankers = fit(functionals.loc[heard].to_numpy(), emotions)
    strengths = rankers.strengths(functionals.loc[heard].to_numpy(), emotions)
    write_parquet(snakemake.output.strengths, pd.DataFrame({"utterance": heard, "strength": strengths}), made)
    ranked = pd.DataFrame(rankers.scores(functionals.loc[tested].to_numpy()), columns=rankers.emotions)
    write_parquet(snakemake.output.ranked, ranked.assign(utterance=tested), made)
