# What the rules of units.smk read and are told.


def is_hidden(units):
    """Whether units are clusters of an encoder's hidden states, not of MFCC."""
    return config["units"][units]["frames"] != "mfcc"


def clustered_model(wildcards):
    """The model whose hidden states are clustered, where a run made it."""
    entry = config["units"][wildcards.units]
    return model_in_pool(entry["frames"], wildcards.pool, wildcards.seed) if is_hidden(wildcards.units) else []


def clustered_inputs(wildcards):
    """What is clustered, or what the model reads whose hidden states are."""
    return features_of(config["units"][wildcards.units]["frames"]) if is_hidden(wildcards.units) else store_of("mfcc")


def clustering_code(wildcards):
    """`code`, for hidden states with what computes them, and with the encoder's module."""
    if not is_hidden(wildcards.units):
        return code("cluster")
    return code("cluster", "serflow.inference", encoder_of(config["units"][wildcards.units]["frames"]).module)


def clustering_settings(wildcards):
    """How k-means runs, and on which layer; None is MFCC."""
    entry = config["units"][wildcards.units]
    told = {key: entry[key] for key in ("k", "inits", "max_frames")}
    told |= {"seed": int(wildcards.seed), "selection": config["protocol"]["selection"], "layer": None}
    return told | layer_of(entry["frames"], entry["layer"]) if is_hidden(wildcards.units) else told


def layer_of(frames, layer):
    """A layer, how what its encoder reads is normalised, and the starting point of one that no run made."""
    return {"layer": int(layer)} | normalised_by(frames) | start_of(frames)


def embedded_model(wildcards):
    """The model whose hidden states are asked for, where a run made it."""
    return model_in_pool(wildcards.frames, wildcards.pool, wildcards.seed)


def embedded_inputs(wildcards):
    """What that model reads."""
    return features_of(wildcards.frames)


def embedding_code(wildcards):
    """`code` with the encoder's module."""
    return code_with_encoder("embed", wildcards.frames)


def embedding_settings(wildcards):
    """The layer that is asked for, of an encoder that a seed may make."""
    return layer_of(wildcards.frames, wildcards.layer) | {"seed": int(wildcards.seed)}
