# What the rules of intensity.smk read and are told.


def network_of(name):
    """The model of a learned intensity."""
    return model_called(config["intensity"][name]["method"], "network")


def intensity_code(wildcards, script="intensity"):
    """`code` with the module of the method."""
    name = wildcards.intensity
    is_learned = lineage.is_learned(config, name)
    return code(script, network_of(name).module if is_learned else "serflow.intensity.loudness")


def intensity_training_code(wildcards):
    """The same for the rule that trains."""
    return intensity_code(wildcards, "train_intensity")


def intensity_strengths(wildcards):
    """The strengths that a network learns, if it does."""
    learned = network_of(wildcards.intensity).objective == "strengths"
    return f"{RESULTS}/fold-{wildcards.fold}/intensity/strengths.parquet" if learned else []


def needs_strengths(intensities):
    """Whether a network of this corpus' own learns from strengths."""
    own = [
        name for name in intensities if lineage.is_learned(config, name) and not config["intensity"][name]["corpus"]
    ]
    return any(network_of(name).objective == "strengths" for name in own)


def intensity_settings(wildcards):
    """Method, its options and schedule."""
    entry = config["intensity"][wildcards.intensity]
    told = {key: entry[key] for key in ("method", "options", "schedule")}
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
