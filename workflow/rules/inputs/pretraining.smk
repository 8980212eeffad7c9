# What the rules of pretraining.smk read and are told.


def pretraining_start(wildcards):
    """The pretraining that this one goes on from, where it is not an encoder of config."""
    return model_in_pool(config["pretraining"][wildcards.pretraining]["start"], wildcards.pool, wildcards.seed)


def pretraining_inputs(wildcards):
    """What the encoder reads."""
    return features_of(wildcards.pretraining)


def pretraining_units(wildcards):
    """The units that it predicts, if any."""
    units = config["pretraining"][wildcards.pretraining]["units"]
    return f"{RESULTS}/{wildcards.pool}/seed-{wildcards.seed}/units/{units}/units.arrow" if units else []


def pretraining_intensity(wildcards):
    """The intensity that its masks follow, if any."""
    intensity = config["pretraining"][wildcards.pretraining]["intensity"]
    return intensity_frames(intensity, wildcards.pool, wildcards.seed) if intensity else []


def pretraining_code(wildcards):
    """`code` with the encoder's module."""
    return code_with_encoder("pretrain", wildcards.pretraining)


def pretraining_settings(wildcards):
    """Schedule, masking, and what a new head and encoder are made of."""
    entry = config["pretraining"][wildcards.pretraining]
    return {
        "schedule": entry["schedule"],
        "masking": entry["masking"],
        "head": lineage.head(config, wildcards.pretraining),
        "seed": int(wildcards.seed),
        **normalised_by(wildcards.pretraining),
        **start_of(entry["start"]),
    }
