"""A cluster's folder: main.tf.json, its own copy of the module, and what ``terraform init`` makes.

The module's copy is private and writable: Magic Castle writes an archive with the cluster's passwords into its module's
own folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from app.logs import get_logger
from app.terraform.fingerprint import LOCK_FILE, MAIN_TF, MODULE, of_trees
from app.terraform.templates import ClusterTemplate

log = get_logger(__name__)
_TERRAFORM = ".terraform"
_KEY = "mchub-prepared-init"  # inside .terraform: which init made it
_CONFIGURATION = (".tf", ".tf.json", ".tfvars")


def prepare_workspace(folder: Path, template: ClusterTemplate, main_tf: bytes) -> None:
    """Makes or brings up to date the folder (0700), main.tf.json and the module's copy (0600), where they differ."""
    _make_private(folder)
    if template.module_folder is not None:
        _copy_module(template.module_folder, folder / MODULE)
    _write(folder / MAIN_TF, main_tf)


@dataclass(frozen=True)
class InitCache:
    """Prepared inits: ``.terraform`` and the lock file, kept after a real init and copied instead of another one.

    Keyed by all that init depends on. Terraform itself refuses one that doesn't fit (execution.Outcome.needs_init).
    """

    root: Path
    engine_version: str
    providers: Path | None = None  # the providers' mirror, if there is one

    def restore(self, folder: Path) -> bool:
        """Whether `folder` is initialised now, by an earlier init of its own or by a copy. If not, run init."""
        key = self._key(folder)
        if _key_of(folder) == key and _providers_exist(folder / _TERRAFORM):
            return True
        _forget_init(folder)
        kept = self.root / key
        if not _providers_exist(kept / _TERRAFORM):
            return False
        try:
            shutil.copytree(kept / _TERRAFORM, folder / _TERRAFORM, symlinks=True)
            shutil.copy2(kept / LOCK_FILE, folder / LOCK_FILE)
        except OSError:
            _forget_init(folder)
            return False
        return True

    def keep(self, folder: Path) -> None:
        """After a successful init in `folder`: remembers it there, and keeps a copy for the next cluster.

        Where that fails (a full disk), the next cluster runs its own init; what was planned here is no worse for it.
        """
        key = self._key(folder)
        if not (folder / LOCK_FILE).is_file() or not (folder / _TERRAFORM).is_dir():
            return
        try:
            _write(folder / _TERRAFORM / _KEY, key.encode())
            if not (self.root / key).exists():
                self._copy(folder, key)
        except OSError as error:
            log.warning("a prepared init could not be kept", folder=str(folder), reason=str(error))

    def _copy(self, folder: Path, key: str) -> None:
        _make_private(self.root)
        new = Path(tempfile.mkdtemp(prefix=f"{key}.", dir=self.root))
        try:
            shutil.copytree(folder / _TERRAFORM, new / _TERRAFORM, symlinks=True)
            shutil.copy2(folder / LOCK_FILE, new / LOCK_FILE)
            new.rename(self.root / key)
        except OSError:
            if not (self.root / key).exists():  # else another one was quicker
                raise
        finally:
            shutil.rmtree(new, ignore_errors=True)

    def discard(self, folder: Path) -> None:
        """Terraform refused the prepared init: forget it, here and in the cache. Run init next."""
        shutil.rmtree(self.root / self._key(folder), ignore_errors=True)
        _forget_init(folder)

    def _key(self, folder: Path) -> str:
        document = json.loads((folder / MAIN_TF).read_bytes())
        modules = document.get("module", {})
        depends_on = {
            "terraform": document.get("terraform", {}),
            "modules": {name: [each.get("source"), each.get("version")] for name, each in modules.items()},
            "module": of_trees_of_configuration(folder / MODULE),
            "engine": self.engine_version,
            "providers": str(self.providers or ""),
        }
        return hashlib.sha256(json.dumps(depends_on, sort_keys=True).encode()).hexdigest()


def of_trees_of_configuration(module: Path) -> str:
    """SHA-256 of a module's configuration files alone: what Terraform puts beside them is no matter of init."""
    names = sorted(path for path in module.rglob("*") if path.name.endswith(_CONFIGURATION) and path.is_file())
    total = hashlib.sha256()
    for path in names:
        total.update(json.dumps([path.relative_to(module).as_posix(), path.read_text(encoding="utf-8")]).encode())
    return total.hexdigest()


def _key_of(folder: Path) -> str | None:
    try:
        return (folder / _TERRAFORM / _KEY).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _providers_exist(terraform_folder: Path) -> bool:
    """Whether what init linked into the folder is still in the mirror."""
    if not terraform_folder.is_dir():
        return False
    return all(path.exists() for path in (terraform_folder / "providers").rglob("*") if path.is_symlink())


def _forget_init(folder: Path) -> None:
    shutil.rmtree(folder / _TERRAFORM, ignore_errors=True)
    (folder / LOCK_FILE).unlink(missing_ok=True)


def _copy_module(source: Path, target: Path) -> None:
    """Brings the copy up to date. Files that only the copy has stay (Terraform's), unless they are configuration."""
    if target.is_dir() and of_trees(source) == of_trees(target):
        return
    wanted = {path.relative_to(source) for path in source.rglob("*") if path.is_file()}
    for relative in sorted(wanted):
        _make_private(target, relative.parent)
        _write(target / relative, (source / relative).read_bytes())
    _make_private(target)
    for path in sorted(target.rglob("*")):
        if path.name.endswith(_CONFIGURATION) and path.relative_to(target) not in wanted:
            path.unlink()


def _make_private(folder: Path, below: Path = Path()) -> None:
    path = folder
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for part in below.parts:
        path = path / part
        path.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)


def _write(path: Path, content: bytes) -> None:
    """Writes atomically with mode 0600, unless that is what the file holds already.

    Not forced to the disk: all of it is made again before each plan, and an apply checks its fingerprint.
    """
    try:
        if not path.is_symlink() and path.read_bytes() == content and path.stat().st_mode & 0o777 == 0o600:
            return
    except FileNotFoundError:
        pass
    descriptor, new = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(new).replace(path)
    except OSError:
        Path(new).unlink(missing_ok=True)
        raise
