"""Train a classifier on a fold's training speakers and predict its test speakers."""

from pathlib import Path

import pandas as pd

from job import job
from serflow.artifacts import FINAL, write_parquet
from serflow.batches import Inputs, LabelledBatches, WholeUtterances
from serflow.folds import labelled_parts, numbered, without_classes
from serflow.frames import FrameStore, writing_frames
from serflow.heads import described
from serflow.heads.classifier import EmotionClassifier
from serflow.inference import predict
from serflow.models import encoder_at, model_of, token_hop
from serflow.normalisation import kept, shared_moments
from serflow.padding import batch_seconds
from serflow.predictions import predictions_frame
from serflow.training import fit, forget_checkpoints, unweighted_accuracy

with job(snakemake) as made:
    settings, folder = snakemake.params.settings, Path(snakemake.output.model).parent
    fold, seed = numbered(snakemake.wildcards.fold), int(snakemake.wildcards.seed)
    told = {"system": snakemake.wildcards.system, "fold": fold, "seed": seed}
    start = settings["start"] or {"from": str(Path(snakemake.input.encoder[0]).parent)}
    if settings["frozen"] == "front-end" and start["from"] is None:
        settings = {**settings, "frozen": "nothing"}  # a random front-end would handicap the control
    utterances, folds = pd.read_parquet(snakemake.input.utterances), pd.read_parquet(snakemake.input.folds)
    parts, classes = labelled_parts(utterances, folds, fold, settings["selection"])
    if settings["zero_shot"]:
        parts = without_classes(parts, classes, settings["zero_shot"])
    train, watched = parts["train"], parts.get("watched", parts["validation"])  # none where all are trained on
    # A text encoder of random weights that all folds share would be one draw of which words lie near each other.
    own = seed if not settings["zero_shot"] or fold == FINAL else 1000 * (fold + 1) + seed
    model = EmotionClassifier.around(encoder_at(start, seed), classes, settings, own)
    store = FrameStore(snakemake.input.inputs)
    shared = shared_moments(settings["normalisation"], store, utterances, train.utterance)
    model.config.inputs |= kept(settings["normalisation"], shared)
    inputs = Inputs(store, model_of(start).stack, shared)
    needs = described(settings["head"]).needs(settings["options"])
    batches = LabelledBatches(inputs, train, classes, settings["schedule"], seed, needs)
    right = watched.emotion.map(classes.index)
    validation = WholeUtterances(inputs, watched.utterance, right, batch_seconds()) if len(watched) else None
    fit(
        model, batches, folder, settings["schedule"], seed, made, told=told, validation=validation,
        measure=unweighted_accuracy, selection=settings["selection"],
    )  # fmt: skip
    choices = [classes.index(name) for name in settings["zero_shot"]] if settings["zero_shot"] else None
    hop = token_hop(model.encoder.config)
    columns = ["weight", *(f"p_{name}" for name in classes)]
    with writing_frames(snakemake.output.frames, len(columns), "float16", hop, made, columns) as writer:
        for part, path in {"validation": snakemake.output.validation, "test": snakemake.output.predictions}.items():
            if path:
                asked = parts[part].utterance, batch_seconds(), choices, settings["probe"]
                probabilities, shown = predict(model, inputs, *asked, writer.append if part == "test" else None)
                write_parquet(path, predictions_frame(parts[part], probabilities, classes, **told, **shown), made)
    forget_checkpoints(folder)
