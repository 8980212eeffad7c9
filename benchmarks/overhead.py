"""What DVC and Snakemake take beside the jobs: `dvc repro` of the demo from nothing, in a fresh clone.

The jobs' time is when the process of at least one was alive, looked at ten times a second. Run, with the environment
active: python benchmarks/overhead.py [--overlay FILE ...]
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import psutil
import yaml

PROJECT = Path(__file__).parents[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--overlay", nargs="*", default=["config/ems.yaml"], help="of the demo's configuration")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        clone, log = Path(temporary) / "serflow", Path(temporary) / "log.txt"
        environment = {**os.environ, "PYTHONPATH": str(clone / "workflow")}

        def call(*command, cwd=clone):
            with log.open("w") as printed:
                process = psutil.Popen(command, cwd=cwd, env=environment, stdout=printed, stderr=printed)
                times = watch(process)
            if process.returncode:
                raise SystemExit(f"{' '.join(command)} failed:\n{log.read_text()}")
            return times

        call("git", "clone", "--quiet", str(PROJECT), str(clone), cwd=temporary)
        (clone / "config" / "corpora.yaml").write_text(yaml.safe_dump({"demo": {"overlays": chosen.overlay}}))
        call("serflow", "plan")
        whole, busy = call("dvc", "repro")
        stages = len(yaml.safe_load((clone / "dvc.lock").read_text())["stages"])
    print(f"dvc repro of {stages} stages: {whole:.1f} s; some job running: {busy:.1f} s")
    print(f"overhead {100 * (whole / busy - 1):.1f} %")


def watch(process):
    """Seconds until `process` ends, and in how many of them one of Snakemake's jobs was alive below it."""
    began = last = time.monotonic()
    busy = 0.0
    while process.poll() is None:
        time.sleep(0.1)
        now = time.monotonic()
        busy += (now - last) * has_job(process)
        last = now
    return last - began, busy


def has_job(process):
    try:
        return any(".snakemake/scripts/" in " ".join(child.cmdline()) for child in process.children(recursive=True))
    except psutil.NoSuchProcess:
        return False


if __name__ == "__main__":
    main()
