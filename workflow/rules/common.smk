# The checked configuration, and the names of things: which artifact stands where, and who may hear what.
from snakemake.logging import LogEvent, logger

from serflow import config as configuration
from serflow import lineage
from serflow.artifacts import FINAL, check_writable, forget_partial
from serflow.classical import CLASSICAL, CONTROLS
from serflow.corpora import adapters, has_levels, published
from serflow.errors import UserError
from serflow.features import WIDTHS
from serflow.heads import described as head_called
from serflow.models import described as model_called
from serflow.models import model_of as encoder_model
from serflow.provenance import code_digest, listing_digest, note_run
from serflow.utterance_features import READS as UTTERANCE_FEATURES

try:
    configuration.check_files(workflow.configfiles)
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
RUN = f"{RESULTS}/run"  # how it went: the commands, and seconds and memory of every job
FOLDS = range(config["folds"]["count"])
INTENSITIES = sorted(config["intensity"], key=lambda name: not lineage.is_learned(config, name))
IS_DEMO = config["corpus"]["adapter"] == "demo"  # the one corpus whose true intensities are known
MADE_SPEECH = f"{RESULTS}/raw" if IS_DEMO and config["root"] is None else []
TRUE_INTENSITY = f"{MADE_SPEECH or config['root']}/intensity" if IS_DEMO else None
if IS_DEMO and not MADE_SPEECH and not Path(TRUE_INTENSITY).is_dir():
    TRUE_INTENSITY = None  # a demo corpus that came without its curves


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
    return f"all-fold-{fold}" if lineage.hears_emotions(config, name) else "all"


def fold_of(pool):
    """The fold whose fine-tuned systems a pool may use; pool `all` uses none."""
    return pool.rpartition("-")[2]


def encoder_of(name):
    """The model of the encoder that the encoder, pretraining or system `name` goes back to."""
    return encoder_model(lineage.origin(config, name))


def store_of(reads):
    """The frame store of `audio`, or of one of the features."""
    return f"{RESULTS}/corpus/audio.arrow" if reads == "audio" else f"{RESULTS}/features/{reads}.arrow"


def features_of(name):
    """What the encoder, pretraining or system `name` reads: audio, or one of the features."""
    return store_of(encoder_of(name).reads)


def code_with_encoder(script, name):
    """`code` with the module of the encoder that `name` goes back to."""
    return code(script, encoder_of(name).module)


def seeds_of(system):
    """Every seed of a system; the first one of a system that draws nothing at random."""
    return config["seeds"] if system in TRAINED_SYSTEMS else config["seeds"][:1]


def chain_seeds():
    """The seeds of what stands under the systems: each system's own, or the first for all of them."""
    return config["seeds"] if config["seeds_of"] == "chain" else config["seeds"][:1]


def model_of(name, fold, seed, transductive):
    """The saved model of a pretraining or system in a fold, or that of another corpus' run; none for an encoder else,
    which is named in config."""
    if name in config["encoders"] and config["encoders"][name]["corpus"]:
        return [f"{config['encoders'][name]['from']}/model.safetensors"]
    seed = seed if int(seed) in chain_seeds() else config["seeds"][0]
    if name in config["pretraining"]:
        return [f"{RESULTS}/{pool_of(name, fold, transductive)}/seed-{seed}/ssl/{name}/model.safetensors"]
    if name in config["systems"]:
        variant = f"{name}-transductive"
        system = variant if transductive and variant in config["systems"] else name
        return [f"{RESULTS}/systems/{system}/fold-{fold}/seed-{seed}/model/model.safetensors"]
    return []


def model_in_pool(name, pool, seed):
    """`model_of` for what is built inside a pool."""
    fold = fold_of(pool) if pool != "all" else FOLDS[0]
    return model_of(name, fold, seed, transductive=pool.startswith("all"))


def normalised_by(name):
    """How what the encoder, pretraining or system `name` reads is normalised, and who may be fitted on."""
    return {
        "normalisation": lineage.origin(config, name)["normalisation"],
        "selection": config["protocol"]["selection"],
    }


def start_of(name):
    """An encoder that no run made: its model, options, folder or hub id, and a folder's state; no start for others."""
    entry = config["encoders"].get(name)
    start = entry and {key: entry[key] for key in ("model", "from", "options")}
    folder = entry and entry["from"]
    return {"start": start, "state": listing_digest(folder if folder and Path(folder).is_dir() else None)}


def predictions_of(system):
    """The predictions of a system, every fold and seed."""
    pattern = f"{RESULTS}/systems/{system}/fold-{{fold}}/seed-{{seed}}/predictions.parquet"
    return expand(pattern, fold=FOLDS, seed=seeds_of(system))


def pools_of(name):
    """Every pool and seed that a pretraining is made in, as the folder of both."""
    transductive = {False: [False], True: [True], "both": [False, True]}[config["protocol"]["transductive"]]
    pools = dict.fromkeys(pool_of(name, fold, heard) for heard in transductive for fold in FOLDS)
    return [f"{pool}/seed-{seed}" for pool in pools for seed in chain_seeds()]


def pools_of_units(name):
    """`pools_of` units: those of the pretrainings that guess them, or, where none does, of what is clustered."""
    guessing = [pretraining for pretraining, entry in config["pretraining"].items() if entry["units"] == name]
    return dict.fromkeys(pool for one in guessing or [config["units"][name]["frames"]] for pool in pools_of(one))


def rows_need():
    """Every encoder, pretraining and system that a row of a table goes back to, as it is or transductive; without
    tables, as of speech that has no labels, what the pretrainings go back to."""
    rows = [name for table in config["tables"].values() for name in table["rows"]]
    reached = lineage.needed(config, rows if config["tables"] else config["pretraining"])
    return reached | {f"{name}-transductive" for name in reached}


def units_needed():
    """The units that the pretrainings of these guess, and those that no pretraining guesses, which are there to be
    measured."""
    reached, guessed = rows_need(), {entry["units"] for entry in config["pretraining"].values()}
    needed = [entry["units"] for name, entry in config["pretraining"].items() if name in reached and entry["units"]]
    return list(dict.fromkeys([*needed, *(name for name in config["units"] if name not in guessed)]))
