# What every stage ends in.


def features_read(classical, networks, units, intensities):
    """All features that these systems and networks read, that these units cluster, and that strengths come from."""
    frames = [config["units"][name]["frames"] for name in units]
    read = [features_of(name) for name in [*networks, *frames] if name != "mfcc"]
    read += [f"{RESULTS}/features/mfcc.arrow"] * ("mfcc" in frames)
    methods = [CLASSICAL[config["systems"][name]["method"]] for name in classical]
    summaries = [method.reads for method in methods if method.reads] + ["functionals"] * needs_strengths(intensities)
    for name in [*summaries, *["nuisance"] * bool(config["tables"])]:  # which the audit reads
        read += [f"{RESULTS}/features/{name}.parquet", store_of(UTTERANCE_FEATURES[name])]
    return sorted({path for path in read if path.startswith(f"{RESULTS}/features/")})


def in_turns(kind, names):
    """{stage: the pretrainings or systems made in it}, of `names`: a stage for each model of an encoder, and one more
    for each turn that it takes, as FLEA pretrains, fine-tunes, and pretrains again."""
    stages = {}
    for model in dict.fromkeys(encoder_of(name).name for name in names):
        own = {name: lineage.turn(config, name) for name in names if encoder_of(name).name == model}
        for number, turn in enumerate(sorted(set(own.values())), 1):
            stage = f"{kind}-{model}-{number}" if number > 1 else f"{kind}-{model}"
            stages[stage] = [name for name in own if own[name] == turn]
    return stages


def intensity_files(names):
    """Strengths, networks and scores of every fold."""
    learned = [name for name in names if lineage.is_learned(config, name)]
    own = [name for name in learned if config["intensity"][name]["corpus"] is None]
    of_a_seed = [f"{name}/model/model.safetensors" for name in own] + [f"{name}/frames.arrow" for name in learned]
    return [
        *expand(
            f"{RESULTS}/fold-{{fold}}/intensity/{{file}}.parquet",
            fold=FOLDS if needs_strengths(names) else [],
            file=["strengths", "ranked"],
        ),
        *expand(
            f"{RESULTS}/fold-{{fold}}/seed-{{seed}}/intensity/{{file}}",
            fold=FOLDS,
            seed=chain_seeds(),
            file=of_a_seed,
        ),
        *(f"{RESULTS}/intensity/{name}/frames.arrow" for name in names if name not in learned),
    ]


def final_files():
    """The final model and all that is made for it alone, of everybody's speech and with the first seed."""
    if config["final"] is None:
        return []
    seed = config["seeds"][0]
    pool, reached = f"fold-{FINAL}/seed-{seed}", lineage.needed(config, [config["final"]])
    pretrainings = {name: entry for name, entry in config["pretraining"].items() if name in reached}
    units = dict.fromkeys(entry["units"] for entry in pretrainings.values() if entry["units"])
    intensities = dict.fromkeys(entry["intensity"] for entry in pretrainings.values() if entry["intensity"])
    learned = [name for name in intensities if lineage.is_learned(config, name)]
    own = [name for name in learned if config["intensity"][name]["corpus"] is None]
    ranked = [f"{RESULTS}/fold-{FINAL}/intensity/strengths.parquet"] * needs_strengths(intensities)
    made = [
        *(f"intensity/{name}/model/model.safetensors" for name in own),
        *(f"intensity/{name}/frames.arrow" for name in learned),
        *(f"units/{name}/units.arrow" for name in units),
        *(f"ssl/{name}/model.safetensors" for name in pretrainings),
    ]
    systems = [name for name in TRAINED_SYSTEMS if name in reached]
    return [
        *ranked,
        *(f"{RESULTS}/{pool}/{path}" for path in made),
        *(f"{RESULTS}/systems/{name}/fold-{FINAL}/seed-{seed}/predictions.parquet" for name in systems),
    ]


def stages():
    """{stage: the files that it ends in}, of what the tables need."""
    reached = rows_need()
    pretrainings = {name: entry for name, entry in config["pretraining"].items() if name in reached}
    units = units_needed()
    classical = [name for name in CLASSICAL_SYSTEMS if name in reached]
    trained = [name for name in TRAINED_SYSTEMS if name in reached]
    corpus_files = [
        f"{RESULTS}/corpus/{name}" for name in ("audio.arrow", "utterances.parquet", "folds.parquet", "protocol.json")
    ]
    made = {
        "corpus": [MADE_SPEECH, *corpus_files] if MADE_SPEECH else corpus_files,
        "features": features_read(classical, [*pretrainings, *trained], units, INTENSITIES),
        "intensity": intensity_files(INTENSITIES),
    }
    for name in units:
        made[f"units-{name}"] = [f"{RESULTS}/{pool}/units/{name}/units.arrow" for pool in pools_of_units(name)]
    for stage, names in in_turns("pretraining", pretrainings).items():
        made[stage] = [f"{RESULTS}/{pool}/ssl/{name}/model.safetensors" for name in names for pool in pools_of(name)]
    for stage, names in {"systems-classical": classical, **in_turns("systems", trained)}.items():
        made[stage] = [path for name in names for path in predictions_of(name)]
    if config["splices"]["patterns"]:
        parts = ("segments", "scores", "emotions", "units", "timelines")
        made["splices"] = [path for part in parts for path in every_splice(part)]
    made["stress"] = every_stress() if stress_table() else []
    made["tables"] = [f"{RESULTS}/corpus/audit.json", *every_table()] if config["tables"] else every_table()
    made["tables"] += every_card()
    made["final"] = final_files()
    return {stage: files for stage, files in made.items() if files}


def everything():
    """What a run ends in: the tables, figures, cards and the final model, and without tables the pretrained encoders."""
    if config["tables"]:
        return [*every_table(), *every_card(), *final_files()]
    return [path for files in stages().values() for path in files]
