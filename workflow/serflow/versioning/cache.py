"""DVC's cache: whether its files are what their names say, which DVC itself believes of a file it has protected."""

import hashlib
import json
from pathlib import Path

import yaml

from serflow.errors import UserError
from serflow.progress import track


def damaged(folder: Path) -> dict[str, str]:
    """{cache file below `folder`: what it holds, as far as dvc.lock tells} of files whose MD5 is not their name."""
    files = sorted((folder / "files" / "md5").glob("??/*"))
    wrong = [file for file in track(files, len(files), "checking cache") if not _is_its_name(file)]
    artifacts = _artifacts(folder) if wrong else {}
    return {str(file): artifacts.get(_name(file), "an earlier version") for file in wrong}


def _name(file):
    return file.parent.name + file.name


def _is_its_name(file):
    with file.open("rb") as content:
        return hashlib.file_digest(content, "md5").hexdigest() == _name(file).removesuffix(".dir")


def _artifacts(folder):
    """{MD5 as the cache has it: path} of all that dvc.lock records, files in folders too."""
    try:
        stages = yaml.safe_load(Path("dvc.lock").read_text(encoding="utf-8")).get("stages", {})
    except (ValueError, AttributeError, yaml.YAMLError) as error:
        raise UserError("dvc.lock cannot be read: git checkout dvc.lock") from error
    known = {out["md5"]: out["path"] for stage in stages.values() for out in stage.get("outs", [])}
    for md5, path in list(known.items()):
        listing = folder / "files" / "md5" / md5[:2] / md5[2:]
        if md5.endswith(".dir") and listing.is_file() and _is_its_name(listing):
            known |= {entry["md5"]: f"{path}/{entry['relpath']}" for entry in json.loads(listing.read_bytes())}
    return known
