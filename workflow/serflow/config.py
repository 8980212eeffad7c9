"""The configuration: checked against its schema, defaults filled in, names that must exist looked up."""

import contextlib
import copy
import json
import os
from functools import cache
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator

from serflow import heads
from serflow.classical import CHANCE, CLASSICAL
from serflow.errors import UserError
from serflow.lineage import LOUDNESS, hears_audio, hears_labels, is_learned, needs, origin
from serflow.models import check_options, model_of, models
from serflow.registry import chosen, hint

SCHEMA = Path(__file__).parents[1] / "schemas" / "config.schema.yaml"
NAMED = ("encoders", "intensity", "units", "pretraining", "systems", "tables")
SCHEDULES = {  # whose entries differ from which common schedule
    "intensity": "intensity_schedule",
    "pretraining": "pretraining_schedule",
    "systems": "finetuning_schedule",
}


@cache
def schema() -> dict:
    return yaml.load(SCHEMA.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)  # noqa: S506 (as safe, and in C)


def complete(config: dict) -> dict:
    """A copy of `config` with every default in place. UserError with one sentence that names the first wrong key."""
    config = _typed(_without_removed(copy.deepcopy(dict(config))), schema())
    _name_checkpoints(config)
    _fill(config, schema())
    if isinstance(config["corpus"], dict) and config["corpus"]["name"] is None:
        config["corpus"]["name"] = config["corpus"]["adapter"]
    if isinstance(config["root"], str):
        config["root"] = os.path.expanduser(config["root"])
    error = next(iter(sorted(Draft202012Validator(schema()).iter_errors(config), key=_depth)), None)
    if error is not None:
        raise UserError(_sentence(error))
    for section, common in SCHEDULES.items():
        _fill_schedules(config, section, common)
    _check_names(config)
    _find_encoders(config)
    _check_models(config)
    _check_objectives(config)
    _check_folds(config)
    _mark_normalised(config)
    _mark_zero_shot(config)
    _add_transductive(config)
    for table in config["tables"].values():
        if table["claims"] is None:
            table["claims"] = [system for system, baseline in table["rows"].items() if baseline is not None]
    return config


def _without_removed(config):
    """An overlay takes out an entry of these sections by giving it as null."""
    for section in NAMED:
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
    validator = Draft202012Validator(schema()["properties"][common])
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
        return f"config: {where} has the key {error.instance}, which YAML does not read as text: write it in quotes."
    if error.validator == "required":
        return f"config: {where} lacks the key {error.message.split(' is ')[0]}: add it."
    return f"config: {where or 'the file'} is wrong: {error.message}; config/README.md describes every key."


def _check_names(config):
    encoders, pretraining, systems = config["encoders"], config["pretraining"], config["systems"]
    for taken in sorted((set(encoders) & set(pretraining)) | (set(systems) & (set(encoders) | set(pretraining)))):
        raise UserError(f"config: '{taken}' is given twice among encoders, pretraining and systems: rename one.")
    for section in NAMED:
        for name in config[section]:
            if not str(name).replace("-", "").replace("_", "").isalnum():
                raise UserError(f"config: {section}.{name} cannot name a folder: use letters, digits, - and _.")
    learned = {name: system for name, system in systems.items() if system["method"] not in CLASSICAL}
    for name, entry in config["units"].items():
        _named(entry["frames"], {"mfcc": 0} | encoders | pretraining | learned, f"units.{name}.frames")
    for name, entry in pretraining.items():
        _named(entry["start"], encoders | pretraining, f"pretraining.{name}.start")
        for section in ("units", "intensity"):
            if entry[section] is not None:
                _named(entry[section], config[section], f"pretraining.{name}.{section}")
    for name, entry in systems.items():
        for key in ("encoder", "zero_shot"):
            if name not in learned and entry.get(key) is not None:
                raise UserError(f"config: systems.{name}.{key}: method {entry['method']} takes none; remove it.")
    for name, entry in learned.items():
        if "encoder" not in entry:
            raise UserError(f"config: systems.{name} lacks the key 'encoder': name one of encoders or pretraining.")
        _named(entry["encoder"], encoders | pretraining, f"systems.{name}.encoder")
    if CHANCE in systems:
        raise UserError(f"config: systems.{CHANCE}: rows of tables call guessing so: give it another name.")
    for name in config["tables"]:
        if name in ("intensity", "units") or name.endswith("-scores"):
            raise UserError(f"config: tables.{name} is another table of the run: give yours another name.")
    if config["corpus"]["min_seconds"] > config["corpus"]["max_seconds"]:
        raise UserError("config: corpus.min_seconds is above corpus.max_seconds: no utterance would be left.")
    for name, table in config["tables"].items():
        if not table["rows"]:
            raise UserError(f"config: tables.{name}.rows is empty: name its systems, or remove the table.")
        for system, baseline in table["rows"].items():
            _named(system, systems, f"tables.{name}.rows")
            if baseline is not None:
                _named(baseline, [*table["rows"], CHANCE], f"tables.{name}.rows.{system}")
                alike = baseline == CHANCE or systems[baseline]["zero_shot"] == systems[system]["zero_shot"]
                if not alike:
                    raise UserError(
                        f"config: tables.{name}.rows.{system}: it and {baseline} choose from other classes, by "
                        "zero_shot: compare it with chance, or with a row that has the same."
                    )
        compared = [system for system, baseline in table["rows"].items() if baseline is not None]
        for system in table["published"]:
            _named(system, table["rows"], f"tables.{name}.published")
        for system in table["claims"] or ():
            _named(system, table["rows"], f"tables.{name}.claims")
            if system not in compared:
                raise UserError(
                    f"config: tables.{name}.claims names '{system}', which its rows compare with nothing: give it a "
                    "baseline there, or take it out of claims."
                )
    _check_cycles(config)


