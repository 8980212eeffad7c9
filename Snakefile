# serflow: from a folder of emotional speech to the tables of the papers. What a run does stands in config/,
# where and how wide it runs in profiles/, and `snakemake -n` says what it would do.
import gc
import os
import sys
import threading
from pathlib import Path

from snakemake.utils import min_version

min_version("9.0")
gc.freeze()  # looking for garbage among what is imported would take a sixth of every start


configfile: Path(workflow.basedir) / "config" / "config.yaml"


# Jobs find the library by this path in every environment, conda's too.
sys.path.insert(0, str(Path(workflow.basedir) / "workflow"))
os.environ["PYTHONPATH"] = sys.path[0]


envvars:
    "PYTHONPATH",


include: "workflow/rules/common.smk"
include: "workflow/rules/corpus.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/intensity.smk"
include: "workflow/rules/units.smk"
include: "workflow/rules/pretraining.smk"
include: "workflow/rules/systems.smk"
include: "workflow/rules/evaluation.smk"
include: "workflow/rules/splices.smk"
include: "workflow/rules/stress.smk"
include: "workflow/rules/stages.smk"


wildcard_constraints:
    pool=r"all|all-fold-\d+|fold-(\d+|final)",
    fold=r"\d+|final",
    seed=r"\d+",
    intensity=r"[\w-]+",
    units=r"[\w-]+",
    frames=r"[\w-]+",
    layer=r"\d+",
    pretraining=r"[\w-]+",
    system=r"[\w-]+",
    table=r"(?!(frames|intensity|levels|stress|units)(\.|$))[\w-]+(?<!-scores)(?<!-planned)(?<!-seen)",


rule all:
    default_target: True
    input:
        everything(),


onstart:
    forget_partial(RESULTS)
    if not workflow.touch:
        note_run(f"{RUN}/commands.jsonl", sys.argv[1:])


onsuccess:
    print(f"Tables: {RESULTS}/tables/   Figures: {RESULTS}/figures/")
    earlier = mark_earlier(config, Path(RESULTS) / "tables")
    if earlier:
        print(f"Of other classes, folds or seeds, and marked so: {', '.join(earlier)}")
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.cancel()  # Snakemake's limit of jobs a second, which would hold the end of every run for that second
