"""How the rows of a table were made, in the sentences under it: steps, batches, sizes, k, C."""

from collections import Counter
from collections.abc import Iterable, Iterator

from serflow import heads, lineage
from serflow.classical import CLASSICAL

BALANCED = {
    "emotion": "",
    "emotion+gender": " (genders of a class equally often)",
    "nothing": " (classes as often as they are)",
}


def recipe_sentences(config: dict, rows: Iterable[str]) -> Iterator[str]:
    """Of a complete `config` and the systems `rows` of one of its tables; none for what no row has."""
    systems = {name: config["systems"][name] for name in rows}
    trained = {name: system for name, system in systems.items() if system["method"] not in CLASSICAL}
    for what, told in (("Networks", _network), ("Heads", _head), ("Trained", _training)):
        if trained:
            yield f"{what}: {_shared({system['title']: told(config, name) for name, system in trained.items()})}."
    under = lineage.needed(config, trained) & set(config["pretraining"])
    pretrained = {name: _pretraining(config, name) for name in config["pretraining"] if name in under}
    if pretrained:
        yield f"Pretrained: {_shared(pretrained)}."
    for system in trained.values():
        if system["zero_shot"]:
            unheard = system["zero_shot"]
            yield (
                f"{system['title']}: trained without {', '.join(unheard)}, tested on their utterances alone and told "
                f"which one by their prompts; guessing has a UA of {100 / len(unheard):.1f} %."
            )
    linear = [
        (system["title"], CLASSICAL[system["method"]].C) for name, system in systems.items() if name not in trained
    ]
    fixed = [f'"{title}" {C:g}' for title, C in linear if C]
    if fixed:
        yield f"C: {', '.join(fixed)}; fixed beforehand."


def _network(config, name):
    over = {"utterance": "the utterance", "training": "the training speakers", "speaker": "the utterance's speaker"}
    start, frozen = lineage.origin(config, name), ", frozen" * (config["systems"][name]["frozen"] == "encoder")
    network = start["from"] or _called(start["model"], start["options"])
    return f"{network}{frozen}, input normalised over {over[start['normalisation']]}"


def _head(config, name):
    system = config["systems"][name]
    layers = {"last": "the last layer", "weighted": "a learned sum of layers"}
    layer = layers.get(system["layers"], f"layer {system['layers']}")
    head = heads.described(system["head"])
    options = {key: option.default for key, option in head.options.items()} | system["options"]
    options |= {key: options[other] and options[key] for key, other in head.under.items()}
    options |= {key: options[key] or "encoder of random weights" for key in head.folders}
    return f"{_called(system['head'], options)} of {layer}"


def _called(name, options):
    """A model or head with its options in brackets, those that are off left out."""
    shown = {key: "" if value is True or isinstance(value, dict) else f" {value}" for key, value in options.items()}
    told = ", ".join(key + shown[key] for key, value in options.items() if value)
    return f"{name} ({told})" if told else name


def _training(config, name):
    schedule = config["systems"][name]["schedule"]
    return (
        f"{schedule['steps']} steps of {schedule['batch_size']} utterances{BALANCED[schedule['balanced']]}, at most "
        f"{schedule['crop_seconds']:g} s each, learning rate {schedule['learning_rate']:g}"
    )


def _pretraining(config, name):
    entry, schedule = config["pretraining"][name], config["pretraining"][name]["schedule"]
    units = f", {config['units'][entry['units']]['k']} units" if entry["units"] else ""
    return (
        f"{schedule['steps']} steps of {schedule['batch_seconds']:g} s, learning rate "
        f"{schedule['learning_rate']:g}{units}"
    )


def _shared(recipes):
    """`{name: recipe}` as one text: what most share, then the others with their names, which may have commas."""
    (common, _), *others = Counter(recipes.values()).most_common()
    names = {other: [f'"{name}"' for name, recipe in recipes.items() if recipe == other] for other, _ in others}
    return "; ".join([common, *(f"{', '.join(sharing)}: {other}" for other, sharing in names.items())])
