# What the rules of intensity.smk read and are told.


def intensity_code(wildcards, script="intensity"):
    """`code` with the module of the method."""
    name = wildcards.intensity
    file = config["intensity"][name]["method"].replace("-", "_") if lineage.is_learned(config, name) else "loudness"
    return code(script, f"serflow.intensity.{file}")


def intensity_training_code(wildcards):
    """The same for the rule that trains."""
    return intensity_code(wildcards, "train_intensity")


def intensity_strengths(wildcards):
    """The strengths that StrengthNet learns; the rank model makes its own task."""
    learned = config["intensity"][wildcards.intensity]["method"] == "strengthnet"
    return f"{RESULTS}/fold-{wildcards.fold}/intensity/strengths.parquet" if learned else []


def needs_strengths(intensities):
    """Whether a network of this corpus' own learns from strengths."""
    entries = [config["intensity"][name] for name in intensities]
    return any(entry["method"] == "strengthnet" and entry["corpus"] is None for entry in entries)


def intensity_settings(wildcards):
    """Method, size and schedule."""
    entry = config["intensity"][wildcards.intensity]
    told = {key: entry[key] for key in ("method", "size", "schedule")}
    return told | {"seed": int(wildcards.seed), "selection": config["protocol"]["selection"]}


def scoring_settings(wildcards):
    """How frames are scored, and of a network of another corpus who may have been fitted on there."""
    told = {key: config["intensity"][wildcards.intensity][key] for key in ("method", "smoothing")}
    return told | {"selection": config["protocol"]["selection"]}


def intensity_model(wildcards):
    """The network that scores: this fold's, or the one that another corpus' run made with this seed."""
    entry, name, seed = config["intensity"][wildcards.intensity], wildcards.intensity, wildcards.seed
    if entry["corpus"] is None:
        return f"{RESULTS}/fold-{wildcards.fold}/seed-{seed}/intensity/{name}/model/model.safetensors"
    return configuration.intensity_elsewhere(config, name, seed)


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


def intensity_frames(name, pool, seed):
    """The scores of an intensity that a pool may use: its fold's; those without a network are the same in all."""
    if not lineage.is_learned(config, name):
        return f"{RESULTS}/intensity/{name}/frames.arrow"
    return f"{RESULTS}/fold-{fold_of(pool)}/seed-{seed}/intensity/{name}/frames.arrow"
