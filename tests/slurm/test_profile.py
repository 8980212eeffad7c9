"""The profile that ships loads where Snakemake knows SLURM, and submits all that there is."""

import os
import re
import subprocess
import sys
import time

import pytest
from tests.conftest import PROJECT

MANY = 250  # jobs of an array
ARRAY = """
rule all:
    input: expand("made/{n}", n=range(%d))
rule cluster:
    output: "made/{n}"
    shell: "touch {output}"
"""


@pytest.mark.parametrize("option", ["--profile", "--workflow-profile"])
def test_the_profile_of_a_cluster_loads(checkout, option):
    code, printed = checkout.run("--dry-run", "--quiet", "rules", option, "profiles/slurm")
    assert code == 0, printed
    assert "finetune" in printed and "This was a dry-run" in printed


def test_no_job_is_left_out_of_an_array(tmp_path):
    """More are ready at once than Snakemake would choose in a second; the plugin forgets what it has for too few."""
    (tmp_path / "Snakefile").write_text(ARRAY % MANY)
    answers = {"sbatch": f'echo "$@" >> {tmp_path}/submitted; echo 1', "sinfo": "echo PARTITION; echo 'main*'"}
    for name in ("sbatch", "sinfo", "squeue", "sacct", "scontrol", "scancel"):
        (tmp_path / name).write_text(f"#!/bin/sh\n{answers.get(name, '')}\n")
        (tmp_path / name).chmod(0o755)
    command = (sys.executable, "-m", "snakemake", "--workflow-profile", PROJECT / "profiles" / "slurm")
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    with (tmp_path / "printed.txt").open("w") as printed:
        run = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=printed, stderr=printed)
    told, deadline, submitted = tmp_path / "submitted", time.monotonic() + 60, 0
    try:
        while submitted < MANY and run.poll() is None and time.monotonic() < deadline:
            time.sleep(0.5)
            arrays = re.findall(r"--array=(\d+)-(\d+)", told.read_text() if told.exists() else "")
            submitted = sum(int(last) - int(first) + 1 for first, last in arrays)
    finally:
        run.kill()
        run.wait()
    assert submitted == MANY, (tmp_path / "printed.txt").read_text()
