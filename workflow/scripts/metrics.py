"""Collect the numbers of all tables in one JSON file, for comparing runs."""

from pathlib import Path

import pandas as pd

from job import job
from serflow.artifacts import write_json
from serflow.evaluation.tables import to_metrics

with job(snakemake) as made:
    tables = {Path(path).stem: to_metrics(pd.read_csv(path)) for path in snakemake.input.tables}
    write_json(snakemake.output.metrics, tables)
