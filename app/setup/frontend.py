"""The pages' scripts and styles: bundled from `static/src` into `static/dist`, again only when something changed."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from app.processes import ProcessError, exclusive, run_logged
from app.setup.steps import say, step
from app.setup.toolchains import find_npm, tool_environment

NPM_SECONDS = 900


class FrontendError(RuntimeError):
    """The front end could not be built, with what to do about it."""


def setup_frontend(root: Path, cache: Path, log: Path) -> None:
    """See to it that `static/dist` is built from the present sources. Raises FrontendError, ToolError."""
    if is_built(root):
        return
    with exclusive(Path(sys.prefix) / "frontend.lock", lambda: say("Another set-up builds the front end: waiting")):
        if not is_built(root):
            _build(root, cache, log)


def is_built(root: Path) -> bool:
    """Whether the bundle was made, to its end, from the sources as they are."""
    built = root / "static" / "dist"
    return (built / "manifest.json").is_file() and _read(built / ".built-from") == _digest(root, _sources(root))


def _build(root: Path, cache: Path, log: Path) -> None:
    npm = find_npm(cache, log)
    environment = tool_environment(os.environ)
    environment["PATH"] = f"{npm.folder}{os.pathsep}{environment.get('PATH', os.defpath)}"
    environment.setdefault("npm_config_cache", str(cache / "npm"))
    environment["npm_config_update_notifier"] = "false"
    digest = _digest(root, _sources(root))
    try:
        installed = root / "node_modules" / ".installed-from"
        lock = _digest(root, [root / "package.json", root / "package-lock.json"])
        if _read(installed) != lock:
            with step("Installing the front end's packages"):
                command = [*npm.command, "ci", "--no-audit", "--no-fund"]
                run_logged(command, root, environment, log, NPM_SECONDS)
                installed.write_text(lock)
        with step("Building the front end"):
            run_logged([*npm.command, "run", "build"], root, environment, log, NPM_SECONDS)
    except ProcessError as error:
        raise FrontendError(
            f"The front end could not be built: {error}. If the npm registry is out of reach, set HTTPS_PROXY or "
            f"npm_config_registry and start again. The whole output is in {log}."
        ) from error
    (root / "static" / "dist" / ".built-from").write_text(digest)


def _sources(root: Path) -> list[Path]:
    files = [root / "package.json", root / "package-lock.json", root / "static" / "build.mjs"]
    return files + [path for path in sorted((root / "static" / "src").rglob("*")) if path.is_file()]


def _digest(root: Path, files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "-"
        digest.update(f"{path.relative_to(root)} {content}\n".encode())
    return digest.hexdigest()


def _read(path: Path) -> str | None:
    return path.read_text() if path.is_file() else None
