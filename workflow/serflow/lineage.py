"""What is built from what: encoders, pretrainings and systems of a complete configuration."""

from collections.abc import Collection

from serflow.models import model_of

LOUDNESS = ("energy", "level")  # the methods of intensity that have no network


def needs(config: dict, name: str) -> list[str]:
    """The encoders, pretrainings and systems that the pretraining or system `name` is built from, directly."""
    if name in config["pretraining"]:
        entry = config["pretraining"][name]
        units = [config["units"][entry["units"]]["frames"]] if entry["units"] else []
        return [entry["start"], *(source for source in units if source != "mfcc")]
    return [config["systems"][name]["encoder"]] if "encoder" in config["systems"].get(name, {}) else []


def origin(config: dict, name: str) -> dict:
    """The entry of encoders that an encoder, pretraining or system goes back to."""
    while name not in config["encoders"]:
        known = config["pretraining"].get(name)
        name = known["start"] if known else config["systems"][name]["encoder"]
    return config["encoders"][name]


def needed(config: dict, names: Collection[str]) -> set[str]:
    """`names`, and every encoder, pretraining and system that they go back to."""
    return set(names).union(*(needed(config, needs(config, name)) for name in names))


def turn(config: dict, name: str) -> tuple[int, int]:
    """(how many systems, how many pretrainings since the last of them) the pretraining or system `name` goes back to,
    at most. No pretraining or system needs another whose turn comes later, whatever their families.
    """
    under = [(*turn(config, source), source) for source in needs(config, name) if source not in config["encoders"]]
    if name in config["systems"]:
        turns = ((systems + (source in config["systems"]), 0) for systems, _, source in under)
    else:
        turns = ((n + 1, 0) if source in config["systems"] else (n, since + 1) for n, since, source in under)
    return max(turns, default=(0, 0))


def head(config: dict, name: str) -> dict:
    """What the head of a pretraining is made with."""
    entry, start = config["pretraining"][name], origin(config, name)
    if model_of(start).objective == "units":
        return {"units": config["units"][entry["units"]]["k"], "frozen": start["from"] is not None}
    weighted = {"weighted": entry["weighted"]} if model_of(start).objective == "frames" else {}
    return {"score_branch": entry["score_branch"], **weighted}


def hears_audio(config: dict, name: str) -> bool:
    """Whether unlabelled audio of the corpus went into the encoder, pretraining or system `name`."""
    return name in config["pretraining"] or any(hears_audio(config, source) for source in needs(config, name))


def hears_emotions(config: dict, name: str) -> bool:
    """Whether the emotions of a fold's training speakers went into the encoder, pretraining or system `name`."""
    intensity = config["pretraining"].get(name, {}).get("intensity")
    told = intensity in config["intensity"] and is_learned(config, intensity)
    return name in config["systems"] or told or any(hears_emotions(config, source) for source in needs(config, name))


def is_learned(config: dict, intensity: str) -> bool:
    """Whether the named intensity has a network, where the others are loudness."""
    return config["intensity"][intensity]["method"] not in LOUDNESS
