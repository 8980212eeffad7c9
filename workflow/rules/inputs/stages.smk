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


def stages():
    """{stage: the files that it ends in}, for every corpus-wide step and every named part of the configuration."""
    intensity = f"{RESULTS}/fold-{{fold}}/intensity"
    corpus_files = [
        f"{RESULTS}/corpus/{name}" for name in ("audio.arrow", "utterances.parquet", "folds.parquet", "protocol.json")
    ]
    made = {
        "corpus": [MADE_SPEECH, *corpus_files] if MADE_SPEECH else corpus_files,
        "features": features_read(),
        "strengths": expand(f"{intensity}/strengths.parquet", fold=FOLDS),
    }
    for name, entry in config["intensity"].items():
        learned = entry["method"] != "energy" and entry["corpus"] is None
        files = ["model/model.safetensors"] * learned + ["frames.arrow"]
        made[f"intensity-{name}"] = expand(f"{intensity}/{name}/{{file}}", fold=FOLDS, file=files)
    for name, entry in config["units"].items():
        pools = pools_of_units(name)
        if entry["frames"] != "mfcc":
            made[f"embeddings-{name}"] = [f"{RESULTS}/{pool}/embeddings/{name}/frames.arrow" for pool in pools]
        made[f"units-{name}"] = [f"{RESULTS}/{pool}/units/{name}/labels.arrow" for pool in pools]
    for name in config["pretraining"]:
        made[f"pretraining-{name}"] = [f"{RESULTS}/{pool}/ssl/{name}/model.safetensors" for pool in pools_of(name)]
    for name in config["systems"]:
        made[f"system-{name}"] = predictions_of(name)
    for name in config["tables"]:
        made[f"table-{name}"] = [f"{RESULTS}/tables/{name}.md", f"{RESULTS}/figures/{name}"]
    if IS_DEMO and INTENSITIES:
        made["table-intensity"] = [f"{RESULTS}/tables/intensity.md"]
    return made
