"""Gather what all units tell of emotion and speaker in one table."""

import json
from pathlib import Path

from job import job
from serflow.artifacts import write_csv, write_text
from serflow.evaluation.units import to_markdown, units_table

with job(snakemake) as made:
    qualities = [json.loads(Path(path).read_text(encoding="utf-8")) for path in snakemake.input.qualities]
    table = units_table(zip(snakemake.params.named, qualities, strict=True))
    write_csv(snakemake.output.csv, table)
    write_text(snakemake.output.markdown, to_markdown(table))
