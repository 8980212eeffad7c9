"""Pretrain an encoder without emotion labels: it guesses what its model's objective hides."""

from pathlib import Path

import pandas as pd

from job import job
from serflow.batches import Inputs, PretrainingBatches
from serflow.folds import heard_by
from serflow.frames import FrameStore
from serflow.models import encoder_at, model_of, pretraining_class
from serflow.normalisation import shared_moments
from serflow.objectives import OBJECTIVES, masking_summary
from serflow.progress import say
from serflow.training import fit, forget_checkpoints, masked_accuracy

SUMMARISED, WATCHED = 20, 4  # batches

if __name__ == "__main__":  # which other processes of a training read too
    with job(snakemake) as made:
        settings, folder = snakemake.params.settings, Path(snakemake.output.model).parent
        seed = settings["seed"]
        start = settings["start"] or {"from": str(Path(snakemake.input.start[0]).parent)}
        kind, encoder = model_of(start), encoder_at(start, seed)
        model = pretraining_class(encoder.config.model_type).around(encoder, seed=seed, **settings["head"])
        streams = {"units": snakemake.input.units, "intensity": snakemake.input.intensity}
        streams = {name: FrameStore(path) for name, path in streams.items() if path}
        heard, watched = heard_by(
            pd.read_parquet(snakemake.input.folds), snakemake.wildcards.pool, settings["selection"]
        )
        store, utterances = FrameStore(snakemake.input.inputs), pd.read_parquet(snakemake.input.utterances)
        inputs = Inputs(store, kind.stack, shared_moments(settings["normalisation"], store, utterances, heard))
        task = settings, OBJECTIVES[kind.objective], seed
        batches = PretrainingBatches(inputs, streams, heard, *task)
        validation = PretrainingBatches(inputs, streams, watched, *task, steps=WATCHED) if watched else None
        masking = masking_summary([batches[step] for step in range(min(len(batches), SUMMARISED))])
        if masking["share"] is not None:
            say("masked: " + ", ".join(f"{name} {value:.3f}" for name, value in masking.items() if value is not None))
        measure = masked_accuracy if kind.objective == "units" else None
        files = {"masking.json": masking}
        fit(
            model, batches, folder, settings["schedule"], seed, made, files, validation=validation, measure=measure,
            processes=max(1, snakemake.resources.get("gpu", 1)),
        )  # fmt: skip
        forget_checkpoints(folder)
