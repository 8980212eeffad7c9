"""Pretrain an encoder without emotion labels: it guesses what its family's objective hides."""

from pathlib import Path

import pandas as pd

from job import job
from serflow.artifacts import replacing, write_json, write_text
from serflow.batches import Inputs, PretrainingBatches
from serflow.folds import heard_by
from serflow.frames import FrameStore
from serflow.models import encoder_at, model_of, pretraining_class
from serflow.normalisation import shared_moments
from serflow.objectives import OBJECTIVES, masking_summary
from serflow.progress import say
from serflow.training import forget_checkpoints, masked_accuracy, train

SUMMARISED, WATCHED = 20, 4  # batches

with job(snakemake) as made:
    settings, seed = snakemake.params.settings, snakemake.params.settings["seed"]
    start = settings["start"] or {"from": str(Path(snakemake.input.start[0]).parent)}
    kind, encoder = model_of(start), encoder_at(start, seed)
    model = pretraining_class(encoder.config.model_type).around(encoder, seed=seed, **settings["head"])
    streams = {"labels": snakemake.input.labels, "intensity": snakemake.input.intensity}
    streams = {name: FrameStore(path) for name, path in streams.items() if path}
    heard, watched = heard_by(pd.read_parquet(snakemake.input.folds), snakemake.wildcards.pool, settings["selection"])
    store, utterances = FrameStore(snakemake.input.inputs), pd.read_parquet(snakemake.input.utterances)
    inputs = Inputs(store, kind.stack, shared_moments(settings["normalisation"], store, utterances, heard))
    told = settings, OBJECTIVES[kind.objective], seed
    batches = PretrainingBatches(inputs, streams, heard, *told)
    validation = PretrainingBatches(inputs, streams, watched, *told, steps=WATCHED) if watched else None
    masking = masking_summary([batches[step] for step in range(min(len(batches), SUMMARISED))])
    if masking["share"] is not None:
        say("masked: " + ", ".join(f"{name} {value:.3f}" for name, value in masking.items() if value is not None))
    folder = Path(snakemake.output.model).parent
    checkpoints = folder.with_name(f"{folder.name}.checkpoints")
    measure = masked_accuracy if kind.objective == "units" else None
    history = train(model, batches, checkpoints, settings["schedule"], seed, made, validation, measure)
    with replacing(folder) as temporary:
        model.save_pretrained(temporary)
        write_json(temporary / "made.json", made)
        write_json(temporary / "masking.json", masking)
        write_text(temporary / "history.csv", history.to_csv(index=False))
    forget_checkpoints(checkpoints)
