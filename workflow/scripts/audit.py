"""Look for what may tell the emotions of a corpus without being emotion."""

import pandas as pd

from job import job
from serflow.artifacts import write_json
from serflow.audit import audit
from serflow.progress import say

with job(snakemake) as made:
    utterances, folds = pd.read_parquet(snakemake.input.utterances), pd.read_parquet(snakemake.input.folds)
    found = audit(utterances, folds, snakemake.params.protocol, pd.read_parquet(snakemake.input.nuisance))
    for finding in found:
        say(f"warning: {finding.text}") if finding.warning else say(finding.text)
    write_json(snakemake.output.audit, {"findings": [finding._asdict() for finding in found], "made": made})
