# What the rules of intensity.smk read and are told.


def intensity_code(wildcards, script="intensity"):
    """`code` with the module of the method."""
    return code(script, f"serflow.intensity.{config['intensity'][wildcards.intensity]['method'].replace('-', '_')}")


def intensity_training_code(wildcards):
    """The same for the rule that trains."""
    return intensity_code(wildcards, "train_intensity")


def intensity_strengths(wildcards):
    """The strengths that StrengthNet learns; the rank model makes its own task."""
    learned = config["intensity"][wildcards.intensity]["method"] == "strengthnet"
    return f"{RESULTS}/fold-{wildcards.fold}/intensity/strengths.parquet" if learned else []


def intensity_settings(wildcards):
    """Method, size and schedule."""
    entry = config["intensity"][wildcards.intensity]
    return {key: entry[key] for key in ("method", "size", "schedule")} | {"seed": config["seeds"][0]}


def scoring_settings(wildcards):
    """How frames are scored."""
    return {key: config["intensity"][wildcards.intensity][key] for key in ("method", "smoothing")}


def intensity_model(wildcards):
    """The network that scores: this fold's, or the one that another corpus' run made; none for energy."""
    entry, name = config["intensity"][wildcards.intensity], wildcards.intensity
    if entry["method"] == "energy":
        return []
    if entry["corpus"] is None:
        return f"{RESULTS}/fold-{wildcards.fold}/intensity/{name}/model/model.safetensors"
    return configuration.intensity_elsewhere(config, name)


def intensity_source(wildcards):
    """What tells which recordings a network of another corpus heard, and which this corpus has."""
    corpus = config["intensity"][wildcards.intensity]["corpus"]
    if corpus is None:
        return {}
    folder = f"results/{corpus}/corpus"
    return {
        "heard_utterances": f"{folder}/utterances.parquet",
        "heard_folds": f"{folder}/folds.parquet",
        "utterances": f"{RESULTS}/corpus/utterances.parquet",
    }


def intensity_frames(name, pool):
    """The scores of an intensity that a pool may use: its fold's; energy is the same in all."""
    fold = fold_of(pool) if pool != "all" else FOLDS[0]
    return f"{RESULTS}/fold-{fold}/intensity/{name}/frames.arrow"
