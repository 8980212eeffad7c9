"""From what a moment of each kind of job costs to what a run costs."""

from serflow import lineage
from serflow.audio import RATE
from serflow.features import HOP, WIDTHS

FEATURE_RULES = ("frame_features", "utterance_features")
TRAINING = ("finetune", "pretrain", "train_intensity")
NETWORK_RULES = (*TRAINING, "embed", "intensity")
SIDE_BY_SIDE = (*NETWORK_RULES, "cluster", "classical", "strengths", "utterance_features")  # or on all cores


def work_of(config, jobs, speech):
    """What is to be measured: a dict for every distinct (network, schedule) among `jobs` and every feature.

    `jobs`: (rule, name) of each; `speech`: dict with `classes`, and `mean` and `longest` utterance in seconds.
    """
    works = []
    for rule, name in jobs:
        work = _work(config, rule, name, speech)
        if work and work not in works:
            works.append(work)
    return sorted(works, key=lambda work: TRAINING.index(work["rule"]) if "schedule" in work else len(TRAINING))


def _work(config, rule, name, speech):
    if rule == "pretrain":
        entry = config["pretraining"][name]
        kind = {"schedule": entry["schedule"], "seconds": min(speech["mean"], entry["schedule"]["crop_seconds"])}
        kind |= {"masking": entry["masking"], "head": lineage.head(config, name)}
    elif rule == "finetune":
        entry = config["systems"][name]
        # A batch is padded to its longest utterance.
        kind = {"schedule": entry["schedule"], "seconds": min(speech["longest"], entry["schedule"]["crop_seconds"])}
        kind |= {
            "settings": {key: entry[key] for key in ("layers", "projection", "frozen")},
            "classes": speech["classes"],
        }
    elif rule == "embed":
        name, kind = config["units"][name]["frames"], {"seconds": speech["mean"]}
    elif rule in ("train_intensity", "intensity"):
        entry = config["intensity"][name]
        if entry["corpus"] is not None or not lineage.is_learned(config, name):
            return None
        kind = {key: entry[key] for key in ("method", "size", "schedule")}
        kind |= {"seconds": min(speech["longest"], entry["schedule"]["crop_seconds"]), "classes": speech["classes"]}
        return {"rule": "train_intensity", "mean": speech["mean"], **kind}
    elif rule in FEATURE_RULES:
        return {"rule": "feature", "feature": name, "seconds": speech["mean"]}
    else:
        return None
    return {"rule": rule, "start": lineage.origin(config, name), "mean": speech["mean"], **kind}


def seconds(config, jobs, speech, measured, side):
    """Seconds of the whole run by part. Folds run `side` by side; corpus, frames and tables one after another."""
    works, heavy, light = measured
    parts = dict.fromkeys(("training", "evaluating and embedding", "corpus and features", "starting jobs"), 0.0)
    for rule, name in jobs:
        found = _found(config, rule, name, speech, works)
        share = 1 / side if rule in SIDE_BY_SIDE else 1.0
        parts["starting jobs"] += share * (heavy if rule in NETWORK_RULES else light)
        if rule in TRAINING:
            schedule = found["schedule"]
            reports = schedule["steps"] // schedule["report_steps"]
            parts["training"] += share * schedule["steps"] * found["step"]
            # Four batches forward, a third of a step each; or the validation speakers, and the test speakers once.
            watched = 4 / 3 * found["step"] * reports if rule == "pretrain" else 0.0
            if rule == "finetune":
                watched = found["utterance"] * (reports * speech["validation"] + speech["test"])
            parts["evaluating and embedding"] += share * watched
        elif rule == "embed":
            parts["evaluating and embedding"] += share * found["utterance"] * (speech["utterances"] - speech["test"])
        elif rule == "intensity" and found:
            parts["evaluating and embedding"] += share * found["utterance"] * speech["utterances"]
        elif found:
            parts["corpus and features"] += share * found["utterance"] * speech["utterances"]
        elif rule in speech["reading"]:
            parts["corpus and features"] += speech["reading"][rule]
    return parts


def size(config, jobs, speech, measured, side):
    """Bytes that the run adds, checkpoints of the trainings under way included."""
    total, checkpoint, works = 0.0, 0.0, measured[0]
    total_seconds = speech["utterances"] * speech["mean"]
    heard = 1 - speech["test"] / speech["utterances"]
    for rule, name in jobs:
        found = _found(config, rule, name, speech, works)
        if rule in TRAINING:
            total += 4 * found["parameters"]
            checkpoint = max(checkpoint, 3 * 4 * found["parameters"])  # weights and AdamW's two moments
        elif rule == "embed":
            total += heard * total_seconds * 50 * 2 * found["width"]
        elif rule == "cluster":
            total += heard * total_seconds * 4 * (100 if config["units"][name]["frames"] == "mfcc" else 50)
        elif rule == "frame_features":
            total += total_seconds / HOP * 2 * WIDTHS[name]
        elif rule == "corpus":
            total += total_seconds * RATE * 2
        elif rule == "demo_speech":
            total += speech["bytes"]
    return total + side * checkpoint


def _found(config, rule, name, speech, works):
    work = _work(config, rule, name, speech)
    return next((found for found in works if work and work.items() <= found.items()), None)
