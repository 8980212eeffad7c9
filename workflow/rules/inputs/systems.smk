# What the rules of systems.smk read and are told.


CLASSICAL_SYSTEMS = [name for name, system in config["systems"].items() if system["method"] in CLASSICAL]
TRAINED_SYSTEMS = [name for name in config["systems"] if name not in CLASSICAL_SYSTEMS]


def submitted_together(wildcards):
    """The group of a system: where a profile says how many `systems` may share a submission (group-components), those
    on one encoder in one fold do, as they can start together and none of them waits for another."""
    group = f"systems-{config['systems'][wildcards.system]['encoder']}-fold-{wildcards.fold}"
    workflow.parent_groupids[group] = "systems"  # as Snakemake does for a group with wildcards in its name
    return group


def system_encoder(wildcards):
    """The pretraining under the classifier, where it is not an encoder of config."""
    system = config["systems"][wildcards.system]
    return model_of(system["encoder"], wildcards.fold, wildcards.seed, system["transductive"])


def validation_predictions():
    """Predictions for the validation speakers, where they are not trained on."""
    if config["protocol"]["selection"] == "last":
        return []
    return f"{RESULTS}/systems/{{system}}/fold-{{fold}}/seed-{{seed}}/validation.parquet"


def system_inputs(wildcards):
    """What the encoder reads."""
    return features_of(wildcards.system)


def system_code(wildcards):
    """`code` with the modules of encoder and head."""
    head = head_called(config["systems"][wildcards.system]["head"])
    return code("finetune", encoder_of(wildcards.system).module, head.module)


def classical_features(wildcards):
    """What the method reads beside the emotions, if anything."""
    reads = CLASSICAL[config["systems"][wildcards.system]["method"]].reads
    return f"{RESULTS}/features/{reads}.parquet" if reads else []


def system_settings(wildcards):
    """The system's entry in config without its title, which changes no number."""
    entry = {key: value for key, value in config["systems"][wildcards.system].items() if key != "title"}
    if wildcards.system in CLASSICAL_SYSTEMS:
        return {"method": entry["method"]}
    folders = {name: entry["options"].get(name) for name in head_called(entry["head"]).folders}
    read = {f"{name}_state": listing_digest(path) for name, path in folders.items() if path and Path(path).is_dir()}
    return entry | normalised_by(entry["encoder"]) | start_of(entry["encoder"]) | read
