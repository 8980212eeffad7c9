"""Whether the entries of a configuration fit together: what they name is there, and may be used so."""

import contextlib
import os
from pathlib import Path

from serflow import heads
from serflow.classical import CHANCE, CLASSICAL
from serflow.errors import UserError
from serflow.lineage import LOUDNESS, hears_emotions, needs, origin
from serflow.models import check_options, model_of, models
from serflow.registry import chosen, hint

OF_NETWORKS = {  # keys of systems that others have no use for, as they are where nobody gave them
    "encoder": None, "zero_shot": None, "options": {}, "head": "pooled", "layers": "last", "probe": False,
}  # fmt: skip
NAMED = ("encoders", "intensity", "units", "pretraining", "systems", "tables")


def check(config: dict) -> None:
    """UserError that names the first entry, of a `config` with its defaults, that does not fit. Finds checkpoints."""
    _check_names(config)
    _find_encoders(config)
    _check_models(config)
    _check_units(config)
    _check_objectives(config)
    _check_folds(config)
    _check_final(config)


def _check_names(config):
    encoders, pretraining, systems = config["encoders"], config["pretraining"], config["systems"]
    for taken in sorted((set(encoders) & set(pretraining)) | (set(systems) & (set(encoders) | set(pretraining)))):
        raise UserError(f"config: '{taken}' is given twice among encoders, pretraining and systems: rename one.")
    learned = {name: system for name, system in systems.items() if system["method"] not in CLASSICAL}
    for name, entry in config["units"].items():
        _named(entry["frames"], {"mfcc": 0} | encoders | pretraining | learned, f"units.{name}.frames")
    for name, entry in pretraining.items():
        _named(entry["start"], encoders | pretraining, f"pretraining.{name}.start")
        for section in ("units", "intensity"):
            if entry[section] is not None:
                _named(entry[section], config[section], f"pretraining.{name}.{section}")
    for name, entry in systems.items():
        for key, usual in OF_NETWORKS.items():
            if name not in learned and entry.get(key, usual) != usual:
                raise UserError(f"config: systems.{name}.{key}: method {entry['method']} takes none; remove it.")
    for name, entry in learned.items():
        if "encoder" not in entry:
            raise UserError(f"config: systems.{name} lacks the key 'encoder': name one of encoders or pretraining.")
        _named(entry["encoder"], encoders | pretraining, f"systems.{name}.encoder")
    if CHANCE in systems:
        raise UserError(f"config: systems.{CHANCE}: rows of tables call guessing so: give it another name.")
    others, beside = ("frames", "intensity", "levels", "stress", "units"), ("-scores", "-planned", "-seen")
    for name in config["tables"]:
        if name in others or name.endswith(beside):
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
                head = heads.described(system["head"])
                for option in head.folders:
                    _find_folder(system["options"], option)
                if system["zero_shot"] and hears_emotions(config, system["encoder"]):
                    raise UserError(
                        f"zero_shot: its encoder {system['encoder']} goes back to emotion labels, of held-out "
                        "classes too: name one that does not."
                    )
                _check_prompts(system["options"].get(head.prompts) or {}, head.prompts)
                if system["zero_shot"] and head.prompts is None:
                    raise UserError(
                        f"zero_shot: head {system['head']} reads no prompts: remove it, or change the head."
                    )
    for name, entry in config["intensity"].items():
        known = dict.fromkeys(LOUDNESS) | models("network")
        with _telling(f"config: intensity.{name}"):
            network = chosen(entry["method"], known, "There is no method")
            if network:
                check_options(network, entry["options"])
            elif entry["options"]:
                raise UserError(f"method {entry['method']} has no options: remove them.")


def _check_prompts(prompts, option):
    """Every class has a list of texts."""
    for name, own in prompts.items():
        if not isinstance(own, list) or not own or not all(isinstance(text, str) and text.strip() for text in own):
            raise UserError(f"options.{option}.{name} is {own!r}: give a list of texts, one at least.")


def _find_folder(options, name):
    """A model that a head's option `name` has in a folder of this machine is there."""
    folder = options.get(name)
    if folder is not None and folder.startswith(("/", "./", "../", "~")):
        options[name] = os.path.expanduser(folder)
        if not Path(options[name], "config.json").is_file():
            raise UserError(f"options.{name}: {folder} has no config.json: give a folder made by save_pretrained.")


@contextlib.contextmanager
def _telling(where):
    try:
        yield
    except UserError as error:
        raise UserError(f"{where}: {error}") from error


def _check_units(config):
    """Units are clusters of frames."""
    for name, entry in config["units"].items():
        if entry["frames"] != "mfcc":
            model = model_of(origin(config, entry["frames"]))
            if model.in_segments:
                raise UserError(
                    f"config: units.{name}.frames: tokens of model {model.name} are segments, of which no units can "
                    "be made: name another."
                )


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
        if model.objective == "frames" and entry["schedule"]["parts"] > 1:
            raise UserError(f"{where}.schedule.parts: model {model.name} norms over the whole batch: remove it.")
        if "intensity" in given and not given & set(users):
            raise UserError(f"{where}.intensity changes nothing without {' or '.join(users)}: set one.")


def _named(name, known, where):
    if name not in known:
        raise UserError(f"config: {where} names '{name}', which is not defined: {hint(name, known)}")


def _check_cycles(config):
    def visit(name, path, sources, where):
        if name in path:
            circle = " -> ".join([*path[path.index(name) :], name])
            raise UserError(f"config: {where}{circle} goes in a circle: break it.")
        for source in sources(name):
            visit(source, [*path, name], sources, where)

    for name in [*config["pretraining"], *config["systems"]]:
        visit(name, [], lambda name: needs(config, name), "")
    for table, entry in config["tables"].items():
        for name in entry["rows"]:
            visit(name, [], lambda name, rows=entry["rows"]: filter(None, [rows.get(name)]), f"tables.{table}.rows: ")


def _check_final(config):
    """The final model is a trained system that a table scores, and all speakers may be trained on."""
    final, where = config["final"], "config: final"
    if final is None:
        return
    rows = dict.fromkeys(name for table in config["tables"].values() for name in table["rows"])
    scored = [name for name in rows if config["systems"][name]["method"] not in CLASSICAL]
    if final in config["systems"] and final not in scored:
        raise UserError(
            f"{where} is {final}, which is no trained system of a table's rows: name one, or add it there."
        )
    _named(final, scored, where)
    if config["protocol"]["selection"] != "last":
        raise UserError(
            f"{where} trains on all speakers, and none is left to choose a step on: set protocol.selection to last."
        )
    if config["protocol"]["transductive"] is True:
        raise UserError(
            f"{where} hears every speaker anyway: set protocol.transductive to false, or to both, so that the system "
            "has folds that did not."
        )


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
