"""Synthesise the demo corpus."""

from pathlib import Path

from job import job
from serflow.corpora.demo import synthesise

with job(snakemake):
    synthesise(Path(snakemake.output.labels).parent, **snakemake.params.options)
