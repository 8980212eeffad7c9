# What the rules of units.smk read and are told.


def embedded_model(wildcards):
    """The model whose hidden states are clustered, where a run made it."""
    return model_in_pool(config["units"][wildcards.units]["frames"], wildcards.pool, wildcards.seed)


def embedded_inputs(wildcards):
    """What that model reads."""
    return features_of(config["units"][wildcards.units]["frames"])


def clustered_frames(wildcards):
    """What is clustered: MFCC, or an embedding made in this pool."""
    if config["units"][wildcards.units]["frames"] == "mfcc":
        return f"{RESULTS}/features/mfcc.arrow"
    return f"{RESULTS}/{wildcards.pool}/seed-{wildcards.seed}/embeddings/{wildcards.units}/frames.arrow"


def embedding_code(wildcards):
    """`code` with the encoder's module."""
    return code_with_encoder("embed", config["units"][wildcards.units]["frames"])


def embedding_settings(wildcards):
    """The layer that is clustered, and the starting point of an encoder that no run made."""
    entry = config["units"][wildcards.units]
    told = {"layer": entry["layer"], "seed": int(wildcards.seed)}
    return told | normalised_by(entry["frames"]) | start_of(entry["frames"])


def clustering_settings(wildcards):
    """How k-means runs."""
    entry = config["units"][wildcards.units]
    told = {key: entry[key] for key in ("k", "inits", "max_frames")}
    return told | {"seed": int(wildcards.seed), "selection": config["protocol"]["selection"]}
