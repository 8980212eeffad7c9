"""Check of the cluster that a profile sends jobs to: whether SLURM answers, and would take them."""

import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

import yaml

from serflow.doctor.findings import ERROR, OK, WARNING, Run
from serflow.errors import UserError

PROGRAMS = ("sbatch", "squeue", "scontrol", "scancel")
# What of a job's resources sbatch is asked about; memory and time depend on what the job will read.
OPTIONS = {
    "slurm_partition": "--partition",
    "slurm_account": "--account",
    "qos": "--qos",
    "constraint": "--constraint",
    "gpu": "--gpus",
    "gres": "--gres",
    "threads": "--cpus-per-task",
}


def scheduler(run: Run) -> Iterator[tuple[str, str]]:
    """The cluster of the profile, if one is named."""
    if run.profile is None:
        yield OK, "jobs run on this machine: no --profile names another place"
        return
    profile = _read(run.profile)
    executor = profile.get("executor", "local")
    if executor != "slurm":
        yield OK, f"{run.profile}: executor {executor}"
        return
    if find_spec("snakemake_executor_plugin_slurm") is None:
        yield ERROR, "Snakemake of this environment knows no SLURM: make slurm."
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        raise UserError(
            f"There is no {', '.join(missing)} here: call it where the cluster takes jobs, or try the profile with "
            "make slurm-demo."
        )
    answer = _called("scontrol", "ping")
    if answer.returncode:
        raise UserError(f"SLURM does not answer ({_sentence(answer)}): ask whether the cluster is up.")
    yield OK, " ".join(answer.stdout.split())
    for asked, rules in _kinds(profile).items():
        told = ", ".join(f"{name} {value}" for name, value in asked) or "nothing but a core"
        options = [f"{OPTIONS[name]}={value}" for name, value in asked]
        answer = _called("sbatch", "--test-only", *options, "--wrap=true")
        if answer.returncode:
            yield ERROR, f"sbatch refuses {told} ({', '.join(rules)}): {_sentence(answer)}: mend {run.profile}."
        else:
            yield OK, f"sbatch takes {told} ({', '.join(rules)})"
    if not any("slurm_account" in dict(asked) for asked in _kinds(profile)):
        yield OK, "no account is named: SLURM takes your default one"
    if "accounting_storage/none" in _called("scontrol", "show", "config").stdout:
        if profile.get("slurm-status-command") != "squeue":
            yield WARNING, f"This SLURM keeps no accounts: {run.profile} needs slurm-status-command: squeue."
        if profile.get("slurm-efficiency-report"):
            yield OK, "this SLURM keeps no accounts, so there will be no efficiency report"


def _read(folder):
    """What the profile in `folder` says."""
    file = Path(folder) / "config.yaml"
    try:
        profile = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"--profile: {file} cannot be read ({error.strerror}): name its folder.") from error
    except (ValueError, yaml.YAMLError) as error:
        raise UserError(f"--profile: {file} is not YAML ({' '.join(str(error).split())[:200]}): mend it.") from error
    if not isinstance(profile, Mapping):
        raise UserError(f"--profile: {file} holds no options: see profiles/slurm/config.yaml.")
    return profile


def _kinds(profile):
    """{what is asked for: the rules that ask for it}, of all rules that the profile names and of the others."""
    common, own = profile.get("default-resources") or {}, profile.get("set-resources") or {}
    threads = profile.get("set-threads") or {}
    if not all(isinstance(section, Mapping) for section in (common, own, threads)):
        raise UserError("--profile: write default-resources, set-resources and set-threads as `name: value` lines.")
    kinds = defaultdict(list)
    for rule in (*dict.fromkeys([*own, *threads]), None):
        resources = {**common, **own.get(rule, {})} | ({"threads": threads[rule]} if rule in threads else {})
        asked = [(name, resources[name]) for name in OPTIONS if resources.get(name)]
        kinds[tuple(asked)].append(rule or "all others")
    return kinds


def _called(*command):
    return subprocess.run(command, capture_output=True, text=True, errors="replace")  # noqa: S603


def _sentence(answer):
    told = (answer.stderr or answer.stdout).splitlines() or [f"exit code {answer.returncode}"]
    return told[-1].removeprefix("sbatch: ").removeprefix("error: ").rstrip(".")
