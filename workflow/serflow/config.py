"""The configuration: checked against its schema, defaults filled in; what must fit together, serflow.consistency
checks."""

import copy
import json
import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import yaml

from serflow import consistency, sweeps
from serflow.errors import UserError
from serflow.lineage import hears_audio, is_learned, origin
from serflow.registry import Validator, hint
from serflow.yaml_files import read_yaml

SCHEMA = Path(__file__).parents[1] / "schemas" / "config.schema.yaml"
SCHEDULES = {  # whose entries differ from which common schedule
    "intensity": "intensity_schedule",
    "pretraining": "pretraining_schedule",
    "systems": "finetuning_schedule",
}


@cache
def schema() -> dict:
    return yaml.load(SCHEMA.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)  # noqa: S506 (as safe, and in C)


def check_files(files: Iterable[str | Path]) -> None:
    """UserError that names file and line where configuration files say what Snakemake would lose without a word."""
    for file in files:
        read_yaml(file)


def complete(config: dict) -> dict:
    """A copy of `config` with every default in place. UserError with one sentence that names the first wrong key."""
    config = _typed(_without_removed(copy.deepcopy(dict(config))), schema())
    _name_checkpoints(config)
    _fill(config, schema())
    if isinstance(config["corpus"], dict) and config["corpus"]["name"] is None:
        config["corpus"]["name"] = config["corpus"]["adapter"]
    error = next(iter(sorted(Validator(schema()).iter_errors(config), key=_depth)), None)
    if error is not None:
        raise UserError(_sentence(error))
    if config["root"]:
        config["root"] = os.path.expanduser(config["root"])
    for entry in config["encoders"].values():
        entry["normalisation"] = entry["normalisation"] or config["normalisation"]
    for section, common in SCHEDULES.items():
        _fill_schedules(config, section, common)
    consistency.check(config)
    config["sweeps"] = sweeps.expand(config)
    _fill(config, schema())
    _mark_normalised(config)
    _mark_zero_shot(config)
    _add_transductive(config)
    for table in config["tables"].values():
        if table["claims"] is None:
            table["claims"] = [system for system, baseline in table["rows"].items() if baseline is not None]
    return config


def _without_removed(config):
    """An overlay takes out an entry of these sections by giving it as null."""
    for section in consistency.NAMED:
        if isinstance(config.get(section), dict):
            config[section] = {name: entry for name, entry in config[section].items() if entry is not None}
    return config


def _typed(values, description):
    """`values` with numbers and truth values where Snakemake's --config left their text, as in seeds=[0,1,2]."""
    entries = description.get("additionalProperties")
    if isinstance(values, dict):
        inner = description.get("properties", {})
        entries = entries if isinstance(entries, dict) else {}
        return {key: _typed(value, inner.get(key, entries)) for key, value in values.items()}
    if isinstance(values, list):
        return [_typed(value, description.get("items", {})) for value in values]
    text = description.get("type", "string")
    if not isinstance(values, str) or ("string" in text and values in description.get("enum", [values])):
        return values
    is_number = values.removeprefix("-")[:1].isdecimal()
    try:
        return json.loads(values) if is_number or values in ("true", "false") else values
    except ValueError:
        return values


def _name_checkpoints(config):
    """An encoder may be given by the folder of its checkpoint alone."""
    if isinstance(config.get("encoders"), dict):
        config["encoders"] = {
            name: {"from": entry} if isinstance(entry, str) else entry for name, entry in config["encoders"].items()
        }


def _fill(values, description):
    for key, inner in description.get("properties", {}).items():
        if isinstance(values, dict):
            if "default" in inner:
                values.setdefault(key, copy.deepcopy(inner["default"]))
            if key in values:
                _fill(values[key], inner)
    entries = description.get("additionalProperties")
    if isinstance(entries, dict) and isinstance(values, dict):
        for entry in values.values():
            _fill(entry, entries)


def _fill_schedules(config, section, common):
    """Give every entry its whole schedule: the section's common one with the entry's differences."""
    validator = Validator(schema()["properties"][common])
    for name, entry in config[section].items():
        entry["schedule"] = {**config[common], **entry["schedule"]}
        for error in validator.iter_errors(entry["schedule"]):
            raise UserError(_sentence(error, f"{section}.{name}.schedule"))


def _depth(error):
    return len(error.absolute_path), list(map(str, error.absolute_path))


