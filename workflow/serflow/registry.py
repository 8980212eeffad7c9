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
    return found | {line.target.id: _option(file, line, line.value, line.annotation) for line in lines}


def keywords(file: Path, name: str) -> dict[str, Option]:
    """{name: Option} of the keyword-only arguments of `__init__` of the class that `file` calls `name`, its own or
    that of the classes of the library under it."""
    for node in _tree(file).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            made = [one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"]
            if not made:
                bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
                return {name: option for base in bases for name, option in keywords(file, base).items()}
            pairs = zip(made[0].args.kwonlyargs, made[0].args.kw_defaults, strict=True)
            return {one.arg: _option(file, one, default, one.annotation) for one, default in pairs}
    others = [other for other, imported in _library_imports(file) if name in imported]
    return keywords(others[0], name) if others else {}


def check(values: dict, options: dict[str, Option], whose: str) -> None:
    """UserError, naming `whose` they are, where one of `values` is no option, or not of its type."""
    for name, value in values.items():
        option = chosen(name, options, f"{whose} has no option")
        error = next(Validator(option.schema).iter_errors(value), None)
        if error is not None:
            raise UserError(f"{whose} cannot have {name} {json.dumps(value)}: {option.told()}.")


def _option(file, line, default, annotation):
    try:
        return Option(ast.literal_eval(default), _schema(annotation))
    except (KeyError, ValueError) as error:
        raise UserError(
            f"{file}, line {line.lineno}: an option needs a literal as its default, and as its annotation one of "
            f"{', '.join(TYPES)}, Literal[...] or several of these and None, joined by |: mend it."
        ) from error


def _schema(annotation):
    """The JSON schema of a type annotation. KeyError and ValueError for one that is no option's."""
    if isinstance(annotation, ast.BinOp):
        return {"anyOf": [_schema(annotation.left), _schema(annotation.right)]}
    if isinstance(annotation, ast.Subscript) and getattr(annotation.value, "id", None) == "Literal":
        values = ast.literal_eval(annotation.slice)
        return {"enum": list(values) if isinstance(values, tuple) else [values]}
    if isinstance(annotation, ast.Name) and annotation.id == "int":
        return {"type": "integer", "minimum": 0, "maximum": LARGEST_SIZE}
    if isinstance(annotation, ast.Constant) and annotation.value is None:
        return {"type": "null"}
    if isinstance(annotation, ast.Name):
        return {"type": TYPES[annotation.id]}
    raise ValueError("no type of an option")


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
