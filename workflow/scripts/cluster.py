"""Cluster the frames that a pool may hear, label them, and say how good the units are."""

import numpy as np
import pandas as pd

from job import job
from serflow.artifacts import replacing, write_json
from serflow.clustering import fit_kmeans, unit_quality
from serflow.errors import UserError
from serflow.folds import heard_by
from serflow.frames import FrameStore, writing_frames
from serflow.progress import say

with job(snakemake) as made:
    settings, store = snakemake.params.settings, FrameStore(snakemake.input.frames)
    heard, watched = heard_by(pd.read_parquet(snakemake.input.folds), snakemake.wildcards.pool, settings["selection"])
    frames = store.stack(heard, settings["max_frames"], settings["seed"])
    try:
        kmeans = fit_kmeans(frames, settings["k"], settings["seed"], settings["inits"])
    except ValueError as error:
        raise UserError(f"units.{snakemake.wildcards.units}.k: {error}; lower it.") from error
    labels = {utterance: kmeans.assign(store[utterance]) for utterance in heard + watched}
    with writing_frames(snakemake.output.labels, 0, "int32", store.hop, made) as writer:
        for utterance, units in labels.items():
            writer.append(utterance, units)
    with replacing(snakemake.output.centroids) as temporary, temporary.open("wb") as file:
        np.save(file, kmeans.centroids)
    emotions = pd.read_parquet(snakemake.input.utterances).set_index("utterance").emotion.astype("category").cat.codes
    classes = np.repeat(emotions[heard].to_numpy(), [len(labels[utterance]) for utterance in heard])
    quality = unit_quality(np.concatenate([labels[utterance] for utterance in heard]), classes, settings["k"])
    quality |= {"objective": kmeans.objective, "frames": len(frames), "k": settings["k"], "made": made}
    write_json(snakemake.output.quality, quality)
    say(
        f"{settings['k']} units of {len(frames)} frames, purity {quality['purity']:.3f}, "
        f"PNMI {quality['pnmi']:.3f}, {quality['empty_clusters']} empty"
    )
