"""Checks of the machine: packages, devices, places to write to."""

import configparser
import importlib.metadata
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from serflow.artifacts import check_writable
from serflow.doctor.findings import ERROR, OK, WARNING, Run, gigabytes
from serflow.errors import UserError


def environment(run: Run) -> Iterator[tuple[str, str]]:
    """Python and the packages of pyproject.toml against the lock."""
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

    missing = [name for name in ("Snakefile", "pyproject.toml", "envs/lock.txt") if not Path(name).is_file()]
    if missing:
        raise UserError(f"{missing[0]} is not in {Path.cwd()}: call serflow in the project's folder.")
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    python = ".".join(map(str, sys.version_info[:3]))
    fits = SpecifierSet(project["requires-python"]).contains(python)
    yield (
        (OK, f"Python {python}")
        if fits
        else (
            ERROR,
            f"Python {python}, but serflow needs {project['requires-python']}: make PYTHON=<one>.",
        )
    )
    locked = _locked(Path("envs/lock.txt").read_text(encoding="utf-8"))
    wanted = [entry for entry in map(Requirement, project["dependencies"]) if _holds(entry.marker)]
    same = 0
    for name in (entry.name for entry in wanted):
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield ERROR, f"{name} is not installed: make environment."
            continue
        if name in locked and Version(installed).public != Version(locked[name]).public:
            yield WARNING, f"{name} is {installed}, tested with {locked[name]}: make environment."
        else:
            same += 1
    yield OK, f"{same} of {len(wanted)} packages as in envs/lock.txt"


def _locked(text):
    from packaging.markers import Marker

    found = re.findall(r"^([\w.-]+)==(\S+)(?: ; (.*?))? \\$", text, re.MULTILINE)
    return {name: version for name, version, marker in found if _holds(Marker(marker) if marker else None)}


def _holds(marker):
    return marker is None or marker.evaluate()


def devices(run: Run) -> Iterator[tuple[str, str]]:
    """Cores, memory and accelerators."""
    import psutil
    import torch
    from snakemake.utils import available_cpu_count

    here, memory = available_cpu_count(), psutil.virtual_memory()
    run.cores = run.cores or here
    if run.cores > here:
        yield WARNING, f"--cores {run.cores} on a machine with {here}: jobs will slow each other down."
    yield OK, f"{run.cores} of {here} cores; {gigabytes(memory.available)} of {gigabytes(memory.total)} memory free"
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for number in range(gpus):
        gpu = torch.cuda.get_device_properties(number)
        yield OK, f"GPU {gpu.name}, {gigabytes(gpu.total_memory)}: training and embedding use it"
    if gpus and _faiss_gpus() == 0:
        yield WARNING, "FAISS sees no GPU, so k-means runs on the CPU: make environment installs faiss-gpu on Linux."
    if not gpus and shutil.which("nvidia-smi"):
        yield WARNING, f"There is an NVIDIA driver, but torch {torch.__version__} sees no GPU: update the driver."
    if not gpus:
        yield OK, "no GPU: everything runs on the CPU"


def _faiss_gpus():
    import faiss

    return faiss.get_num_gpus()


def results(run: Run) -> Iterator[tuple[str, str]]:
    """Where results go can be written, and no cache will be written through."""
    check_writable(f"results/{run.config['corpus']['name']}")
    yield OK, f"results/{run.config['corpus']['name']} can be written"
    files = [path for path in (Path(".dvc/config"), Path(".dvc/config.local")) if path.is_file()]
    settings = configparser.ConfigParser(interpolation=None)
    try:
        settings.read(files, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        yield WARNING, f"DVC's configuration cannot be read ({str(error).splitlines()[0]}): mend .dvc/config."
        return
    kind = settings.get("cache", "type", fallback="")
    if re.search("hardlink|symlink", kind):
        yield (
            WARNING,
            f"DVC links results to its cache ({kind}), which can leave stale ones: dvc config cache.type copy.",
        )


def disk(run: Run) -> Iterator[tuple[str, str]]:
    """Whether what the run adds has room: audio and features, beside which models and units are small."""
    free = shutil.disk_usage(_existing(Path("results"))).free
    told = f"{gigabytes(run.bytes)} of audio and features will be written to results/, {gigabytes(free)} free"
    if run.bytes > free:
        yield ERROR, f"{told}: free space, or let results be a link to a larger disk."
    elif run.bytes > 0.8 * free:
        yield WARNING, f"{told}: free some more."
    else:
        yield OK, told


def _existing(path):
    path = path.absolute()
    return next(place for place in (path, *path.parents) if place.exists())
