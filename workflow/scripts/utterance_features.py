"""Extract functionals, statistics or nuisance of every utterance."""

from job import job
from serflow.artifacts import write_parquet
from serflow.utterance_features import table

if __name__ == "__main__":  # its processes import this file
    with job(snakemake) as made:
        features = table(snakemake.wildcards.feature, snakemake.input.frames, snakemake.threads)
        write_parquet(snakemake.output.features, features, made)
