# What the rules of evaluation.smk read and are told.
from itertools import product

from serflow.evaluation.recipes import recipe_sentences
from serflow.evaluation.stamps import made_by, mark_earlier, misfits, stamp

if workflow.is_main_process:  # a file that git brought is nobody's result, as far as Snakemake knows
    for table in misfits(config, Path(RESULTS) / "tables"):
        logger.warning(
            f"{RESULTS}/tables/{table}.md was made by another configuration than this one, or does not say by which: "
            f"--forcerun {RESULTS}/tables/{table}.md makes it anew where nothing else does."
        )


def every_table():
    """All tables in all their forms, with the numbers that DVC compares, the figures of each, and what the run was
    told."""
    if not config["tables"]:
        return []
    forms = [".csv", ".md", ".tex", ".json", "-scores.csv", "-planned.csv"]
    tables = expand(f"{RESULTS}/tables/{{table}}{{form}}", table=config["tables"], form=forms)
    figures = expand(f"{RESULTS}/figures/{{table}}", table=config["tables"])
    others = (
        ["intensity"] * bool(INTENSITIES) + ["levels"] * bool(levels_table("md")) + ["units"] * bool(every_quality())
    )
    tables += expand(f"{RESULTS}/tables/{{name}}.{{form}}", name=others, form=["csv", "md"])
    return [*tables, *figures, *frames_table(), *stress_table(), f"{RESULTS}/configuration.json"]


def frames_table():
    """What is known of the frames of splices, where there are any: the table and its figures."""
    if not config["splices"]["patterns"]:
        return []
    return [*expand(f"{RESULTS}/tables/frames.{{form}}", form=["csv", "md"]), f"{RESULTS}/figures/frames"]


def stress_table():
    """What trained systems say in other sound, where there are such and any is asked for: the table and its figures."""
    if not (config["stress"]["conditions"] and CARDED):
        return []
    return [*expand(f"{RESULTS}/tables/stress.{{form}}", form=["csv", "md"]), f"{RESULTS}/figures/stress"]


def levels_table(form):
    """Intensities against how strongly emotions were meant, where there are both."""
    return f"{RESULTS}/tables/levels.{form}" if INTENSITIES and has_levels(config["corpus"]["adapter"]) else []


ROWS = dict.fromkeys(name for table in config["tables"].values() for name in table["rows"])
CARDED = [name for name in ROWS if name in TRAINED_SYSTEMS]  # the trained systems that a table scores


def every_card():
    """Their model cards."""
    return [f"{RESULTS}/systems/{name}/README.md" for name in CARDED]


def card_settings(name):
    """What a system is called and how it was made, its licence, and whether it is trained on everybody too."""
    return {
        "title": config["systems"][name]["title"],
        "recipe": list(recipe_sentences(config, [name])),
        "zero_shot": config["systems"][name]["zero_shot"],
        "licence": config["licence"],
        "final": f"fold-{FINAL}/seed-{config['seeds'][0]}" if name == config["final"] else None,
    }


def every_quality():
    """{quality of a clustering: what names its units} of all that the tables need, every pool and seed."""
    made = {}
    for name in units_needed():
        entry = config["units"][name]
        layer = None if entry["frames"] == "mfcc" else entry["layer"]
        for pool in pools_of_units(name):
            named = {"units": name, "frames": entry["frames"], "layer": layer, "k": entry["k"]}
            made[f"{RESULTS}/{pool}/units/{name}/quality.json"] = named
    return made


def every_intensity():
    """{frame scores: their intensity, fold and seed} of every intensity; fold and seed None where all share them."""
    made = {}
    for name, fold, seed in product(INTENSITIES, FOLDS, chain_seeds()):
        own = {"fold": fold, "seed": seed} if lineage.is_learned(config, name) else {"fold": None, "seed": None}
        made[intensity_frames(name, f"fold-{fold}", seed)] = {"intensity": name, **own}
    return made


