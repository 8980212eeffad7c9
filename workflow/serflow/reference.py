"""config/README.md: every key of the configuration, and every file that it can name, as each describes itself."""

import ast
import inspect
import json
from collections.abc import Collection, Iterator
from pathlib import Path

import yaml

from serflow.config import schema
from serflow.corpora import adapter, adapters
from serflow.heads import heads
from serflow.models import Model, models
from serflow.registry import Option, assigned

LIBRARY = Path(__file__).parent


def reference() -> str:
    """The page, in Markdown, of which no `<name>` is taken for a tag."""
    return "".join(_plain(line) + "\n" for line in _lines())


def _lines() -> list[str]:
    lines = [
        "# Configuration",
        "",
        "`config.yaml` is the demo. `--configfile config/<corpus>.yaml` lays an overlay over it, in which only",
        "differences stand, and `--config root=<folder>` names the corpus' folder. Unknown keys are refused.",
        "`<name>` is a name that you choose. This page is made from `workflow/schemas/config.schema.yaml` and from",
        "what can be named, by `.venv/bin/python -m serflow.reference > config/README.md`.",
        "",
        "| key | default | meaning |",
        "|---|---|---|",
        *_keys(schema(), ""),
    ]
    for title, told, rows in (
        ("Encoders", "Files of `workflow/serflow/models/`, their options with defaults.", _models("encoder")),
        ("Networks of intensity", "Files there, too: methods of intensity that learn.", _models("network")),
        ("Heads", "Files of `workflow/serflow/heads/`, their options with defaults.", _heads()),
        ("Adapters", "Files of `workflow/serflow/corpora/`, their options with defaults.", _adapters()),
    ):
        lines += ["", f"## {title}", "", told, "", "| name | what it is | options |", "|---|---|---|", *rows]
    return lines


def _plain(line: str) -> str:
    """Without what would be a tag outside of code."""
    return "`".join(text.replace("<", "&lt;") if i % 2 == 0 else text for i, text in enumerate(line.split("`")))


def _keys(description: dict, prefix: str) -> Iterator[str]:
    for key, inner in description.get("properties", {}).items():
        named = isinstance(inner.get("additionalProperties"), dict) and "properties" in inner["additionalProperties"]
        default = json.dumps(inner["default"]) if "default" in inner and inner["default"] != {} else ""
        required = " (required)" if key in description.get("required", ()) else ""
        values = ", ".join(yaml.safe_dump(value).split()[0] for value in inner.get("enum", ()))
        text = inner["description"] + (f" One of {values}." if values else "")
        yield f"| `{prefix}{key}` | {f'`{default}`' if default else ''} | {text}{required} |"
        yield from _keys(inner, f"{prefix}{key}.")
        if named:
            yield from _keys(inner["additionalProperties"], f"{prefix}{key}.<name>.")


def _models(kind: str) -> Iterator[str]:
    for name, model in models(kind).items():
        file = _file("models", name)
        own = next((node for node in _classes(file) if node.name.endswith("Config")), None)
        yield f"| `{name}` | {_summary(file)} {_guessed(model)} | {_options(model.options, own, model.sizes)} |"


def _guessed(model: Model) -> str:
    """What it reads, and what its pretraining takes."""
    told = f"Reads {model.reads}" + ("; its tokens are segments" if model.in_segments else "")
    if model.kind == "encoder" and model.objective:
        takes = [f"`{key}`{' (required)' if needed else ''}" for key, needed in model.takes.items()]
        told += f"; pretraining guesses {model.objective} and takes {', '.join(takes)}"
    return told + "."


def _heads() -> Iterator[str]:
    for name, head in heads().items():
        file = _file("heads", name)
        own = [line for node in _classes(file) if node.name == assigned(file)["HEAD"] for line in node.body]
        made = next((line for line in own if isinstance(line, ast.FunctionDef) and line.name == "__init__"), None)
        yield f"| `{name}` | {_summary(file)} | {_options(head.options, made)} |"


def _adapters() -> Iterator[str]:
    for name in adapters():
        _, *taken = inspect.signature(adapter(name).scan).parameters.values()  # the first is the corpus' folder
        told = [
            f"`{one.name}`" + ("" if one.default is one.empty else f": {json.dumps(one.default)}") for one in taken
        ]
        yield f"| `{name}` | {_summary(_file('corpora', name))} | {'; '.join(told)} |"


def _options(options: dict[str, Option], described: ast.AST | None, sizes: Collection = ()) -> str:
    """Their names, values and defaults, and what the docstring of who takes them says."""
    told = [f"`size`: {', '.join(sizes)}"] if sizes else []
    told += [f"`{name}`: {_values(option)}" for name, option in options.items()]
    docstring = described and ast.get_docstring(described)
    return ". ".join(filter(None, ["; ".join(told), " ".join((docstring or "").split())]))


def _values(option: Option) -> str:
    """The default, and, where there is a choice, between what."""
    kinds = option.schema.get("anyOf", [option.schema])
    choice = ", ".join(str(value) for kind in kinds for value in kind.get("enum", ()))
    return f"{json.dumps(option.default)}{f' (of {choice})' if choice else ''}"


def _summary(file: Path) -> str:
    """The first sentence of a file's docstring."""
    text = " ".join((ast.get_docstring(_tree(file)) or "").split())
    end = text.replace("et al. ", "et al, ").find(". ")
    return text if end < 0 else text[: end + 1]


def _classes(file: Path) -> list[ast.ClassDef]:
    return [node for node in _tree(file).body if isinstance(node, ast.ClassDef)]


def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_bytes())


def _file(room: str, name: str) -> Path:
    return LIBRARY / room / f"{name.replace('-', '_')}.py"


if __name__ == "__main__":
    print(reference(), end="")
