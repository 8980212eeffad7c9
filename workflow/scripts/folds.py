"""Split a corpus into folds."""

import pandas as pd

from job import job
from serflow.artifacts import write_parquet
from serflow.audit import audit
from serflow.folds import refuse_heard, split
from serflow.progress import say

with job(snakemake) as made:
    utterances = pd.read_parquet(snakemake.input.utterances)
    folds = split(utterances, **snakemake.params.folds)
    tested = utterances[utterances.utterance.isin(folds.utterance[folds.part == "test"])]
    for path in snakemake.input.heard:
        refuse_heard(tested, pd.read_parquet(path))
    for finding in audit(utterances, folds, snakemake.params.folds["protocol"]):
        say(finding.text)
    write_parquet(snakemake.output.folds, folds, made)
