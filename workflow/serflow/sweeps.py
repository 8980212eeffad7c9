"""Lists in config: units whose k or layer is a list are a sweep, made with all that guesses them (ours)."""

from itertools import product

from serflow.errors import UserError

SWEPT = ("k", "layer")


def expand(config: dict) -> dict[str, dict]:
    """Give units with a list of `k` or of `layer` its first values, and its other combinations names of their own:
    `emotion-k50-layer2`, with the pretrainings that guess them and the systems on these named likewise, and a table
    `emotion-sweep` of those systems. Changes `config`; what is added is to be filled as if it had been written there.

    Returns what each such table compares: {table: {system: {of, units, k, layer}}}, `of` being the system that it
    varies. UserError where a name is taken.
    """
    sweeps = {}
    for units, entry in list(config["units"].items()):
        if entry["frames"] == "mfcc" and isinstance(entry["layer"], list):
            raise UserError(f"config: units.{units}.layer is a list, but MFCC have no layers: remove it.")
        values = {key: entry[key] if isinstance(entry[key], list) else [entry[key]] for key in SWEPT}
        choices = [dict(zip(SWEPT, chosen, strict=True)) for chosen in product(*values.values())]
        entry.update(choices[0])
        systems = _systems_on(config, units)
        compared = {system: {"of": system, "units": units, **choices[0]} for system in systems}
        for chosen in choices[1:]:
            told = {key: chosen[key] for key in SWEPT if len(values[key]) > 1}
            suffix = "".join(f"-{key}{value}" for key, value in told.items())
            _add(config, "units", units, suffix, chosen)
            for pretraining in {config["systems"][system]["encoder"]: None for system in systems}:
                _add(config, "pretraining", pretraining, suffix, {"units": units + suffix})
            for system in systems:
                title = ", ".join([config["systems"][system]["title"], *(f"{key} {told[key]}" for key in told)])
                other = {"encoder": config["systems"][system]["encoder"] + suffix, "title": title}
                _add(config, "systems", system, suffix, other)
                compared[system + suffix] = {"of": system, "units": units + suffix, **chosen}
        if len(choices) > 1 and systems:
            sweeps[_add_table(config, units, compared)] = compared
    return sweeps


def _systems_on(config, units):
    guessing = [name for name, entry in config["pretraining"].items() if entry["units"] == units]
    return [name for name, entry in config["systems"].items() if entry.get("encoder") in guessing]


def _add(config, section, name, suffix, differences):
    if name + suffix in config[section]:
        raise UserError(f"config: {section}.{name + suffix} is made by the sweep of units: rename yours.")
    config[section][name + suffix] = {**config[section][name], **differences}


def _add_table(config, units, compared):
    """Each system against the one it varies. No row is a claim, which choosing the best one afterwards would bend."""
    name = f"{units}-sweep"
    if name in config["tables"]:
        raise UserError(f"config: tables.{name} is made by the sweep of units.{units}: rename yours.")
    rows = {system: told["of"] if told["of"] != system else None for system, told in compared.items()}
    config["tables"][name] = {"title": f"Units {units}: what k and layer change", "rows": rows, "claims": []}
    return name
