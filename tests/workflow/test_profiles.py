"""Conda's environments are planned with, and planning stays small however much there is to do."""

import ast
import json
import os
import re
import shutil
import sys
from importlib.util import find_spec

import pytest
import yaml
from tests.conftest import PROJECT

BENCHMARKS = str(PROJECT / "benchmarks")


# What Snakemake asks conda before it plans. It can be installed from no registry that the gate has, so where there is
# none this answers, and what is tested is Snakemake's side: every rule's environment is found, read and named.
CONDA = """#!/bin/sh
case "$*" in
"info --json") echo '{"conda_prefix": "/opt/conda", "platform": "linux-64"}' ;;
"--version") echo "conda 25.7.0" ;;
"config --get channel_priority --json") echo '{"get": {"channel_priority": "strict"}}' ;;
*) exit 1 ;;
esac
"""


def test_a_run_with_conda_is_planned(checkout, tmp_path, monkeypatch):
    if not shutil.which("conda"):
        (tmp_path / "conda").write_text(CONDA)
        (tmp_path / "conda").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    code, printed = checkout.run("--dry-run", "--use-conda", "--quiet", "rules")
    assert code == 0, printed
    for path in (PROJECT / "envs").glob("*.yaml"):
        assert f"Conda environment envs/{path.name} will be created." in printed
    assert "This was a dry-run" in printed


@pytest.mark.skipif(bool(find_spec("snakemake_executor_plugin_slurm")), reason="make slurm was run here")
def test_no_slurm_is_asked_for_unless_wanted(checkout, tmp_path, monkeypatch):
    (tmp_path / "scontrol").write_text(f"#!/bin/sh\ntouch {tmp_path}/called\n")
    (tmp_path / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert checkout.run("--version")[0] == 0 and not (tmp_path / "called").exists()


def test_a_thousand_jobs_are_planned_without_reading_audio(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from planning import planned

    count, _, computing, gigabytes = planned(1000)  # of a corpus whose files are empty
    assert count > 900 and computing < 30 and gigabytes < 1


def test_the_scale_page_is_what_was_measured_and_is_planned(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from scale import FILE, page

    written = (PROJECT / "docs" / "scale.md").read_text()
    assert written == page(json.loads(FILE.read_text())), "run: python benchmarks/scale.py > docs/scale.md"
    told = re.search(r"\| all \| (\d+) \| (\d+) \|", written)
    assert "has {} jobs and takes {} submissions".format(*told.groups()) in (PROJECT / "README.md").read_text()


def test_what_computes_on_gpus_asks_a_cluster_for_one():
    told = re.search(r"^ON_GPUS = (\(.+\))", (PROJECT / "workflow" / "scripts" / "job.py").read_text(), re.MULTILINE)
    profile = yaml.safe_load((PROJECT / "profiles" / "slurm" / "config.yaml").read_text())
    asking = {rule for rule, resources in profile["set-resources"].items() if resources.get("gpu")}
    assert asking == set(ast.literal_eval(told[1]))


def test_the_cluster_to_try_says_what_it_lacks(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(PROJECT / "profiles" / "slurm"))
    import two_nodes

    monkeypatch.setattr(two_nodes, "_found", lambda program: None if program == "slurmd" else program)
    with pytest.raises(SystemExit, match="two_nodes: there is no slurmd: apt-get install slurm-wlm munge"):
        two_nodes.main([sys.executable])
    monkeypatch.setattr(two_nodes, "_found", str)
    monkeypatch.setattr(two_nodes.os, "geteuid", lambda: 1000)
    with pytest.raises(SystemExit, match="only root can run a SLURM of its own"):
        two_nodes.main([sys.executable])
