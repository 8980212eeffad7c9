"""What DVC and Snakemake take beside the jobs: `dvc repro` of the demo from nothing, in a fresh clone.

The jobs' time is when at least one was running, as Snakemake's records tell. Run, with the environment active:
python benchmarks/overhead.py [--overlay FILE ...]
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import yaml

PROJECT = Path(__file__).parents[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--overlay", nargs="*", default=["config/ems.yaml"], help="of the demo's configuration")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        clone = Path(temporary) / "serflow"
        environment = {**os.environ, "PYTHONPATH": str(clone / "workflow")}

        def call(*command, cwd=clone):
            ended = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)  # noqa: S603
            if ended.returncode:
                raise SystemExit(f"{' '.join(command)} failed:\n{ended.stdout}{ended.stderr}")

        call("git", "clone", "--quiet", str(PROJECT), str(clone), cwd=temporary)
        (clone / "config" / "corpora.yaml").write_text(yaml.safe_dump({"demo": {"overlays": chosen.overlay}}))
        call("serflow", "plan")
        began = time.time()
        call("dvc", "repro")
        whole = time.time() - began
        jobs = [json.loads(record.read_text()) for record in (clone / ".snakemake" / "metadata").iterdir()]
        stages = len(yaml.safe_load((clone / "dvc.lock").read_text())["stages"])
    busy = union((job["starttime"], job["endtime"]) for job in jobs)
    print(f"{len({str(job['log']) for job in jobs})} jobs in {stages} stages")
    print(f"dvc repro: {whole:.1f} s; some job running: {busy:.1f} s; overhead {100 * (whole / busy - 1):.1f} %")


def union(intervals):
    """Length of what `intervals`, pairs of begin and end, cover together."""
    total, reached = 0.0, float("-inf")
    for begin, end in sorted(intervals):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total


if __name__ == "__main__":
    main()
