"""Pretrain an encoder: predict the units behind the mask."""

from pathlib import Path

import pandas as pd

from job import job
from serflow.artifacts import replacing, write_json, write_text
from serflow.batches import Inputs, PretrainingBatches
from serflow.folds import heard_by
from serflow.frames import FrameStore
from serflow.models import load_encoder
from serflow.models.hubert import HubertForMaskedPrediction
from serflow.training import forget_checkpoints, masked_accuracy, train

with job(snakemake) as made:
    settings, schedule = snakemake.params.settings, snakemake.params.settings["schedule"]
    start = settings["start"] or str(Path(snakemake.input.start[0]).parent)
    head = {"units": settings["units"], "seed": settings["seed"], "frozen": not start.startswith("scratch:")}
    model = HubertForMaskedPrediction.around(load_encoder(start, settings["seed"]), **head)
    heard, watched = heard_by(pd.read_parquet(snakemake.input.folds), snakemake.wildcards.pool)
    inputs, units = Inputs(FrameStore(snakemake.input.inputs)), FrameStore(snakemake.input.labels)
    batches = PretrainingBatches(inputs, units, heard, schedule, settings["seed"])
    validation = PretrainingBatches(inputs, units, watched, schedule, settings["seed"], steps=4) if watched else None
    folder = Path(snakemake.output.model).parent
    checkpoints = folder.with_name(f"{folder.name}.checkpoints")
    history = train(model, batches, checkpoints, schedule, settings["seed"], made, validation, masked_accuracy)
    with replacing(folder) as temporary:
        model.save_pretrained(temporary)
        write_json(temporary / "made.json", made)
        write_text(temporary / "history.csv", history.to_csv(index=False))
    forget_checkpoints(checkpoints)
