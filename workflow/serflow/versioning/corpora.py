"""The corpora that DVC versions."""

from pathlib import Path

import yaml

from serflow.errors import UserError
from serflow.yaml_files import read_yaml

FILE = Path("config/corpora.yaml")
KEYS = {"overlays": [], "root": None, "push_audio": False}


def corpora() -> dict[str, dict]:
    """{corpus: {overlays: configuration files, root: its folder, push_audio: whether remotes get its speech}}."""
    listed = read_yaml(FILE)
    if not isinstance(listed, dict) or not listed:
        raise UserError(f"{FILE} names no corpus: write a line such as demo: {{overlays: [config/ems.yaml]}}")
    return {str(name): _checked(name, entry) for name, entry in listed.items()}


def _checked(name, entry):
    if "." in str(name):
        raise UserError(f"{FILE}: {name} has a dot, which DVC takes for a key in a key: name it otherwise.")
    entry = {} if entry is None else entry
    if not isinstance(entry, dict) or not set(entry) <= set(KEYS):
        raise UserError(f"{FILE}: {name} takes the keys {', '.join(KEYS)}, nothing else: mend it.")
    entry = KEYS | entry
    if not isinstance(entry["push_audio"], bool):
        raise UserError(f"{FILE}: {name}.push_audio is neither true nor false: mend it.")
    if not isinstance(entry["root"], str | None):
        raise UserError(f"{FILE}: {name}.root is no folder's name: mend it.")
    if entry["root"] and not _plain(entry["root"]):
        raise UserError(f"{FILE}: {name}.root is {entry['root']}, which YAML takes for no text: name it otherwise.")
    if not isinstance(entry["overlays"], list):
        raise UserError(f"{FILE}: {name}.overlays is no list of files: mend it.")
    for file in entry["overlays"]:
        if not isinstance(file, str) or not Path(file).is_file():
            raise UserError(f"{FILE}: {name} names the overlay {file}, which is no file: mend it.")
        if not isinstance(read_yaml(file), dict):
            raise UserError(f"{file} holds no keys: write a line such as seeds: [0, 1], or do not list it.")
    return entry


def _plain(root):
    """Whether Snakemake will read `--config root=<root>` as it stands here."""
    try:
        return yaml.safe_load(root) == root
    except yaml.YAMLError:
        return False
