"""A stranger's paper is two files and a configuration block, and no one else's results are touched."""

import contextlib
import os
import shutil
import subprocess
import sys

import pandas as pd

MODEL = '''"""Every second frame through one layer."""

from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from serflow.models.outputs import EncoderFrames, valid_frames

READS, STACK, OBJECTIVE = "fbank", 2, None


class ToyConfig(PreTrainedConfig):
    model_type = "toy"
    hidden_size: int = 16
    num_hidden_layers = 0


class Toy(PreTrainedModel):
    config_class = ToyConfig

    def __init__(self, config):
        super().__init__(config)
        self.layer = nn.Linear(80, config.hidden_size)
        self.post_init()

    def forward(self, input_values, lengths=None, last_layer=None):
        lengths, _ = valid_frames(input_values, lengths)
        return EncoderFrames(hidden_states=(self.layer(input_values[:, 1::2]),), lengths=lengths // 2)


ENCODER = Toy
'''
HEAD = '''"""The loudest moment of each feature, and who speaks as a second task."""

import torch
from torch import nn

from serflow.heads import HeadOutput

NEEDS = {"speaker": "speaker_weight"}


class Loudest(nn.Module):
    def __init__(self, width, classes, *, speaker_weight: float = 0.1):
        super().__init__()
        self.weight, self.emotion, self.voice = speaker_weight, nn.Linear(width, len(classes)), nn.Linear(width, 4)

    def forward(self, frames, valid, emotions=None, speaker=None):
        loudest = frames.masked_fill(~valid[..., None], -1e4).amax(1)
        logits, terms = self.emotion(loudest), {}
        if emotions is not None:
            terms["emotion"] = nn.functional.cross_entropy(logits, emotions)
            voices = self.voice(loudest)
            same = (speaker[:, None] == speaker).float()
            terms["speaker"] = self.weight * nn.functional.binary_cross_entropy_with_logits(voices @ voices.T, same)
        return HeadOutput(logits, sum(terms.values()) if terms else None, terms)


HEAD = Loudest
'''
PAPER = {
    "encoders": {"toy": {"model": "toy", "options": {"hidden_size": 8}}},
    "systems": {"loud": {"title": "Toy", "method": "classifier", "encoder": "toy", "head": "loudest"}},
    "tables": {"sixth": {"title": "A sixth paper", "rows": {"majority": None, "loud": "majority"}}},
}


@contextlib.contextmanager
def added(folder, files):
    try:
        for path, text in files.items():
            (folder / path).write_text(text)
        yield
    finally:
        for path in files:
            (folder / path).unlink()
        for path in [*folder.glob("../../results/demo/tables/sixth*"), folder / "../../results/demo/systems/loud"]:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def contents(folder):
    """{path: bytes} of its code."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}


def test_two_files_and_a_block_make_a_table_and_rerun_nothing_else(finished):
    project, _ = finished
    workflow = project.folder / "workflow"
    library, files, tables = workflow / "serflow", contents(workflow), project.tables()
    with added(library, {"models/toy.py": MODEL, "heads/loudest.py": HEAD}):
        more = contents(workflow)
        assert len(more) == len(files) + 2 and more.items() >= files.items()
        assert project.planned() == {}
        asked = project.planned(**PAPER)
        assert asked["finetune"] == 2
        # What is said of the frames of splices, and in other sound, is asked of every system of a fold in one job.
        evaluation = {
            "planned",
            "table",
            "cards",
            "figures",
            "splice_frames",
            "frames_table",
            "stress",
            "stress_table",
        }
        assert set(asked) <= {"finetune", *evaluation, "configuration", "all"}
        code, printed = project.run("--", "results/demo/tables/sixth.csv", **PAPER)
        assert code == 0, printed
        history = pd.read_csv(project.folder / "results/demo/systems/loud/fold-0/seed-0/model/history.csv")
        assert {"train loss", "train emotion", "train speaker"} <= set(history.quantity)
        table = pd.read_csv(project.folder / "results/demo/tables/sixth.csv")
        assert set(table.system) == {"majority", "loud"}
        assert project.tables().items() >= tables.items()
        assert contents(workflow) == more
        page = [sys.executable, "-m", "serflow.reference"]
        page = subprocess.check_output(page, env={**os.environ, "PYTHONPATH": str(workflow)}, text=True)
        assert "| `toy` | Every second frame through one layer. Reads fbank. | `hidden_size`: 16 |" in page
        assert "who speaks as a second task. | `speaker_weight`: 0.1 |" in page
    assert project.planned() == {}
