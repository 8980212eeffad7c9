"""From jobs to the entries of dvc.yaml and of a corpus' plan."""

import json
import os
import re
import shlex
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from serflow.artifacts import OF_THIS_MACHINE
from serflow.errors import UserError
from serflow.versioning.jobs import Workflow, outputs, snakemake

CONVERTED = "corpus/audio.arrow"
SPEECH = ("raw", CONVERTED)  # what of results/<corpus>/ can be listened to
MODEL = r"/(ssl/[^/]+|intensity/[^/]+/model|systems/[^/]+/fold-\d+/seed-\d+)$"
HERE_ONLY = (*OF_THIS_MACHINE, "state")  # a local encoder is a dependency, by its content


def plan_file(name: str) -> str:
    return f"results/{name}/plan.json"


def settings_of(workflow: Workflow) -> dict[str, dict]:
    """{stage: {rule and name of what is made: what its jobs are told}}, without what is true of one machine alone."""
    settings = {}
    for stage, jobs in workflow.owned().items():
        told = defaultdict(list)
        for job in jobs:
            named = (value for key, value in job.wildcards_dict.items() if key not in ("pool", "fold", "seed"))
            values, own = _portable(dict(job.params.items())), told[" ".join([job.rule.name, *named])]
            if values not in own:
                own.append(values)
        settings[stage] = {name: values[0] if len(values) == 1 else values for name, values in told.items()}
    return settings


def _portable(values):
    told = json.loads(json.dumps(values))  # tuples, and Snakemake's own lists, become plain ones
    for place in (told, told.get("settings", {})):  # no deeper, where the user's own names stand
        for key in HERE_ONLY:
            place.pop(key, None)
    return told


def stages_of(workflow: Workflow, corpus: dict) -> dict[str, dict]:
    """The entries of dvc.yaml's `stages` for a corpus: its plan, then what Snakemake makes by it."""
    name, places = workflow.name, workflow.places()
    stages = {
        f"{name}-plan": {
            "cmd": f"serflow plan {name}",
            "deps": ["Snakefile", "config", "workflow", *_elsewhere(corpus["overlays"])],
            "outs": [{plan_file(name): {"cache": False}}],
        }
    }
    for stage, jobs in workflow.owned().items():
        made = dict.fromkeys(places[file] for job in jobs for file in outputs(job))
        read = dict.fromkeys(path for job in jobs for path in _read(job, places))
        kept = defaultdict(list)
        for path in made:
            section, options = _keeping(path.removeprefix(f"results/{name}/"), corpus["push_audio"])
            kept[section].append({path: options})
        stages[stage] = {
            "cmd": shlex.join([*snakemake(corpus), "--", stage]),
            "params": [{plan_file(name): [stage]}],
            "deps": [path for path in read if path not in made],
            **kept,
        }
    return {stage: {key: value for key, value in entry.items() if value} for stage, entry in stages.items()}


def _elsewhere(overlays):
    return [file for file in overlays if Path(file).parts[0] != "config"]


def _read(job, places):
    """What a job reads: artifacts, and files and folders from outside."""
    yield from (places.get(file, file) for file in map(str, job.input))
    yield from map(watched, job.params.get("folders", []))
    start = job.params.get("settings", {}).get("start")
    if start and start["from"] and Path(start["from"]).is_dir():
        yield start["from"]


def watched(folder: str) -> str:
    """`folder`, if DVC sees all of its files. UserError for a link to a folder below it, which DVC does not enter."""
    for top, inner, _ in os.walk(folder):
        for path in (os.path.join(top, name) for name in inner):
            if os.path.islink(path):
                raise UserError(f"{path} is a link, behind which DVC sees no change: put the folder itself there.")
    return folder


def _keeping(path, push_audio):
    """How DVC keeps an artifact of results/<corpus>/: (section of the stage, options)."""
    if path.startswith("tables/"):  # in git
        return "metrics" if path.endswith(".json") else "outs", {"cache": False, "persist": True}
    kept_here = {"push": False} if path in SPEECH and not push_audio else {}
    return "plots" if path.startswith("figures/") else "outs", {"persist": True, **kept_here}


def with_what_stands_behind(changed: Iterable[str], stages: dict[str, dict]) -> set[str]:
    """The stages `changed` and all that read what they make, however indirectly; `stages` as in dvc.yaml."""
    reached = set(changed)
    while True:
        made = [Path(path) for stage in reached & set(stages) for path in _outs(stages[stage])]
        readers = {stage for stage, entry in stages.items() if any(_depends_on(entry, path) for path in made)}
        if readers <= reached:
            return reached
        reached |= readers


def _depends_on(entry, path):
    """Whether a stage reads `path`, something in it, or a folder that it lies in."""
    deps = map(Path, entry.get("deps", []))
    return any(dep.is_relative_to(path) or path.is_relative_to(dep) for dep in deps)


def _outs(entry):
    return [path for section in ("outs", "plots", "metrics") for out in entry.get(section, []) for path in out]


def overview(stages: dict[str, dict]) -> dict:
    """The stage that gathers the claims and tables of `stages`."""
    tables = [path for entry in stages.values() for path in _outs(entry) if re.search(r"/tables/.*\.(md|csv)$", path)]
    made = [f"results/{name}" for name in ("README.md", "claims.csv", "claims.md", "claims.svg")]
    return {
        "cmd": "serflow claims",
        "deps": [*(f"workflow/serflow/evaluation/{name}.py" for name in ("claims", "overview")), *tables],
        "outs": [{path: {"cache": False}} for path in made],
        "metrics": [{"results/claims.json": {"cache": False}}],
    }


def metrics(workflows: list[Workflow]) -> list[str]:
    """The entry `metrics` of dvc.yaml: numbers that stand among other outputs of a stage."""
    files = [file for workflow in workflows for job in workflow.jobs for file in outputs(job)]
    return [file for file in files if Path(file).name in ("quality.json", "masking.json")]


def artifacts(stages: dict[str, dict]) -> dict[str, dict]:
    """The entry `artifacts` of dvc.yaml: a name for every model folder."""
    models = {}
    for path in (path for entry in stages.values() for path in _outs(entry) if re.search(MODEL, path)):
        name = re.sub(r"[^a-z0-9]", "-", path.removeprefix("results/").lower())
        if name in models:
            raise UserError(f"config: two models would be the artifact {name} of DVC: rename one of them.")
        models[name] = {"path": f"{path}/model" if "/systems/" in path else path, "type": "model"}
    return models
