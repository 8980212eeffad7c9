# What the rules of stress.smk read and are told.


def stressed_models(wildcards):
    """The models of a fold and seed that are asked."""
    pattern = f"{RESULTS}/systems/{{system}}/fold-{wildcards.fold}/seed-{wildcards.seed}/model/model.safetensors"
    return expand(pattern, system=CARDED)


def stress_settings(wildcards):
    """In what sound they are asked, where each one's model is, what it reads, and which utterances are its own."""
    systems = {
        name: {
            "model": os.path.dirname(model),
            "reads": encoder_of(name).reads,
            "zero_shot": config["systems"][name]["zero_shot"],
        }
        for name, model in zip(CARDED, stressed_models(wildcards))
    }
    return {**config["stress"], "selection": config["protocol"]["selection"], "systems": systems}


def stress_code():
    """`code` with the modules of their encoders and heads."""
    encoders = {encoder_of(name).module for name in CARDED}
    heads = {head_called(config["systems"][name]["head"]).module for name in CARDED}
    return code("stress", *sorted(encoders | heads))


def every_stress():
    """What every fold and seed says in other sound."""
    return expand(f"{RESULTS}/fold-{{fold}}/seed-{{seed}}/stress.parquet", fold=FOLDS, seed=config["seeds"])
