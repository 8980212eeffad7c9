"""Cluster the frames that a pool may hear, give each its unit, and say how good the units are."""

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd

from job import job
from serflow.artifacts import replacing, write_json
from serflow.clustering import fit_kmeans, unit_quality
from serflow.errors import UserError
from serflow.folds import heard_by
from serflow.frames import Frames, FrameStore, centres, drawn, on_grid, writing_frames
from serflow.progress import say

LEVELS = 5


def frames_of(settings: dict, utterances: pd.DataFrame, heard: list[str]) -> Frames:
    """What is clustered: features, or a layer of an encoder, whose hidden states are never written."""
    store = FrameStore(snakemake.input.inputs)
    if settings["layer"] is None:
        return store
    hidden = import_module("serflow.inference").HiddenStates  # by name: of features nothing of it is in the digest
    start = settings["start"] or {"from": snakemake.input.model[0].rpartition("/")[0]}
    return hidden.of(start, settings, store, utterances, heard)


def true_levels(folder: str, utterances: Iterable[str], counts: Iterable[int], hop: float) -> np.ndarray:
    """In which fifth of all frames the true intensity of each lies, int `[N]`; silence and neutral speech have 0."""
    curves = []
    for utterance, count in zip(utterances, counts, strict=True):
        table = pd.read_csv(Path(folder, f"{utterance}.csv"))
        curves.append(on_grid(table["intensity"], table["time"], centres(count, hop)))
    curve = np.concatenate(curves)
    return np.searchsorted(np.quantile(curve, np.arange(1, LEVELS) / LEVELS), curve)


with job(snakemake) as made:
    settings, utterances = snakemake.params.settings, pd.read_parquet(snakemake.input.utterances)
    heard, watched = heard_by(pd.read_parquet(snakemake.input.folds), snakemake.wildcards.pool, settings["selection"])
    frames = frames_of(settings, utterances, heard)
    fitted = drawn(heard, frames.lengths_of(heard), settings["max_frames"], settings["seed"])
    stacked = frames.stack(fitted)
    if not np.isfinite(stacked).all():
        what = snakemake.input.inputs if settings["layer"] is None else f"Layer {settings['layer']} of the encoder"
        raise UserError(f"{what} has frames that are no numbers: mend what made them.")
    try:
        kmeans = fit_kmeans(stacked, settings["k"], settings["seed"], settings["inits"])
    except ValueError as error:
        raise UserError(f"units.{snakemake.wildcards.units}.k: {error}; lower it.") from error
    ends = np.cumsum(frames.lengths_of(fitted))
    assigned = {name: kmeans.assign(own) for name, own in zip(fitted, np.split(stacked, ends[:-1]), strict=True)}
    del stacked
    others = [name for name in heard + watched if name not in assigned]
    assigned |= {name: kmeans.assign(own) for name, own in frames.items(others)}
    with writing_frames(snakemake.output.units, 0, "int32", frames.hop, made) as writer:
        for utterance in heard + watched:
            writer.append(utterance, assigned[utterance])
    with replacing(snakemake.output.centroids) as temporary, temporary.open("wb") as file:
        np.save(file, kmeans.centroids)
    utterances = utterances.set_index("utterance").loc[heard]
    units, counts = np.concatenate([assigned[name] for name in heard]), [len(assigned[name]) for name in heard]
    told = {"k": settings["k"], "frames": int(ends[-1]), "objective": kmeans.objective}
    told["empty_clusters"] = settings["k"] - len(np.unique(units))
    for column in ("emotion", "speaker"):
        numbers, names = pd.factorize(utterances[column], sort=True)
        if 1 < len(names) < utterances["sha256"].nunique():  # one class, or a speaker a recording, tells nothing
            told[column] = unit_quality(units, np.repeat(numbers, counts), settings["k"])
    if snakemake.params.truth:
        levels = true_levels(snakemake.params.truth, heard, counts, frames.hop)
        told["intensity"] = unit_quality(units, levels, settings["k"])
    write_json(snakemake.output.quality, told | {"made": made})
    of = [f", PNMI of {column} {told[column]['pnmi']:.3f}" for column in ("emotion", "speaker") if column in told]
    of_all = f" of {sum(counts)}" if len(fitted) < len(heard) else ""
    say(f"{settings['k']} units of {ends[-1]} frames{of_all}{''.join(of)}, {told['empty_clusters']} empty")
