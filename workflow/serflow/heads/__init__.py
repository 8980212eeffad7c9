"""Heads: from the frames of an encoder to emotions. A new head is one new file here, found by its
name. docs/methods.md tells what in each is ours.

A head is a `torch.nn.Module`, the file's `HEAD`, made with the width of a frame, the names of the classes and its
options, the annotated keyword-only arguments of its `__init__`; what else a saved one must know of itself it has as
`kept`, {argument: value}. It is called with frames `[B, T, D]` and which of them are valid (bool `[B, T]`); in
training, and only then, with the class numbers `emotions` `[B]` as well and, by their names, with batch columns (see
serflow.batches.COLUMNS). It returns a `HeadOutput`.

What planning needs of it stands at the top of its file, in literals that are read without importing torch:

NEEDS      batch column -> the option that wants it
FIXED      arguments of `__init__` that no option may set
FOLDERS    options that name another model, by its folder or hub id; None is one of random weights
PROMPTS    the option that has what stands for each class, {class: texts}, of a head that may be asked for others
UNDER      option -> the one without which it changes nothing
"""

import importlib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from serflow import registry


@dataclass(frozen=True)
class Head:
    """What a file of this package says of its head: see above. `options`: name -> `registry.Option`."""

    name: str
    columns: dict
    folders: tuple
    prompts: str | None
    under: dict
    options: dict

    @property
    def module(self) -> str:
        return f"{__name__}.{self.name.replace('-', '_')}"

    def needs(self, options: dict) -> list[str]:
        """The batch columns that a head with these `options` needs."""
        given = {name: option.default for name, option in self.options.items()} | options
        return [column for column, option in self.columns.items() if given[option]]


@dataclass
class HeadOutput:
    """`logits` `[B, classes]`; in training `loss`, scalar, and what it is made of, named `terms`; where the head has
    such, `frame_weights` `[B, T]`, each frame's share of the utterance, and `vectors`, {name: `[B, D]`}."""

    logits: object
    loss: object = None
    terms: dict = field(default_factory=dict)
    frame_weights: object = None
    vectors: dict = field(default_factory=dict)


@cache
def heads() -> dict[str, Head]:
    """{name: Head} of every file here that is one."""
    files = [file for file in sorted(Path(__file__).parent.glob("*.py")) if "HEAD" in registry.assigned(file)]
    return {head.name: head for head in map(_described, files)}


def described(name: str) -> Head:
    """The `Head` called `name`. Raises UserError."""
    return registry.chosen(name, heads(), "There is no head")


def check_options(name: str, options: dict) -> None:
    """UserError where `options` has one that the head `name` does not take, or that is not of its type."""
    registry.check(options, described(name).options, f"Head {name}")


def head_class(name: str) -> type:
    """The class of the head `name`."""
    return importlib.import_module(described(name).module).HEAD


def _described(file):
    told = {"NEEDS": {}, "FIXED": (), "FOLDERS": (), "PROMPTS": None, "UNDER": {}}
    told |= registry.constants(file, told)
    fixed, options = told.pop("FIXED"), registry.keywords(file, registry.assigned(file)["HEAD"])
    options = {name: option for name, option in options.items() if name not in fixed}
    return Head(file.stem.replace("_", "-"), *told.values(), options)
