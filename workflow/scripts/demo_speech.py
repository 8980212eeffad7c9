"""Synthesise the demo corpus."""

from inspect import signature
from pathlib import Path

from job import job
from serflow.corpora.demo import synthesise
from serflow.errors import UserError

with job(snakemake):
    options = snakemake.params.options
    known = list(signature(synthesise).parameters)[1:]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise UserError(
            f"config: corpus.options has no '{unknown[0]}' for the demo corpus: it takes {', '.join(known)}."
        )
    synthesise(Path(snakemake.output.speech), **options)
