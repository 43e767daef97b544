"""What a plan was made from, and for which cloud.

Terraform itself refuses only a plan whose state moved by serial: it applies an old plan silently when main.tf.json, the
module, a variable or a hand-edited state changed. So the hub compares before every apply.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from app.terraform.state import STATE_FILE

MAIN_TF = "main.tf.json"
LOCK_FILE = ".terraform.lock.hcl"
MODULE = "module"
FETCHED_MODULES = ".terraform/modules"
_BLOCK = 1024 * 1024

_WORDS = {
    "plan": "the plan file changed",
    "main_tf": "the configuration (main.tf.json) changed",
    "module": "the module's files changed",
    "lock": "the lock file of the providers changed",
    "state": "the Terraform state moved",
    "cloud": "the credential is of another cloud or project",
}


@dataclass(frozen=True)
class Fingerprint:
    """SHA-256, in hexadecimal, of each thing that a plan depends on; of nothing where a file is missing."""

    plan: str
    main_tf: str
    module: str
    lock: str
    state: str
    cloud: str

    def as_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Fingerprint:
        """Raises ValueError for what `as_json` did not write."""
        try:
            found = json.loads(text)
            return cls(**{each.name: str(found[each.name]) for each in fields(cls)})
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a fingerprint: {error!r}") from error


def take(folder: Path, plan_file: Path, cloud_identity: str, state: bytes | None = None) -> Fingerprint:
    """The fingerprint of a cluster's folder as it is now. `state`: where it is kept in no local file."""
    return Fingerprint(
        plan=_of_file(plan_file),
        main_tf=_of_file(folder / MAIN_TF),
        module=of_trees(folder / MODULE, folder / FETCHED_MODULES),
        lock=_of_file(folder / LOCK_FILE),
        state=_of_file(folder / STATE_FILE) if state is None else hashlib.sha256(state).hexdigest(),
        cloud=hashlib.sha256(cloud_identity.encode()).hexdigest(),
    )


def differences(old: Fingerprint, new: Fingerprint) -> list[str]:
    """What moved between the two, in words; empty where nothing did."""
    return [_WORDS[each.name] for each in fields(Fingerprint) if getattr(old, each.name) != getattr(new, each.name)]


def of_trees(*roots: Path) -> str:
    """SHA-256 of the names and contents of all files below `roots`; links count as where they point to."""
    total = hashlib.sha256()
    for number, root in enumerate(roots):
        for path in _files(root):
            name = path.relative_to(root).as_posix()
            content = f"-> {path.readlink()}" if path.is_symlink() else _of_file(path)
            total.update(json.dumps([number, name, content]).encode() + b"\n")
    return total.hexdigest()


def _files(root: Path) -> Iterator[Path]:
    """Files and links below `root`, sorted. Git's own folders are left out: reading them changes them."""
    for folder, names, files in os.walk(root):
        names[:] = sorted(name for name in names if name != ".git")
        links = [name for name in names if (Path(folder) / name).is_symlink()]
        for name in sorted([*files, *links]):
            yield Path(folder) / name


def _of_file(path: Path) -> str:
    total = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                total.update(block)
    except FileNotFoundError:
        return total.hexdigest()
    except IsADirectoryError:
        total.update(b"a folder")
    return total.hexdigest()
