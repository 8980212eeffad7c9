"""Hidden states of one layer for every utterance that a pool may hear, and its validation speakers."""

import pandas as pd

from job import job
from serflow.folds import heard_by
from serflow.frames import FrameStore
from serflow.inference import HiddenStates

with job(snakemake) as made:
    settings, utterances = snakemake.params.settings, pd.read_parquet(snakemake.input.utterances)
    start = settings["start"] or {"from": snakemake.input.model[0].rpartition("/")[0]}
    heard, watched = heard_by(pd.read_parquet(snakemake.input.folds), snakemake.wildcards.pool, settings["selection"])
    states = HiddenStates.of(start, settings, FrameStore(snakemake.input.inputs), utterances, heard)
    states.write(snakemake.output.frames, heard + watched, made)
