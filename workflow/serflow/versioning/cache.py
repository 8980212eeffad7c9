"""DVC's cache: whether its files are what their names say, which DVC itself believes of a file it has protected, and
whether what they list stays in its folder. A remote is not trusted: nothing of it is checked out before that.
"""

import hashlib
import json
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator

from serflow.errors import UserError
from serflow.progress import track
from serflow.versioning.stages import watched

MD5 = r"\A[0-9a-f]{32}\Z"
BELOW = r"\A((?!\.{1,2}(/|\Z))[^/\\\0]+(/(?!\Z)|\Z))+\Z"  # a path with neither `..` nor a root
LISTING = Draft202012Validator(  # what a `.dir` file says of a folder
    {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["md5", "relpath"],
            "properties": {
                "md5": {"type": "string", "pattern": MD5},
                "relpath": {"type": "string", "pattern": BELOW},
            },
        },
    }
)
OUT = Draft202012Validator(  # what dvc.lock says of an output
    {
        "type": "object",
        "required": ["path", "md5"],
        "properties": {
            "path": {"type": "string", "allOf": [{"pattern": r"\Aresults/"}, {"pattern": BELOW}]},
            "md5": {"type": "string", "pattern": MD5.replace(r"\Z", r"(\.dir)?\Z")},
        },
    }
)


def recorded() -> dict[str, str]:
    """{MD5: path} of the outputs that dvc.lock records, `<MD5>.dir` for folders. UserError for one that is not below
    results/, or that a link there leads away."""
    try:
        stages = yaml.safe_load(Path("dvc.lock").read_text(encoding="utf-8"))["stages"]
        outs = [out for stage in stages.values() for out in stage.get("outs", [])]
    except (OSError, ValueError, KeyError, AttributeError, TypeError, yaml.YAMLError) as error:
        raise UserError("dvc.lock cannot be read: git checkout dvc.lock") from error
    home = Path("results").resolve()  # which may be a link to a larger disk
    for out in outs:
        if not OUT.is_valid(out):
            raise UserError(f"dvc.lock records {json.dumps(out)}, no MD5 of a path below results/: restore dvc.lock.")
        if not Path(out["path"]).resolve().is_relative_to(home):
            raise UserError(f"{out['path']} lies outside of results/, behind a link: remove the link.")
        watched(out["path"])
    return {out["md5"]: out["path"] for out in outs}


def fetch_listings(folder: Path) -> None:
    """Bring the listings that the cache `folder` lacks from the remote, and nothing of what they list. UserError."""
    from dvc.repo import Repo
    from dvc_data.hashfile.hash_info import HashInfo

    lacking = [md5 for md5 in recorded() if md5.endswith(".dir") and not _file(folder, md5).is_file()]
    try:
        with Repo() as repo:
            repo.cloud.pull([HashInfo("md5", md5) for md5 in lacking])
    except Exception as error:  # noqa: BLE001 every kind of remote has its own
        told = " ".join(str(error).split())
        raise UserError(f"DVC's remote cannot be read ({told}): mend it, or name another by dvc remote.") from error


def lacks(folder: Path) -> bool:
    """Whether the cache `folder` lacks some of what dvc.lock records."""
    return not all(_file(folder, md5).is_file() for md5 in _contents(folder))


def damaged(folder: Path, listings: bool = False) -> dict[str, str]:
    """{cache file below `folder`: what it holds, as far as dvc.lock tells} of files whose MD5 is not their name, and
    of listings of what lies elsewhere. With `listings` only these are looked at."""
    files = sorted((folder / "files" / "md5").glob("??/*.dir" if listings else "??/*"))
    wrong = [file for file in track(files, len(files), "checking cache") if not _is_whole(file)]
    known = _contents(folder) if wrong else {}
    return {str(file): known.get(file.parent.name + file.name, "an earlier version") for file in wrong}


def _file(folder, md5):
    return folder / "files" / "md5" / md5[:2] / md5[2:]


def _is_whole(file):
    with file.open("rb") as content:
        if file.parent.name + file.stem != hashlib.file_digest(content, "md5").hexdigest():
            return False
    return file.suffix != ".dir" or _listed(file) is not None


def _listed(file):
    """The entries of a listing; None where it is none, or lists what would lie elsewhere."""
    try:
        entries = json.loads(file.read_bytes())
    except (ValueError, RecursionError):
        return None
    return entries if LISTING.is_valid(entries) else None


def _contents(folder):
    """{MD5 as the cache has it: path} of all that dvc.lock records, files in folders too."""
    known = recorded()
    for md5, path in list(known.items()):
        listing = _file(folder, md5)
        if md5.endswith(".dir") and listing.is_file() and _is_whole(listing):
            known |= {entry["md5"]: f"{path}/{entry['relpath']}" for entry in _listed(listing)}
    return known
