"""YAML files as people write them: what is wrong with one is told by its name and line."""

from pathlib import Path

import yaml

from serflow.errors import UserError


class _Loader(yaml.SafeLoader):
    """Refuses a key that is given twice, of which YAML's other loaders take the last without a word."""

    def construct_mapping(self, node, deep=False) -> dict:
        given = {}
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            mark = given.setdefault(
                (key.tag, key.value if isinstance(key, yaml.ScalarNode) else id(key)), key.start_mark
            )
            if mark is not key.start_mark:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key.value} is also in line {mark.line + 1}", problem_mark=key.start_mark
                )
        return super().construct_mapping(node, deep)


def read_yaml(path: str | Path) -> object:
    """What a file in UTF-8 says. UserError for one that is not there, no YAML, that gives a key twice, or that is a
    template, which Snakemake would run.
    """
    try:
        said = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 (a safe loader)
    except UnicodeDecodeError as error:
        line = 1 + error.object.count(b"\n", 0, error.start)
        raise UserError(f"{path}, line {line} is not UTF-8: save the file in this encoding.") from error
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        told = getattr(error, "problem", None) or getattr(error, "strerror", None) or error
        raise UserError(f"{path}{line} cannot be read ({' '.join(str(told).split())}): mend it.") from error
    if isinstance(said, dict) and "__use_yte__" in said:
        raise UserError(f"{path} is a template (__use_yte__), whose code would be run: write what it stands for.")
    return said
