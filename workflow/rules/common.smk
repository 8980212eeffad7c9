# The checked configuration, and the names of things: which artifact stands where, and who may hear what.
import re

from snakemake.logging import LogEvent, logger

from serflow import config as configuration
from serflow.artifacts import check_writable
from serflow.corpora import adapters, published
from serflow.errors import UserError
from serflow.features import WIDTHS
from serflow.models import family
from serflow.provenance import code_digest, listing_digest

try:
    config = configuration.complete(config)
    configuration.check_root(config)
    for folder in ("results", "logs"):
        check_writable(f"{folder}/{config['corpus']['name']}")
    PUBLISHED = published(config["corpus"]["adapter"], config["corpus"]["classes"])  # an unknown adapter too
    configuration.check_intensity(config)
except UserError as error:
    sys.exit(f"serflow: {error}")

CORPUS = config["corpus"]["name"]
RESULTS = f"results/{CORPUS}"
LOGS = f"logs/{CORPUS}"
FOLDS = range(config["folds"]["count"])
INTENSITIES = sorted(config["intensity"], key=lambda name: config["intensity"][name]["method"] == "energy")
TRUTH = None  # the folder of true intensity curves, which only the demo corpus has
if config["corpus"]["adapter"] == "demo":
    TRUTH = f"{config['root'] or f'{RESULTS}/raw'}/intensity"


def worth_reading(record):
    """Leaves out of Snakemake's messages what the jobs' own lines say better."""
    planning = str(record.msg).startswith(("Select jobs to execute", "Execute "))
    return not planning and getattr(record, "event", None) != LogEvent.JOB_FINISHED


logger.addFilter(worth_reading)


def code(script, *modules):
    """Digest of the serflow code that a script imports, and of the modules it loads by name: code is an input."""
    return code_digest(Path(workflow.basedir) / "workflow" / "scripts" / f"{script}.py", *modules)


