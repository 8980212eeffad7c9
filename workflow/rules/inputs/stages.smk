# What every stage ends in.


def pools_of(name):
    """Every pool that a pretraining is made in."""
    transductive = {False: [False], True: [True], "both": [False, True]}[config["protocol"]["transductive"]]
    return dict.fromkeys(pool_of(name, fold, heard) for heard in transductive for fold in FOLDS)


def pools_of_units(name):
    """Every pool that units are made in: those of the pretrainings that guess them."""
    return dict.fromkeys(
        pool
        for pretraining, entry in config["pretraining"].items()
        if entry["units"] == name
        for pool in pools_of(pretraining)
    )


def features_read():
    """All features that something of the configuration reads."""
    networks = [*config["pretraining"], *TRAINED_SYSTEMS]
    frames = [entry["frames"] for entry in config["units"].values()]
    read = [features_of(name) for name in [*networks, *frames] if name != "mfcc"]
    read += [f"{RESULTS}/features/mfcc.arrow"] * ("mfcc" in frames)
    ranked = any(entry["method"] == "strengthnet" for entry in config["intensity"].values())
    read += [f"{RESULTS}/features/functionals.parquet"] * bool(CLASSICAL_SYSTEMS or ranked)
    return sorted({path for path in read if path.startswith(f"{RESULTS}/features/")})


def in_turns(kind, names):
    """{stage: the pretrainings or systems made in it}, of `names`: a stage for each family of encoders, and one more
    for each turn that it takes, as FLEA pretrains, fine-tunes, and pretrains again."""
    stages = {}
    for module in dict.fromkeys(family_of(name).module for name in names):
        own = {name: lineage.turn(config, name) for name in names if family_of(name).module == module}
        for number, turn in enumerate(sorted(set(own.values())), 1):
            stage = f"{kind}-{module}-{number}" if number > 1 else f"{kind}-{module}"
            stages[stage] = [name for name in own if own[name] == turn]
    return stages


def intensity_files():
    """Strengths, networks and scores of every fold."""
    learned = [name for name, entry in config["intensity"].items() if entry["method"] != "energy"]
    own = [name for name in learned if config["intensity"][name]["corpus"] is None]
    ranked = any(config["intensity"][name]["method"] == "strengthnet" for name in own)
    files = [
        *["strengths.parquet"] * ranked,
        *(f"{name}/model/model.safetensors" for name in own),
        *(f"{name}/frames.arrow" for name in config["intensity"]),
    ]
    return expand(f"{RESULTS}/fold-{{fold}}/intensity/{{file}}", fold=FOLDS, file=files)


def stages():
    """{stage: the files that it ends in}."""
    corpus_files = [
        f"{RESULTS}/corpus/{name}" for name in ("audio.arrow", "utterances.parquet", "folds.parquet", "protocol.json")
    ]
    made = {
        "corpus": [MADE_SPEECH, *corpus_files] if MADE_SPEECH else corpus_files,
        "features": features_read(),
        "intensity": intensity_files(),
    }
    for name, entry in config["units"].items():
        pools = pools_of_units(name)
        if entry["frames"] != "mfcc":
            made[f"embeddings-{name}"] = [f"{RESULTS}/{pool}/embeddings/{name}/frames.arrow" for pool in pools]
        made[f"units-{name}"] = [f"{RESULTS}/{pool}/units/{name}/labels.arrow" for pool in pools]
    for stage, names in in_turns("pretraining", config["pretraining"]).items():
        made[stage] = [f"{RESULTS}/{pool}/ssl/{name}/model.safetensors" for name in names for pool in pools_of(name)]
    for stage, names in {"systems-classical": CLASSICAL_SYSTEMS, **in_turns("systems", TRAINED_SYSTEMS)}.items():
        made[stage] = [path for name in names for path in predictions_of(name)]
    made["tables"] = every_table()
    return made
