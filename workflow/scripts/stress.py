"""What trained systems say of their test utterances in other sound."""

import tempfile
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd

from job import job
from serflow.artifacts import write_parquet
from serflow.audio import RATE, from_int16, to_int16
from serflow.batches import Inputs
from serflow.features import HOP, WIDTHS, extracted
from serflow.folds import labelled_parts, without_classes
from serflow.frames import FrameStore, writing_frames
from serflow.heads.classifier import load_classifier
from serflow.inference import predict
from serflow.models import of_type
from serflow.normalisation import shared_moments
from serflow.padding import batch_seconds
from serflow.predictions import predictions_frame
from serflow.progress import say, track
from serflow.stress import CLEAN, stressed


def altered(condition: str, path: Path) -> FrameStore:
    """A frame store of all that the tested speakers say, in a condition."""
    with writing_frames(path, 0, "int16", 1 / RATE) as writer:
        for name in track(voices.utterance, len(voices), condition):
            samples = stressed(condition, from_int16(audio[name]), name, settings["seed"])
            writer.append(name, to_int16(samples))
    return FrameStore(path)


def features(reads: str, sounds: FrameStore, path: Path) -> FrameStore:
    """A frame store of features of `sounds`, a store of audio."""
    with writing_frames(path, WIDTHS[reads], hop=HOP) as writer:
        for name in track(sounds.utterances, len(sounds.utterances), f"{reads}, {path.stem}"):
            writer.append(name, extracted(reads, from_int16(sounds[name])))
    return FrameStore(path)


def moments(inputs: dict, store: FrameStore) -> dict:
    """See `shared_moments`: those of training that a model keeps, or of the tested speakers as they sound now."""
    if inputs["normalisation"] != "training":
        return shared_moments(inputs["normalisation"], store, voices, ())
    kept = tuple(np.asarray(inputs[key], np.float32) for key in ("mean", "deviation"))
    return dict.fromkeys(store.utterances, kept)


with job(snakemake) as made, tempfile.TemporaryDirectory() as temporary:
    settings, audio, folder = dict(snakemake.params.settings), FrameStore(snakemake.input.audio), Path(temporary)
    fold, seed = int(snakemake.wildcards.fold), int(snakemake.wildcards.seed)
    utterances, folds = pd.read_parquet(snakemake.input.utterances), pd.read_parquet(snakemake.input.folds)
    parts, classes = labelled_parts(utterances, folds, fold, settings["selection"])
    voices = utterances[utterances.speaker.isin(parts["test"].speaker)]
    names = (CLEAN, *settings["conditions"])
    sounds = {condition: altered(condition, folder / f"{condition}.arrow") for condition in names}
    say(f"{len(voices)} utterances in {len(settings['conditions'])} conditions")
    told, systems = [], sorted(settings["systems"].items(), key=lambda one: one[1]["reads"])
    for reads, own in groupby(systems, key=lambda one: one[1]["reads"]):
        stores = sounds
        if reads != "audio":
            (folder / "features").mkdir(exist_ok=True)
            stores = {
                name: features(reads, sound, folder / "features" / f"{name}.arrow") for name, sound in sounds.items()
            }
        for name, entry in own:
            model, unheard = load_classifier(entry["model"]), entry["zero_shot"]
            test = (without_classes(parts, classes, unheard) if unheard else parts)["test"]
            choices = [classes.index(one) for one in unheard] if unheard else None
            stack = of_type(model.config.encoder["model_type"]).stack
            for condition, store in stores.items():
                inputs = Inputs(store, stack, moments(model.config.inputs, store))
                found, _ = predict(model, inputs, test.utterance, batch_seconds(), choices)
                named = {"system": name, "fold": fold, "seed": seed, "condition": condition}
                told.append(predictions_frame(test, found, classes, **named))
            say(f"system {name}")
    write_parquet(snakemake.output.predictions, pd.concat(told, ignore_index=True), made)