def _find_encoders(config):
    """An encoder that another corpus' run pretrained is the checkpoint that it left."""
    for name, entry in config["encoders"].items():
        where, corpus = f"config: encoders.{name}", entry["corpus"]
        if (corpus is None) != (entry["pretraining"] is None):
            raise UserError(f"{where}: corpus and pretraining go together: give both, or neither.")
        if corpus is None:
            continue
        if entry["from"] is not None:
            raise UserError(f"{where}.from: the encoder of corpus {corpus} is meant: remove one of both.")
        if corpus == config["corpus"]["name"]:
            raise UserError(
                f"{where}.corpus is {corpus}, this corpus itself, whose test speakers that encoder would have heard: "
                "start from an entry of pretraining."
            )
        entry["from"] = f"results/{corpus}/fold-0/seed-0/ssl/{entry['pretraining']}"
        if not Path(entry["from"], "model.safetensors").is_file():
            raise UserError(
                f"{where}.corpus is {corpus}, but there is no {entry['from']}/model.safetensors: run snakemake with "
                f"that corpus' configuration first."
            )


def _check_models(config):
    """Encoders, heads and networks of intensity are there and take the options that they are given."""
    for name, entry in config["encoders"].items():
        where, entry["options"] = f"config: encoders.{name}", entry["options"] or {}
        if entry["model"] is None and entry["from"] is None:
            raise UserError(f"{where} lacks the key 'model', for a new encoder, or 'from', for a checkpoint: add it.")
        if entry["from"] is not None and entry["options"]:
            raise UserError(f"{where}.options: a checkpoint has its own; remove them.")
        with _telling(where):
            check_options(model_of(entry), entry["options"])
    for name, system in config["systems"].items():
        if system["method"] not in CLASSICAL:
            with _telling(f"config: systems.{name}"):
                heads.check_options(system["head"], system["options"])
                _find_text(system["options"])
                if system["zero_shot"] and hears_labels(config, system["encoder"]):
                    raise UserError(
                        f"zero_shot: its encoder {system['encoder']} goes back to emotion labels, of held-out "
                        "classes too: name one that does not."
                    )
                _check_prompts(system["options"].get("prompts") or {})
                if system["zero_shot"] and "prompts" not in heads.described(system["head"]).options:
                    raise UserError(
                        f"zero_shot: head {system['head']} reads no prompts: remove it, or change the head."
                    )
    for name, entry in config["intensity"].items():
        known = dict.fromkeys(LOUDNESS) | models("network")
        with _telling(f"config: intensity.{name}"):
            network = chosen(entry["method"], known, "There is no method")
            if network:
                check_options(network, entry["options"])


def _check_prompts(prompts):
    """Every class has a list of texts."""
    for name, own in prompts.items():
        if not isinstance(own, list) or not own or not all(isinstance(text, str) and text.strip() for text in own):
            raise UserError(f"options.prompts.{name} is {own!r}: give a list of texts, one at least.")