def threads_of_a_fold():
    """Folds run side by side: each gets its share of the cores, so that two cores serve two folds."""
    return max(1, (workflow.cores or 1) // len(FOLDS))


def pool_of(name, fold, transductive):
    """Where a pretraining of a fold stands: the pool of utterances that it was allowed to hear."""
    if not transductive:
        return f"fold-{fold}"
    return f"all-fold-{fold}" if configuration.hears_labels(config, name) else "all"


def fold_of(pool):
    """The fold whose fine-tuned systems a pool may use; pool `all` uses none."""
    return re.search(r"\d+", pool).group()


def family_of(name):
    """What kind of encoder the encoder, pretraining or system `name` goes back to."""
    return family(configuration.origin(config, name))


def features_of(name):
    """What the encoder, pretraining or system `name` reads: audio, or one of the features."""
    reads = family_of(name).reads
    return f"{RESULTS}/corpus/audio.arrow" if reads == "audio" else f"{RESULTS}/features/{reads}.arrow"


def code_with_encoder(script, name):
    """`code` with the module of the encoder that `name` goes back to."""
    return code(script, f"serflow.models.{family_of(name).module}")


def model_of(name, fold, transductive):
    """The saved model of a pretraining or system in a fold; none for an encoder, which is named in config."""
    if name in config["pretraining"]:
        return [f"{RESULTS}/{pool_of(name, fold, transductive)}/ssl/{name}/model.safetensors"]
    if name in config["systems"]:
        variant = f"{name}-transductive"
        system = variant if transductive and variant in config["systems"] else name
        return [f"{RESULTS}/systems/{system}/fold-{fold}/seed-{config['seeds'][0]}/model/model.safetensors"]
    return []


def model_in_pool(name, pool):
    """`model_of` for what is built inside a pool."""
    return model_of(name, fold_of(pool) if pool != "all" else FOLDS[0], transductive=pool.startswith("all"))


def start_of(name):
    """An encoder that no run made: its `scratch:<size>`, folder or hub id, and a folder's state; no start for others."""
    start = config["encoders"].get(name)
    folder = start if start and Path(start).is_dir() else None
    return {"start": start, "state": listing_digest(folder)}


def predictions_of(system):
    """The predictions of a system, every fold and seed."""
    pattern = f"{RESULTS}/systems/{system}/fold-{{fold}}/seed-{{seed}}/predictions.parquet"
    return expand(pattern, fold=FOLDS, seed=config["seeds"])


def every_table():
    """All tables in all their forms, and the numbers that DVC compares."""
    tables = expand(f"{RESULTS}/tables/{{table}}.{{form}}", table=config["tables"], form=["csv", "md", "tex"])
    truth = expand(f"{RESULTS}/tables/intensity.{{form}}", form=["csv", "md"]) if TRUTH and INTENSITIES else []
    return [*tables, *truth, f"{RESULTS}/metrics.json"]


def every_intensity():
    """The frame scores of every intensity in every fold."""
    return expand(f"{RESULTS}/fold-{{fold}}/intensity/{{intensity}}/frames.arrow", fold=FOLDS, intensity=INTENSITIES)


def tabled_systems():
    """Systems that stand in some table, in config's order."""
    return [name for name in config["systems"] if any(name in table["rows"] for table in config["tables"].values())]


def trained_systems():
    """Tabled systems that have a training curve."""
    return [name for name in tabled_systems() if name in TRAINED_SYSTEMS]


def every_figure():
    """A confusion matrix per tabled system, a training curve per trained one."""
    matrices = expand(
        f"{RESULTS}/figures/{{system}}-confusion.{{form}}", system=tabled_systems(), form=["png", "svg"]
    )
    curves = expand(f"{RESULTS}/figures/{{system}}-training.{{form}}", system=trained_systems(), form=["png", "svg"])
    return matrices + curves


# What the rules of corpus.smk are told.


def joined_parts():
    """The corpora of the adapter `joined`, by name; none for any other."""
    corpora = config["corpus"]["options"].get("corpora", {}) if config["corpus"]["adapter"] == "joined" else {}
    return (
        corpora.values()
        if isinstance(corpora, dict) and all(isinstance(part, dict) for part in corpora.values())
        else []
    )  # what is wrong with them the job tells


def adapter_modules():
    """The modules of the corpus' adapter and of those that it joins."""
    names = [config["corpus"]["adapter"], *(str(part.get("adapter")) for part in joined_parts())]
    return [f"serflow.corpora.{name}" for name in names if name in adapters()]


def corpus_folders():
    """The folders whose files are the corpus."""
    root = config["root"]
    return [root, *(str(Path(root) / str(part.get("folder"))) for part in joined_parts() if root)]


def protocol_settings():
    """All that decides who heard what, and what is scored."""
    return {
        "corpus": CORPUS,
        "settings": config["folds"],
        "selection": config["protocol"]["selection"],
        "seeds": config["seeds"],
        "published": PUBLISHED,
        "transductive": [system["title"] for system in config["systems"].values() if system["transductive"]],
    }


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


def intensity_frames(name, pool):
    """The scores of an intensity that a pool may use: its fold's; energy is the same in all."""
    fold = fold_of(pool) if pool != "all" else FOLDS[0]
    return f"{RESULTS}/fold-{fold}/intensity/{name}/frames.arrow"


# What the rules of units.smk read and are told.


def embedded_model(wildcards):
    """The model whose hidden states are clustered, where a run made it."""
    return model_in_pool(config["units"][wildcards.units]["frames"], wildcards.pool)


def embedded_inputs(wildcards):
    """What that model reads."""
    return features_of(config["units"][wildcards.units]["frames"])


def clustered_frames(wildcards):
    """What is clustered: MFCC, or an embedding made in this pool."""
    if config["units"][wildcards.units]["frames"] == "mfcc":
        return f"{RESULTS}/features/mfcc.arrow"
    return f"{RESULTS}/{wildcards.pool}/embeddings/{wildcards.units}/frames.arrow"


def embedding_code(wildcards):
    """`code` with the encoder's module."""
    return code_with_encoder("embed", config["units"][wildcards.units]["frames"])


def embedding_settings(wildcards):
    """The layer that is clustered, and the starting point of an encoder that no run made."""
    entry = config["units"][wildcards.units]
    return {"layer": entry["layer"], "seed": config["seeds"][0], **start_of(entry["frames"])}


def clustering_settings(wildcards):
    """How k-means runs."""
    entry = config["units"][wildcards.units]
    return {key: entry[key] for key in ("k", "inits", "max_frames")} | {"seed": config["seeds"][0]}


# What the rules of pretraining.smk read and are told.


def pretraining_start(wildcards):
    """The pretraining that this one goes on from, where it is not an encoder of config."""
    return model_in_pool(config["pretraining"][wildcards.pretraining]["start"], wildcards.pool)


def pretraining_inputs(wildcards):
    """What the encoder reads."""
    return features_of(wildcards.pretraining)


def pretraining_labels(wildcards):
    """The units that it predicts, if any."""
    units = config["pretraining"][wildcards.pretraining]["units"]
    return f"{RESULTS}/{wildcards.pool}/units/{units}/labels.arrow" if units else []


def pretraining_intensity(wildcards):
    """The intensity that its masks follow, if any."""
    intensity = config["pretraining"][wildcards.pretraining]["intensity"]
    return intensity_frames(intensity, wildcards.pool) if intensity else []


def pretraining_code(wildcards):
    """`code` with the encoder's module."""
    return code_with_encoder("pretrain", wildcards.pretraining)


def pretraining_settings(wildcards):
    """Schedule, masking, and what a new head and encoder are made of."""
    entry = config["pretraining"][wildcards.pretraining]
    return {
        "schedule": entry["schedule"],
        "masking": entry["masking"],
        "head": configuration.head(config, wildcards.pretraining),
        "seed": config["seeds"][0],
        **start_of(entry["start"]),
    }


# What the rules of systems.smk read and are told.

CLASSICAL_SYSTEMS = [
    name for name, system in config["systems"].items() if system["method"] in configuration.CLASSICAL
]
TRAINED_SYSTEMS = [name for name in config["systems"] if name not in CLASSICAL_SYSTEMS]


def system_encoder(wildcards):
    """The pretraining under the classifier, where it is not an encoder of config."""
    system = config["systems"][wildcards.system]
    return model_of(system["encoder"], wildcards.fold, system["transductive"])


def system_inputs(wildcards):
    """What the encoder reads."""
    return features_of(wildcards.system)


def system_code(wildcards):
    """`code` with the encoder's module."""
    return code_with_encoder("finetune", wildcards.system)


def system_settings(wildcards):
    """The system's entry in config without its title, which changes no number."""
    entry = {key: value for key, value in config["systems"][wildcards.system].items() if key != "title"}
    if wildcards.system in CLASSICAL_SYSTEMS:
        return {"method": entry["method"]}
    return {**entry, "selection": config["protocol"]["selection"], **start_of(entry["encoder"])}


# What the rules of evaluation.smk read and are told.


def table_predictions(wildcards):
    """The predictions of every row of a table."""
    return [path for system in config["tables"][wildcards.table]["rows"] for path in predictions_of(system)]


def table_validations(wildcards):
    """The predictions for validation speakers, where a column of the table needs them."""
    table = config["tables"][wildcards.table]
    systems = [name for name in table["rows"] if table["as_published"] and name in TRAINED_SYSTEMS]
    predictions = [path for system in systems for path in predictions_of(system)]
    return [path.replace("predictions.parquet", "validation.parquet") for path in predictions]


def table_maskings(wildcards):
    """What was masked in the pretrainings under a table's rows."""
    systems = [config["systems"][name] for name in config["tables"][wildcards.table]["rows"]]
    made = [(system["encoder"], system["transductive"]) for system in systems if "encoder" in system]
    return [
        model.replace("model.safetensors", "masking.json")
        for name, transductive in dict.fromkeys(made)
        if name in config["pretraining"]
        for fold in FOLDS
        for model in model_of(name, fold, transductive)
    ]


def table_settings(wildcards):
    """The table's rows, with their titles."""
    table = config["tables"][wildcards.table]
    return {**table, "titles": {system: config["systems"][system]["title"] for system in table["rows"]}}


def tabled_predictions():
    """The predictions of every system that stands in a table."""
    return [path for system in tabled_systems() for path in predictions_of(system)]


def training_histories():
    """The training curve of every fold and seed of every trained system."""
    return [
        path.replace("predictions.parquet", "history.csv")
        for system in trained_systems()
        for path in predictions_of(system)
    ]
