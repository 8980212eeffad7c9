"""How long Snakemake plans 100, 1,000 and 10,000 jobs, and what memory that takes: `snakemake --dry-run` of FLEA and
its baselines on a made-up corpus, whose files are empty, for planning reads no audio.

Run, with the environment active: python benchmarks/planning.py [JOBS ...]
"""

import argparse
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import psutil
import yaml

PROJECT = Path(__file__).parents[1]
FOLDS, UTTERANCES = 10, 10_000
PER_SEED = 14 * FOLDS  # about how many jobs a chain has


def main():
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("jobs", nargs="*", type=int, default=[100, 1000, 10_000])
    for jobs in parser.parse_args().jobs:
        told = "{:6d} jobs: {:.1f} s, of which {:.1f} s computing, {:.2f} GB"
        print(told.format(*planned(jobs)), flush=True)


def planned(jobs):
    """(jobs, seconds, seconds on a core, GB at most) of a plan of about so many jobs."""
    with tempfile.TemporaryDirectory() as temporary:
        root, overlay = Path(temporary, "corpus"), Path(temporary, "overlay.yaml")
        make_corpus(root)
        folds = FOLDS if jobs >= PER_SEED else 3
        overlay.write_text(
            yaml.safe_dump(
                {
                    "corpus": {"name": "planned", "adapter": "table"},
                    "root": str(root),
                    "folds": {"count": folds},
                    "seeds": list(range(max(1, round(jobs / PER_SEED)))),
                }
            )
        )
        for name in ("workflow", "config", "profiles", "envs", "Snakefile"):
            Path(temporary, name).symlink_to(PROJECT / name)
        printed, began = Path(temporary, "printed.txt"), time.monotonic()
        with printed.open("w") as file:
            options = "--dry-run", "--quiet", "rules", "--configfile", str(overlay)
            command = [sys.executable, "-m", "snakemake", *options]
            process = psutil.Popen(command, cwd=temporary, stdout=file, stderr=file)
            held = watched(process)
            _, status, used = os.wait4(process.pid, 0)
        seconds, text = time.monotonic() - began, printed.read_text()
        if status:
            raise SystemExit(text)
        count = re.findall(r"^total +(\d+)", text, re.MULTILINE)[-1]
        return int(count), seconds, used.ru_utime + used.ru_stime, held / 2**30


def watched(process):
    """The most bytes that a process has held, looked at twenty times a second, when it has ended. What the system
    counts would begin with what this process held when it started that one."""
    held = 0
    while process.status() != psutil.STATUS_ZOMBIE:
        held = max(held, process.memory_info().rss)
        time.sleep(0.05)
    return held


def make_corpus(root):
    """A folder of empty files with its table."""
    root.mkdir()
    rows = ["path,speaker,emotion"]
    for number in range(UTTERANCES):
        (root / f"{number}.wav").touch()
        rows.append(f"{number}.wav,{number % 50},{('anger', 'joy', 'neutral', 'sadness')[number % 4]}")
    (root / "labels.csv").write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
