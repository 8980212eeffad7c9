"""What a fold's intensities, systems and units say of the frames of its test speakers' splices."""

import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from transformers import PreTrainedModel

from job import job
from serflow.artifacts import write_parquet
from serflow.batches import Inputs
from serflow.clustering import Clustering, fit_kmeans
from serflow.features import WIDTHS, extracted
from serflow.folds import heard_by
from serflow.frames import FrameStore, drawn, writing_frames
from serflow.inference import HiddenStates
from serflow.intensity import load, score
from serflow.models import encoder_at, model_of
from serflow.normalisation import shared_moments
from serflow.padding import batch_seconds
from serflow.progress import say
from serflow.recognition.spliced import (
    MOST_FRAMES,
    PHONE_LIKE,
    Findings,
    Splices,
    phone_like,
    recognised,
    reference,
    seam_control,
)
from serflow.splices import NEUTRAL, SEAM, Splice, heard_alone, planned, write_splices


def joined(plan: list[Splice], path: Path) -> Splices:
    """The splices of a plan, whose sound is kept at `path`."""
    pieces = write_splices(plan, audio, path)
    return Splices(FrameStore(path), pieces)


def embedded(entry: dict, encoder: PreTrainedModel, layer: int, splices: Splices) -> FrameStore:
    """A frame store of a layer of an encoder."""
    kind = model_of(entry["start"])
    store = splices.audio if kind.reads == "audio" else features(kind.reads, splices)
    told = pd.DataFrame({"utterance": splices.names, "speaker": map(splices.speaker, splices.names)})
    fitted = FrameStore(entry["store"]) if entry["normalisation"] == "training" else store
    moments = shared_moments(entry["normalisation"], fitted, told, heard)
    path = Path(tempfile.mkdtemp(dir=folder), "frames.arrow")
    HiddenStates(encoder, Inputs(store, kind.stack, moments), layer).write(path, splices.names)
    return FrameStore(path)


@cache
def features(kind: str, splices: Splices) -> FrameStore:
    """A frame store of features of splices."""
    path = Path(tempfile.mkdtemp(dir=folder), "frames.arrow")
    with writing_frames(path, WIDTHS[kind]) as writer:
        for name in splices.names:
            writer.append(name, extracted(kind, splices.waveform(name)))
    return FrameStore(path)


with job(snakemake) as made, tempfile.TemporaryDirectory() as temporary:
    settings, folder, seed = dict(snakemake.params.settings), Path(temporary), int(snakemake.wildcards.seed)
    audio, folds = FrameStore(snakemake.input.audio), pd.read_parquet(snakemake.input.folds)
    plan = planned(pd.read_parquet(snakemake.input.utterances), **settings["splices"])
    heard, _ = heard_by(folds, f"fold-{snakemake.wildcards.fold}", settings["selection"])
    train = joined(heard_alone(plan, heard), folder / "train")
    own = folds[(folds.fold == int(snakemake.wildcards.fold)) & (folds.part == "test")]
    every = joined(heard_alone(plan, own.utterance), folder / "test")
    test = every.without(SEAM)
    if not (len(train) and len(test)):
        say("nothing is asked: no speaker of this fold has neutral and emotional recordings to join")
        settings |= {"intensities": {}, "systems": {}, "units": {}, "encoders": {}, "first": False}
    found, asked = Findings(test), (test.audio, test.names, batch_seconds())
    for name, entry in settings["intensities"].items():
        model = load(entry["method"], Path(entry["model"]).parent) if entry["model"] else None
        found.intensity(name, score(entry["method"], model, *asked, entry["smoothing"]))
        say(f"intensity {name} of {len(test)} splices")
    for name, model in settings["systems"].items():
        told = list(recognised(test, model))
        found.posteriors(name, told[0].classes, [(one.splice, one.posteriors, one.emotion) for one in told])
        if settings["attends"][name]:
            found.attention(name, [(one.splice, one.weights) for one in told])
        say(f"system {name} of {len(test)} splices")
    if settings["first"]:
        classes = sorted({NEUTRAL, *train.pieces.emotion})
        told = reference(train.without(SEAM), test, classes)
        found.posteriors("reference", classes, [(splice, posteriors, NEUTRAL) for splice, posteriors in told])
        found.seams(seam_control(train, every))
        say("reference and seams")
    phones = phone_like(train, test, seed) if settings["units"] or settings["encoders"] else {}
    for name, entry in settings["units"].items():
        kmeans = Clustering(np.load(entry["centroids"], allow_pickle=False), 0.0)
        if entry["start"]:
            frames = embedded(entry, encoder_at(entry["start"], seed), entry["layer"], test)
        else:
            frames = features("mfcc", test)
        found.clustered(name, frames, phones, kmeans, seed)
        say(f"units {name} of {len(test)} splices")
    for name, entry in settings["encoders"].items():
        encoder = encoder_at(entry["start"], seed)
        for layer in range(1 + encoder.config.num_hidden_layers):
            known = embedded(entry, encoder, layer, train)
            fitted = drawn(train.names, known.lengths_of(train.names), MOST_FRAMES, seed)
            kmeans = fit_kmeans(known.stack(fitted), PHONE_LIKE, seed)
            found.clustered(name, embedded(entry, encoder, layer, test), phones, kmeans, seed, layer)
        say(f"layers of {name}")
    write_parquet(snakemake.output.segments, every.pieces, made)
    for part in ("scores", "emotions", "units", "timelines"):
        write_parquet(snakemake.output[part], pd.DataFrame(getattr(found, part)).assign(seed=seed), made)