def _find_text(options):
    """A head's text encoder in a folder of this machine is there."""
    text = options.get("text")
    if text is not None and text.startswith(("/", "./", "../", "~")):
        options["text"] = os.path.expanduser(text)
        if not Path(options["text"], "config.json").is_file():
            raise UserError(
                f"options.text: {text} has no config.json: give a RoBERTa's folder made by save_pretrained."
            )


@contextlib.contextmanager
def _telling(where):
    try:
        yield
    except UserError as error:
        raise UserError(f"{where}: {error}") from error


def _check_objectives(config):
    """A pretraining has what its model needs, and nothing that it would not use."""
    for name, entry in config["pretraining"].items():
        where, model = f"config: pretraining.{name}", model_of(origin(config, name))
        if model.objective is None:
            raise UserError(f"{where}: model {model.name} is not pretrained: remove it.")
        given = {key for key in ("units", "intensity", "score_branch", "weighted") if entry[key]}
        given |= {"masking"} if entry["masking"] != "random" else set()
        for key in sorted(given - set(model.takes)):
            raise UserError(f"{where}.{key} is not for model {model.name}: remove it.")
        for key in (key for key, needed in model.takes.items() if needed and key not in given):
            raise UserError(f"{where} lacks the key '{key}': model {model.name} needs it.")
        users = sorted({"masking", "score_branch", "weighted"} & set(model.takes))
        for key in (key for key in users if key in given and "intensity" not in given):
            raise UserError(f"{where}.{key} needs the key 'intensity' too: name an entry of intensity.")
        if "intensity" in given and not given & set(users):
            raise UserError(f"{where}.intensity changes nothing without {' or '.join(users)}: set one.")


def _named(name, known, where):
    if name not in known:
        raise UserError(f"config: {where} names '{name}', which is not defined: {hint(name, known)}")


def _check_cycles(config):
    def visit(name, path):
        if name in path:
            raise UserError(f"config: {' -> '.join([*path[path.index(name) :], name])} goes in a circle: break it.")
        for parent in needs(config, name):
            visit(parent, [*path, name])

    for name in [*config["pretraining"], *config["systems"]]:
        visit(name, [])


def _check_folds(config):
    folds, protocol = config["folds"], config["folds"]["protocol"]
    for key, owner in (("file", "list"), ("test", "cross-corpus")):
        if folds[key] is not None and protocol != owner:
            raise UserError(f"config: folds.{key} belongs to folds.protocol {owner}, not to {protocol}: remove it.")
    for name, table in config["tables"].items():
        if table["as_published"] and config["protocol"]["selection"] == "last":
            raise UserError(
                f"config: tables.{name}.as_published scores validation speakers, and protocol.selection last trains "
                "on them: set protocol.selection to validation, or remove it."
            )
    if protocol == "list" and folds["file"] is None:
        raise UserError("config: folds.protocol list lacks the key 'file': name the file that lists the folds.")


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


def reference() -> str:
    """config/README.md: every key with its description and default, from the schema."""
    lines = [
        "# Configuration",
        "",
        "`config.yaml` is the demo. `--configfile config/<corpus>.yaml` lays an overlay over it, in which only",
        "differences stand, and `--config root=<folder>` names the corpus' folder. Unknown keys are refused.",
        "`<name>` is a name that you choose. This page is made from `workflow/schemas/config.schema.yaml` by",
        "`.venv/bin/python -m serflow.config > config/README.md`.",
        "",
        "| key | default | meaning |",
        "|---|---|---|",
        *_reference_rows(schema(), ""),
    ]
    return "\n".join(lines) + "\n"


def _reference_rows(description, prefix):
    for key, inner in description.get("properties", {}).items():
        named = isinstance(inner.get("additionalProperties"), dict) and "properties" in inner["additionalProperties"]
        default = json.dumps(inner["default"]) if "default" in inner and inner["default"] != {} else ""
        required = " (required)" if key in description.get("required", ()) else ""
        values = ", ".join(yaml.safe_dump(value).split()[0] for value in inner.get("enum", ()))
        text = inner["description"] + (f" One of {values}." if values else "")
        yield f"| `{prefix}{key}` | {f'`{default}`' if default else ''} | {text}{required} |"
        yield from _reference_rows(inner, f"{prefix}{key}.")
        if named:
            yield from _reference_rows(inner["additionalProperties"], f"{prefix}{key}.<name>.")


if __name__ == "__main__":
    print(reference(), end="")
