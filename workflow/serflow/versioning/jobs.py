"""Snakemake's own view of a corpus: every job of the tables, and the stage that it belongs to."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from serflow.errors import UserError

if TYPE_CHECKING:
    from snakemake.jobs import Job


@dataclass(frozen=True)
class Workflow:
    """`jobs`, by output; `targets`, {stage: the files that it ends in}; `pending`: rules of jobs that are to run."""

    name: str
    jobs: list
    targets: dict
    pending: list

    def owned(self) -> dict[str, list[Job]]:
        """{stage: its jobs}, of the stages that the tables need."""
        stage_of = {file: stage for stage, files in self.targets.items() for file in files}
        owned = {stage: [] for stage in self.targets}
        for job in self.jobs:
            stages = {stage_of[file] for file in outputs(job) if file in stage_of}
            if len(stages) != 1:
                raise RuntimeError(f"{job.output[0]} belongs to the stages {sorted(stages)}: see inputs/stages.smk")
            owned[stages.pop()].append(job)
        return {stage: own for stage, own in owned.items() if own}

    def places(self) -> dict[str, str]:
        """{output: what of its job DVC tracks}: the folder of the job's own name, if any, or the file."""
        everything = {file for job in self.jobs for file in outputs(job)}
        places = {}
        for job in self.jobs:
            own = outputs(job)
            folder, named = os.path.commonpath(own), os.path.commonpath(map(str, job.rule.output))
            shared = any(f"{{{wildcard}" not in named for wildcard in job.wildcards_dict)
            shared = shared or any(file.startswith(f"{folder}/") for file in everything - set(own))
            places |= {file: file if shared or len(own) == 1 else folder for file in own}
        return places


def outputs(job: Job) -> list[str]:
    return list(map(str, job.output))


def snakemake(corpus: dict) -> list[str]:
    """The command that makes all tables of a corpus, an entry of `corpora`."""
    overlays = ["--configfile", *corpus["overlays"]] if corpus["overlays"] else []
    root = ["--config", f"root={corpus['root']}"] if corpus["root"] else []
    return ["snakemake", *overlays, *root]


def workflow_of(name: str, corpus: dict) -> Workflow:
    """The `Workflow` of the corpus `name`, an entry of `corpora`. UserError when Snakemake can make none of it."""
    from snakemake.exceptions import WorkflowError

    try:
        workflow = _loaded(corpus)
    except WorkflowError as error:
        read, reason = ", ".join(["config/config.yaml", *corpus["overlays"]]), " ".join(str(error).split())
        raise UserError(f"{name}: Snakemake can plan nothing by {read} ({reason}): mend what it says.") from error
    stages = [rule for rule in workflow.rules if rule.name.startswith(f"{name}-")]
    if f"{name}-corpus" not in {rule.name for rule in stages}:  # demo- begins demo-two-corpus as well
        raise UserError(f"config/corpora.yaml: the overlays of {name} are of another corpus: give it that name.")
    jobs = sorted((job for job in workflow.dag.jobs if job.output), key=outputs)
    pending = [job.rule.name for job in workflow.dag.needrun_jobs() if job.output]
    return Workflow(name, jobs, {rule.name: list(map(str, rule.input)) for rule in stages}, pending)


def _loaded(corpus):
    """Snakemake's workflow with the graph of the jobs of all tables, some of which may be done."""
    from snakemake.api import SnakemakeApi
    from snakemake.settings.enums import Quietness, RerunTrigger
    from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, ResourceSettings

    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        loaded = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(
                configfiles=list(map(Path, corpus["overlays"])),
                config={"root": corpus["root"]} if corpus["root"] else {},
            ),
            snakefile=Path("Snakefile"),
        )
        triggers = RerunTrigger.all() - {RerunTrigger.CODE}  # those of profiles/default
        loaded.dag(DAGSettings(force_incomplete=True, rerun_triggers=triggers))  # half-written outputs are pending
        # Snakemake prints its graph of jobs and hands it out to nobody: taken from where it prints it.
        workflow = loaded._workflow
        workflow._prepare_dag(forceall=False, ignore_incomplete=False, lock_warn_only=True)
        workflow._build_dag()
    return workflow
