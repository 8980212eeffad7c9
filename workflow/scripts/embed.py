"""Hidden states of one layer for every utterance that a pool may hear, and its validation speakers."""

import pandas as pd

from job import job
from serflow.batches import Inputs
from serflow.folds import heard_by
from serflow.frames import FrameStore, writing_frames
from serflow.inference import embed
from serflow.models import encoder_at, model_of
from serflow.normalisation import shared_moments
from serflow.padding import batch_seconds

with job(snakemake) as made:
    settings = snakemake.params.settings
    start = settings["start"] or {"from": snakemake.input.model[0].rpartition("/")[0]}
    kind, encoder = model_of(start), encoder_at(start, settings["seed"])
    heard, watched = heard_by(pd.read_parquet(snakemake.input.folds), snakemake.wildcards.pool, settings["selection"])
    store, utterances = FrameStore(snakemake.input.inputs), pd.read_parquet(snakemake.input.utterances)
    inputs = Inputs(store, kind.stack, shared_moments(settings["normalisation"], store, utterances, heard))
    frames = embed(encoder, inputs, heard + watched, settings["layer"], batch_seconds())
    width, hop = encoder.config.hidden_size, kind.stack / 100
    with writing_frames(snakemake.output.frames, width, hop=hop, made=made) as writer:
        for utterance, states in frames:
            writer.append(utterance, states)
