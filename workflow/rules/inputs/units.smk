# What the rules of units.smk read and are told.


def embedded_model(wildcards):
    """The model whose hidden states are clustered, where a run made it."""
    return model_in_pool(wildcards.frames, wildcards.pool, wildcards.seed)


def embedded_inputs(wildcards):
    """What that model reads."""
    return features_of(wildcards.frames)


def embedding_of(units, pool):
    """The hidden states, in the folder of a pool and seed, that are clustered; None for MFCC."""
    entry = config["units"][units]
    if entry["frames"] == "mfcc":
        return None
    return f"{RESULTS}/{pool}/embeddings/{entry['frames']}/layer-{entry['layer']}/frames.arrow"


def clustered_frames(wildcards):
    """What is clustered: MFCC, or an embedding made in this pool."""
    made = embedding_of(wildcards.units, f"{wildcards.pool}/seed-{wildcards.seed}")
    return made or f"{RESULTS}/features/mfcc.arrow"


def embedding_code(wildcards):
    """`code` with the encoder's module."""
    return code_with_encoder("embed", wildcards.frames)


def embedding_settings(wildcards):
    """The layer that is clustered, and the starting point of an encoder that no run made."""
    told = {"layer": int(wildcards.layer), "seed": int(wildcards.seed)}
    return told | normalised_by(wildcards.frames) | start_of(wildcards.frames)


def clustering_settings(wildcards):
    """How k-means runs."""
    entry = config["units"][wildcards.units]
    told = {key: entry[key] for key in ("k", "inits", "max_frames")}
    return told | {"seed": int(wildcards.seed), "selection": config["protocol"]["selection"]}