def every_ranking():
    """How the rankers that StrengthNet learns from score the test speakers, fold by fold; none where nothing does."""
    return [f"{RESULTS}/fold-{fold}/intensity/ranked.parquet" for fold in FOLDS if needs_strengths(INTENSITIES)]


def table_predictions(wildcards):
    """The predictions of every row of a table."""
    return [path for system in config["tables"][wildcards.table]["rows"] for path in predictions_of(system)]


def table_histories(wildcards):
    """The training curves of every row that has one."""
    systems = [name for name in config["tables"][wildcards.table]["rows"] if name in TRAINED_SYSTEMS]
    return [
        path.replace("predictions.parquet", "model/history.csv")
        for system in systems
        for path in predictions_of(system)
    ]


def table_validations(wildcards):
    """The predictions for validation speakers, where a column of the table needs them."""
    if not config["tables"][wildcards.table]["as_published"]:
        return []
    return [path.replace("model/history.csv", "validation.parquet") for path in table_histories(wildcards)]


def table_maskings(wildcards):
    """What was masked in the pretrainings under a table's rows."""
    systems = [config["systems"][name] for name in config["tables"][wildcards.table]["rows"]]
    made = [(system["encoder"], system["transductive"]) for system in systems if "encoder" in system]
    return [
        model.replace("model.safetensors", "masking.json")
        for name, transductive in dict.fromkeys(made)
        if name in config["pretraining"]
        for fold, seed in product(FOLDS, chain_seeds())
        for model in model_of(name, fold, seed, transductive)
    ]


def table_intensities(wildcards):
    """What is known of intensities, where pretrainings under a table's rows follow one."""
    under = lineage.needed(config, config["tables"][wildcards.table]["rows"]) & set(config["pretraining"])
    follows = any(config["pretraining"][name]["intensity"] for name in under)
    return f"{RESULTS}/tables/intensity.csv" if follows else []


def table_sweep(wildcards):
    """What the rows of a sweep's table vary; nothing for other tables."""
    heard = "-transductive" * (config["protocol"]["transductive"] is True)
    swept = config["sweeps"].get(wildcards.table, {})
    return {row + heard: {**told, "of": told["of"] + heard} for row, told in swept.items()}


def table_units(wildcards):
    """What is known of all units, where the table is of a sweep of them."""
    return f"{RESULTS}/tables/units.csv" if wildcards.table in config["sweeps"] else []


def table_settings(wildcards):
    """The table's rows, with their titles, and how they were made."""
    table = config["tables"][wildcards.table]
    unheard = {system: config["systems"][system].get("zero_shot") for system in table["rows"]}
    told = {"titles": table_titles(wildcards), "recipe": list(recipe_sentences(config, table["rows"]))}
    told |= {"configuration": made_by(config, wildcards.table), "stamp": stamp(config, wildcards.table)}
    methods = {system: config["systems"][system]["method"] for system in table["rows"]}
    told["controls"] = {system: method for system, method in methods.items() if method in CONTROLS}
    return {**table, **told, "zero_shot": {system: classes for system, classes in unheard.items() if classes}}


def table_claims(wildcards):
    """What a table claims: {claims, seeds, synthesised}."""
    paper, table = wildcards.table, config["tables"][wildcards.table]
    titles = {name: system["title"] for name, system in config["systems"].items()}
    pairs = [(name, table["rows"][name]) for name in table["claims"]]
    claims = [
        {
            "paper": paper, "system": name, "baseline": baseline, "title": table["title"],
            "name": titles[name], "against": titles.get(baseline, baseline),
        }
        for name, baseline in pairs
    ]  # fmt: skip
    return {"claims": claims, "seeds": len(config["seeds"]), "synthesised": bool(MADE_SPEECH)}


def table_titles(wildcards):
    """The titles of a table's rows."""
    return {system: config["systems"][system]["title"] for system in config["tables"][wildcards.table]["rows"]}