def _sentence(error, prefix=""):
    where = ".".join([prefix, *map(str, error.absolute_path)] if prefix else map(str, error.absolute_path))
    if error.validator == "additionalProperties" and error.schema["additionalProperties"] is False:
        known = error.schema["properties"]
        unknown = sorted(set(error.instance) - set(known), key=str)[0]
        return f"config: there is no key '{unknown}' in {where or 'the configuration'}: {hint(unknown, known)}"
    if "propertyNames" in error.absolute_schema_path:
        where, told = where or "the configuration", f"has the key {error.instance!r}"
        if error.validator == "type":
            return f"config: {where} {told}, which YAML does not read as text: write it in quotes."
        return f"config: {where} {told}, which cannot be a name: use letters, digits, - and _, 60 at most."
    if error.validator == "required":
        return f"config: {where} lacks the key {error.message.split(' is ')[0]}: add it."
    told = " ".join(error.message.split())
    told = told if len(told) < 300 else f"{told[:150]} ... {told[-150:]}"
    return f"config: {where or 'the file'} is wrong: {told}; config/README.md describes every key."


def _mark_normalised(config):
    """Statistics of a tested speaker's own utterances are transductive: titles of systems that use them say so."""
    for name, system in config["systems"].items():
        if "encoder" in system and origin(config, name)["normalisation"] == "speaker":
            system["title"] += " (speaker-normalised, transductive)"


def _mark_zero_shot(config):
    """A row that is scored on some classes alone says which."""
    for system in config["systems"].values():
        if system["zero_shot"]:
            system["title"] += f" (zero-shot: {', '.join(system['zero_shot'])})"


def _add_transductive(config):
    """Where protocol.transductive asks for it: a variant of every system that pretraining decides, and its rows."""
    wanted, systems = config["protocol"]["transductive"], config["systems"]
    for system in systems.values():
        system["transductive"] = False
    if not wanted:
        return
    variants = {name: f"{name}-transductive" for name in systems if hears_audio(config, name)}
    for name, variant in variants.items():
        if variant in systems:
            raise UserError(f"config: systems.{variant} is made by protocol.transductive: rename yours.")
        title = f"{systems[name]['title']} (transductive)"
        systems[variant] = {**systems[name], "title": title, "transductive": True}
    for table in config["tables"].values():
        rows = table["rows"]
        if wanted == "both":
            table["rows"] = rows | {variants[name]: name for name in rows if name in variants}
        else:
            table["rows"] = {variants.get(name, name): variants.get(other, other) for name, other in rows.items()}
            table["claims"] = table["claims"] and [variants.get(name, name) for name in table["claims"]]
            table["published"] = {variants.get(name, name): told for name, told in table["published"].items()}


def check_root(config: dict) -> None:
    """UserError unless the corpus' folder is there, and with its table for demo, or the demo will make its own."""
    root, adapter = config["root"], config["corpus"]["adapter"]
    if root is None and adapter != "demo":
        raise UserError(f"config: root is not set: name the folder of corpus {adapter}: --config root=<folder>.")
    if root is not None and not Path(root).is_dir():
        raise UserError(f"config: root is '{root}', which is no folder: name the folder that holds the corpus.")
    if root is not None and adapter == "demo" and not Path(root, "labels.csv").is_file():
        raise UserError(
            f"config: root is given but corpus.adapter is demo, and '{root}' holds no demo corpus: add --configfile "
            "config/<corpus>.yaml, or leave root out."
        )


def intensity_elsewhere(config: dict, name: str, seed: int | str) -> str:
    """The network of an intensity that another corpus' run made with the same seed."""
    return (
        f"results/{config['intensity'][name]['corpus']}/fold-0/seed-{seed}/intensity/{name}/model/model.safetensors"
    )


def check_intensity(config: dict) -> None:
    """UserError unless the networks that intensities take from another corpus are there, and are another's."""
    for name, entry in config["intensity"].items():
        if entry["corpus"] is None:
            continue
        if not is_learned(config, name):
            raise UserError(
                f"config: intensity.{name}.corpus: method {entry['method']} has no network to take: remove it."
            )
        if entry["corpus"] == config["corpus"]["name"]:  # fold 0 trained on speakers that the other folds test
            raise UserError(
                f"config: intensity.{name}.corpus is {entry['corpus']}, this corpus itself, whose test speakers the "
                "network would have heard: remove it, and every fold trains its own."
            )
        for seed in config["seeds"] if config["seeds_of"] == "chain" else config["seeds"][:1]:
            model = intensity_elsewhere(config, name, seed)
            if not Path(model).is_file():
                raise UserError(
                    f"config: intensity.{name}.corpus is {entry['corpus']}, but there is no {model}: "
                    f"run snakemake with that corpus' configuration and `-- {model}` first."
                )
