"""Train a classifier on a fold's training speakers and predict its test speakers."""

from pathlib import Path

import pandas as pd

from job import job
from serflow.artifacts import replacing, write_json, write_parquet, write_text
from serflow.batches import Inputs, LabelledBatches, WholeUtterances
from serflow.folds import labelled_parts
from serflow.frames import FrameStore
from serflow.heads.classifier import EmotionClassifier
from serflow.inference import batch_seconds, predict
from serflow.models import encoder_at, model_of
from serflow.normalisation import shared_moments
from serflow.predictions import predictions_frame
from serflow.training import forget_checkpoints, train, unweighted_accuracy

with job(snakemake) as made:
    settings, seed = snakemake.params.settings, int(snakemake.wildcards.seed)
    start = settings["start"] or {"from": str(Path(snakemake.input.encoder[0]).parent)}
    if settings["frozen"] == "front-end" and start["from"] is None:
        settings = {**settings, "frozen": "nothing"}  # a random front-end would handicap the control
    utterances = pd.read_parquet(snakemake.input.utterances)
    folds, fold = pd.read_parquet(snakemake.input.folds), int(snakemake.wildcards.fold)
    parts, classes = labelled_parts(utterances, folds, fold, settings["selection"])
    model = EmotionClassifier.around(encoder_at(start, seed), classes, settings, seed)
    store = FrameStore(snakemake.input.inputs)
    shared = shared_moments(settings["normalisation"], store, utterances, parts["train"][0])
    inputs = Inputs(store, model_of(start).stack, shared)
    batches = LabelledBatches(inputs, *parts["train"], settings["schedule"], seed)
    watched, labels = parts["validation"]  # none where they are trained on
    validation = WholeUtterances(inputs, watched, labels, batch_seconds()) if watched else None
    folder = Path(snakemake.output.predictions).parent
    checkpoints = folder / "checkpoints"
    history = train(
        model, batches, checkpoints, settings["schedule"], seed, made, validation, unweighted_accuracy,
        settings["selection"],
    )  # fmt: skip
    frames, speakers = {}, utterances.set_index("utterance").speaker
    for part in ("validation", "test") if watched else ("test",):
        names, labels = parts[part]
        probabilities, weights = predict(model, inputs, names, batch_seconds())
        frames[part] = predictions_frame(names, speakers, labels, probabilities, classes)
        if weights[0] is not None:
            frames[part]["frame_weights"] = weights
    with replacing(folder / "model") as temporary:
        model.save_pretrained(temporary)
        write_json(temporary / "made.json", made)
    write_text(snakemake.output.history, history.to_csv(index=False))
    if watched:
        write_parquet(snakemake.output.validation, frames["validation"], made)
    write_parquet(snakemake.output.predictions, frames["test"], made)
    forget_checkpoints(checkpoints)
