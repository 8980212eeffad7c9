"""Train a network of frame-level intensity on a fold's training speakers."""

from pathlib import Path

import pandas as pd

from job import job
from serflow.artifacts import replacing, write_json, write_text
from serflow.folds import heard_by
from serflow.frames import FrameStore
from serflow.intensity import network
from serflow.intensity.batches import batches_for
from serflow.training import forget_checkpoints, train

with job(snakemake) as made:
    settings, audio = snakemake.params.settings, FrameStore(snakemake.input.audio)
    method, schedule, seed = settings["method"], settings["schedule"], settings["seed"]
    heard, _ = heard_by(
        pd.read_parquet(snakemake.input.folds), f"fold-{snakemake.wildcards.fold}", settings["selection"]
    )
    rows = pd.read_parquet(snakemake.input.utterances).set_index("utterance").loc[heard].reset_index()
    if snakemake.input.strengths:
        rows = rows.merge(pd.read_parquet(snakemake.input.strengths), on="utterance")
    classes = sorted(rows.emotion.unique())
    model = network(method).sized(f"{method}-{settings['size']}", classes, seed)
    folder = Path(snakemake.output.model).parent
    checkpoints = folder.with_name("checkpoints")
    batches = batches_for(method, audio, rows, classes, schedule, seed)
    history = train(model, batches, checkpoints, schedule, seed, made)
    with replacing(folder) as temporary:
        model.save_pretrained(temporary)
        write_json(temporary / "made.json", made)
        write_text(temporary / "history.csv", history.to_csv(index=False))
    forget_checkpoints(checkpoints)
