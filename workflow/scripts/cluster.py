"""Cluster the frames that a pool may hear, give each its unit, and say how good the units are."""

from pathlib import Path

import numpy as np
import pandas as pd

from job import job
from serflow.artifacts import replacing, write_json
from serflow.clustering import fit_kmeans, unit_quality
from serflow.errors import UserError
from serflow.folds import heard_by
from serflow.frames import FrameStore, centres, on_grid, writing_frames
from serflow.progress import say

LEVELS = 5


def true_levels(folder, utterances, counts, hop):
    """In which fifth of all frames the true intensity of each lies, int `[N]`; silence and neutral speech have 0."""
    curves = []
    for utterance, count in zip(utterances, counts, strict=True):
        table = pd.read_csv(Path(folder, f"{utterance}.csv"))
        curves.append(on_grid(table["intensity"], table["time"], centres(count, hop)))
    curve = np.concatenate(curves)
    return np.searchsorted(np.quantile(curve, np.arange(1, LEVELS) / LEVELS), curve)


with job(snakemake) as made:
    settings, store = snakemake.params.settings, FrameStore(snakemake.input.frames)
    heard, watched = heard_by(pd.read_parquet(snakemake.input.folds), snakemake.wildcards.pool, settings["selection"])
    frames = store.stack(heard, settings["max_frames"], settings["seed"])
    if not np.isfinite(frames).all():
        raise UserError(f"{snakemake.input.frames} has frames that are no numbers: mend what made them.")
    try:
        kmeans = fit_kmeans(frames, settings["k"], settings["seed"], settings["inits"])
    except ValueError as error:
        raise UserError(f"units.{snakemake.wildcards.units}.k: {error}; lower it.") from error
    assigned = {utterance: kmeans.assign(store[utterance]) for utterance in heard + watched}
    with writing_frames(snakemake.output.units, 0, "int32", store.hop, made) as writer:
        for utterance, units in assigned.items():
            writer.append(utterance, units)
    with replacing(snakemake.output.centroids) as temporary, temporary.open("wb") as file:
        np.save(file, kmeans.centroids)
    utterances = pd.read_parquet(snakemake.input.utterances).set_index("utterance").loc[heard]
    units, counts = np.concatenate([assigned[name] for name in heard]), [len(assigned[name]) for name in heard]
    told = {"k": settings["k"], "frames": len(frames), "objective": kmeans.objective}
    told["empty_clusters"] = settings["k"] - len(np.unique(units))
    for column in ("emotion", "speaker"):
        numbers, names = pd.factorize(utterances[column], sort=True)
        if 1 < len(names) < utterances["sha256"].nunique():  # one class, or a speaker a recording, tells nothing
            told[column] = unit_quality(units, np.repeat(numbers, counts), settings["k"])
    if snakemake.params.truth:
        levels = true_levels(snakemake.params.truth, heard, counts, store.hop)
        told["intensity"] = unit_quality(units, levels, settings["k"])
    write_json(snakemake.output.quality, told | {"made": made})
    of = [f", PNMI of {column} {told[column]['pnmi']:.3f}" for column in ("emotion", "speaker") if column in told]
    say(f"{settings['k']} units of {len(frames)} frames{''.join(of)}, {told['empty_clusters']} empty")
