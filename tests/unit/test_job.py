"""What a job says when it fails: one sentence where a user can mend it, else the end of its log."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from tests.conftest import PROJECT

from serflow.artifacts import forget_partial, replacing, write_parquet

JOB = """
import sys
from types import SimpleNamespace
sys.path[:0] = [{scripts!r}, {library!r}]
class Named(list):
    items = dict().items
class Params(dict):
    code = "c"
snakemake = SimpleNamespace(
    log=[{log!r}], wildcards=Named(), rule="a_rule", params=Params(), input={inputs!r}, output=[{output!r}],
)
from job import job
with job(snakemake):
    {body}
"""


def failed(folder, body, inputs=(), output="results/out"):
    """What a job that does `body` in `folder` tells the terminal."""
    told = {"scripts": str(PROJECT / "workflow/scripts"), "library": str(PROJECT / "workflow"), "log": "logs/a.log"}
    script = JOB.format(**told, inputs=list(map(str, inputs)), output=output, body=body)
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 1
    return done.stderr


def test_a_disk_that_is_full_is_told_whatever_a_library_made_of_it(tmp_path):
    mount, unmount, disk = shutil.which("mount"), shutil.which("umount"), tmp_path / "results"
    disk.mkdir()
    small = [mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk]
    if not mount or subprocess.run(small, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small disk to fill")
    body = "import torch; torch.save(torch.zeros(2**20), 'results/checkpoint.pt')"  # as Trainer saves its optimiser
    try:
        told = failed(tmp_path, body)
        assert told == (
            "serflow: results: No space left on device: free space or give rights there, then run again.\n"
        )
    finally:
        subprocess.run([unmount, disk], check=True)


def damaged(folder):
    frame = pd.DataFrame({"utterance": [f"u{n}" for n in range(999)]})
    write_parquet(folder / "a.parquet", frame)
    (folder / "a.json").write_text(json.dumps(list(range(99))))
    (folder / "a.csv").write_text("word\n" * 99)
    np.save(folder / "a.npy", np.arange(999))
    save_file({"a": torch.arange(999)}, folder / "a.safetensors")
    for path in folder.iterdir():
        os.truncate(path, path.stat().st_size // 2)
    return sorted(folder.iterdir())


def test_a_result_that_was_cut_is_named(tmp_path):
    whole = tmp_path / "whole.json"
    whole.write_text("[]")
    (tmp_path / "cut").mkdir()
    (tmp_path / "results").mkdir()
    for path in damaged(tmp_path / "cut"):
        told = failed(tmp_path, "raise ValueError('whatever')", [whole, path])
        assert told == f"serflow: {path} is damaged: delete it and run again.\n"
    told = failed(tmp_path, "raise ValueError('whatever')", [whole])
    assert told.startswith("serflow: a rule failed. The last lines of its log") and "ValueError: whatever" in told


def test_a_name_that_is_no_text_can_be_told(tmp_path):
    body = r"from serflow.errors import UserError; raise UserError('caf\udce9.wav: this\nname')"
    assert failed(tmp_path, body) == "serflow: caf\\udce9.wav: this name\n"


def test_what_killed_processes_left_goes_and_nothing_else(tmp_path):
    for name in ("a/.b.parquet.partial-7", "a/.c.partial-8/model", "a/.hidden", "a/b.partial-1"):
        Path(tmp_path, name).parent.mkdir(parents=True, exist_ok=True)
        Path(tmp_path, name).touch()
    forget_partial(tmp_path)
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [".hidden", "b.partial-1"]
    with replacing(tmp_path / "a" / "x") as temporary:
        temporary.touch()
        assert list(tmp_path.rglob(".*.partial-*")) == [temporary]  # the name that is looked for
