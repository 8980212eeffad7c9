"""Files that are found by their names, and what they say of themselves: read from their text, so that planning knows
models and heads without importing torch."""

import ast
import difflib
import json
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from serflow.errors import UserError

LIBRARY = Path(__file__).parent
TYPES = {
    "int": "integer", "float": "number", "bool": "boolean", "str": "string", "tuple": "array", "list": "array",
    "dict": "object",
}  # fmt: skip


LARGEST_SIZE = 10_000  # of a model in any direction: what is beyond fills every memory before it fails
LARGEST = 10**9  # no setting needs more, and FAISS' seeds and counts end at twice that


def _typed(validator, types, value, schema):
    """Stricter than JSON Schema, for which 2.0 is an integer and NaN a number."""
    yield from Draft202012Validator.VALIDATORS["type"](validator, types, value, schema)
    whole = "integer" in types and "number" not in types
    if isinstance(value, float) and (whole or not abs(value) <= LARGEST):
        yield ValidationError(f"{value} is not of type 'integer'" if whole else f"{value} is no size")
    if isinstance(value, int) and abs(value) > LARGEST:
        yield ValidationError(f"{value} is beyond {LARGEST}")
    if isinstance(value, str) and not _is_plain(value):
        yield ValidationError(f"{value!r} has characters that no file can be named with")


def _is_plain(text):
    """Whether `text` is Unicode that a file or its name can hold."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


Validator = extend(Draft202012Validator, {"type": _typed})


@dataclass(frozen=True)
class Option:
    """`default`, and the JSON `schema` of what may stand in its place."""

    default: object
    schema: dict

    def told(self) -> str:
        """In words, what may stand there."""
        kinds = self.schema.get("anyOf", [self.schema])
        return "it is " + " or ".join(
            ", ".join(map(str, kind["enum"])) if "enum" in kind else _described(kind) for kind in kinds
        )


def _described(kind):
    limits = f" from {kind['minimum']} to {kind['maximum']}" if "maximum" in kind else ""
    return f"of type {kind['type']}{limits}"


def chosen(name: object, known: dict, what: str) -> object:
    """`known[name]`; UserError with the hint of a close name, as in "`what` '<name>': did you mean ...?"."""
    if name in known:
        return known[name]
    raise UserError(f"{what} '{name}': {hint(name, known)}")


def hint(name: object, known: Collection) -> str:
    """What may have been meant by `name`."""
    close = difflib.get_close_matches(str(name), map(str, known), n=1)
    return f"did you mean '{close[0]}'?" if close else f"known are {', '.join(map(str, known)) or 'none'}."


def constants(file: Path, names: Collection[str]) -> dict:
    """{name: value} of the literals that a file assigns to `names`, one by one or as a tuple, or takes from another
    file of the library."""
    found = {}
    for other, imported in _library_imports(file):
        found |= constants(other, set(imported) & set(names)) if set(imported) & set(names) else {}
    for targets, value in _assignments(file):
        if set(targets) & set(names):
            values = ast.literal_eval(value)
            found |= dict(zip(targets, values if len(targets) > 1 else [values], strict=True))
    return found


def assigned(file: Path) -> dict[str, str]:
    """{name: name of what is assigned to it} of a file's aliases, as in `ENCODER = NpcModel`."""
    found = {}
    for targets, value in _assignments(file):
        values = value.elts if isinstance(value, ast.Tuple) else [value]
        if len(values) == len(targets):
            found |= {name: one.id for name, one in zip(targets, values, strict=True) if isinstance(one, ast.Name)}
    return found


def fields(file: Path, ending: str) -> dict[str, Option]:
    """{name: Option} of the annotated literals in the classes whose name ends so, and in those of the library under
    them."""
    classes = [node for node in _tree(file).body if isinstance(node, ast.ClassDef) and node.name.endswith(ending)]
    bases = {base.id for node in classes for base in node.bases if isinstance(base, ast.Name)}
    files = [other for other, imported in _library_imports(file) if bases & set(imported)]
    found = {name: option for base in files for name, option in fields(base, ending).items()}
    lines = [line for node in classes for line in node.body if isinstance(line, ast.AnnAssign)]
    return found | {line.target.id: Option(ast.literal_eval(line.value), _schema(line.annotation)) for line in lines}


def keywords(file: Path, name: str) -> dict[str, Option]:
    """{name: Option} of the keyword-only arguments of `__init__` of the class `name`."""
    (owner,) = (node for node in _tree(file).body if isinstance(node, ast.ClassDef) and node.name == name)
    made = next(node for node in owner.body if isinstance(node, ast.FunctionDef) and node.name == "__init__")
    pairs = zip(made.args.kwonlyargs, made.args.kw_defaults, strict=True)
    return {one.arg: Option(ast.literal_eval(default), _schema(one.annotation)) for one, default in pairs}


def check(values: dict, options: dict[str, Option], whose: str) -> None:
    """UserError, naming `whose` they are, where one of `values` is no option, or not of its type."""
    for name, value in values.items():
        option = chosen(name, options, f"{whose} has no option")
        error = next(Validator(option.schema).iter_errors(value), None)
        if error is not None:
            raise UserError(f"{whose} cannot have {name} {json.dumps(value)}: {option.told()}.")


def _schema(annotation):
    """The JSON schema of a type annotation."""
    if isinstance(annotation, ast.BinOp):
        return {"anyOf": [_schema(annotation.left), _schema(annotation.right)]}
    if isinstance(annotation, ast.Subscript):  # Literal[...]
        values = ast.literal_eval(annotation.slice)
        return {"enum": list(values) if isinstance(values, tuple) else [values]}
    if isinstance(annotation, ast.Name) and annotation.id == "int":
        return {"type": "integer", "minimum": 0, "maximum": LARGEST_SIZE}
    return {"type": TYPES[annotation.id] if isinstance(annotation, ast.Name) else "null"}


def _library_imports(file):
    """(file, names) of what a file takes from other files of the library by name."""
    for node in _tree(file).body:
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("serflow."):
            other = LIBRARY.joinpath(*node.module.split(".")[1:]).with_suffix(".py")
            if other.is_file():
                yield other, [alias.name for alias in node.names]


def _assignments(file):
    for node in _tree(file).body:
        if isinstance(node, ast.Assign):
            target = node.targets[0]
            elements = target.elts if isinstance(target, ast.Tuple) else [target]
            yield [element.id for element in elements if isinstance(element, ast.Name)], node.value


@cache
def _tree(file):
    try:
        return ast.parse(file.read_bytes())
    except SyntaxError as error:
        raise UserError(f"{file} has a syntax error in line {error.lineno}: mend it.") from error
