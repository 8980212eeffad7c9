"""Write down the complete configuration."""

from job import job
from serflow.artifacts import write_json

with job(snakemake):
    write_json(snakemake.output.configuration, snakemake.params.settings)
