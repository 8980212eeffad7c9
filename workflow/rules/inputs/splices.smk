# What the rules of splices.smk read and are told.
from types import SimpleNamespace


def spliced(wildcards):
    """What is asked about the frames of splices in a fold with a seed: {intensities, systems, units, encoders: {name:
    its own wildcards}}; intensities and units with the seeds of the chain, every layer of encoders with the first."""
    fold, seed = wildcards.fold, int(wildcards.seed)
    pool, chained = f"fold-{fold}", seed in chain_seeds()
    units = [name for name in units_needed() if f"{pool}/seed-{seed}" in pools_of_units(name)]
    encoders = [config["units"][name]["frames"] for name in units] + [
        config["systems"][name]["encoder"] for name in CARDED
    ]
    asked = {
        "intensities": INTENSITIES if chained else [],
        "systems": CARDED,
        "units": units if chained else [],
        "encoders": [name for name in dict.fromkeys(encoders) if name != "mfcc"] if layers_of(seed) else [],
    }
    kinds = {"intensities": "intensity", "systems": "system", "units": "units", "encoders": "encoder"}
    return {
        kind: {name: SimpleNamespace(fold=fold, seed=seed, pool=pool, **{kinds[kind]: name}) for name in names}
        for kind, names in asked.items()
    }


def layers_of(seed):
    """Whether every layer of every encoder is clustered with a seed."""
    return config["splices"]["layers"] and seed == config["seeds"][0]


def spliced_settings(wildcards):
    """How each of them is asked: where its model is, and how what it reads is normalised."""
    told = spliced(wildcards)
    return {
        "intensities": {
            name: {key: config["intensity"][name][key] for key in ("method", "smoothing")}
            | {"model": intensity_model(own) if lineage.is_learned(config, name) else None}
            for name, own in told["intensities"].items()
        },
        "systems": {name: os.path.dirname(spliced_system(own)) for name, own in told["systems"].items()},
        "attends": {name: "attention" in str(config["systems"][name]["options"]) for name in told["systems"]},
        "units": {name: spliced_units(own) for name, own in told["units"].items()},
        "encoders": {name: spliced_encoder(name, own) for name, own in told["encoders"].items()},
        "selection": config["protocol"]["selection"],
        "splices": {key: config["splices"][key] for key in ("patterns", "seed")},
        "first": int(wildcards.seed) == config["seeds"][0],  # with which what draws nothing at random is asked
    }


def spliced_system(asked):
    """The model of a system in a fold."""
    return f"{RESULTS}/systems/{asked.system}/fold-{asked.fold}/seed-{asked.seed}/model/model.safetensors"


def spliced_units(asked):
    """Centroids, and of what was clustered the layer, the encoder's starting point or model, and what it reads."""
    entry, centroids = config["units"][asked.units], f"{RESULTS}/{asked.pool}/seed-{asked.seed}/units/{asked.units}"
    told = {"centroids": f"{centroids}/centroids.npy", "start": None}
    if entry["frames"] == "mfcc":
        return told
    return told | {"layer": entry["layer"]} | spliced_encoder(entry["frames"], asked)


def spliced_encoder(name, asked):
    """Starting point or model of an encoder in a fold, what it reads, and how that is normalised."""
    made = model_in_pool(name, asked.pool, asked.seed)
    start = {"from": os.path.dirname(made[0])} if made else start_of(name)["start"]
    normalised = lineage.origin(config, name)["normalisation"]
    return {"start": start, "normalisation": normalised, "store": features_of(name)}


def spliced_models(wildcards):
    """The models and centroids of all of them, and what moments over training speakers are of."""
    told = spliced(wildcards)
    learned = [own for name, own in told["intensities"].items() if lineage.is_learned(config, name)]
    entries = [spliced_units(own) for own in told["units"].values()]
    encoders = [spliced_encoder(name, own) for name, own in told["encoders"].items()]
    frames = [config["units"][name]["frames"] for name in told["units"]]
    frames = dict.fromkeys([*(name for name in frames if name != "mfcc"), *told["encoders"]])
    return [
        *(intensity_model(own) for own in learned),
        *(spliced_system(own) for own in told["systems"].values()),
        *(entry["centroids"] for entry in entries),
        *(path for name in frames for path in model_in_pool(name, f"fold-{wildcards.fold}", wildcards.seed)),
        *(entry["store"] for entry in [*entries, *encoders] if entry.get("normalisation") == "training"),
    ]


def spliced_code(wildcards):
    """`code` with the modules of all of them."""
    told = spliced(wildcards)
    learned = [name for name in told["intensities"] if lineage.is_learned(config, name)]
    frames = [config["units"][name]["frames"] for name in told["units"] if config["units"][name]["frames"] != "mfcc"]
    modules = {
        *(network_of(name).module for name in learned),
        *(encoder_of(name).module for name in [*told["systems"], *told["encoders"], *frames]),
        *(head_called(config["systems"][name]["head"]).module for name in told["systems"]),
    }
    return code("splice_frames", *sorted(modules))


def every_splice(part):
    """What every fold and seed says of splices."""
    pattern = f"{RESULTS}/fold-{{fold}}/seed-{{seed}}/splices/{part}.parquet"
    return expand(pattern, fold=FOLDS, seed=config["seeds"] if CARDED else chain_seeds())
