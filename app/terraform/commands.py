"""The argument lists of Terraform's commands (developer.hashicorp.com/terraform/cli/commands)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from app.terraform.execution import Command

PLAN = "plan"
PLAN_JSON = "plan.json"
STATE = "state.json"
DEFAULT_PARALLELISM = 10

_QUIET = ("-input=false", "-no-color")
_LOCK = "-lock-timeout=30s"


def init_command(engine_version: str = "1.9.0") -> Command:
    """``terraform init``; machine-readable from 1.9 on, plain lines in the log before that."""
    numbers = tuple(int(part) for part in engine_version.split("-")[0].split(".")[:2])
    machine_readable = ("-json",) if numbers >= (1, 9) else ()
    return Command("init", (*machine_readable, *_QUIET))


def plan_commands(
    folder: Path,
    *,
    init: bool = True,
    destroy: bool = False,
    refresh: bool = True,
    parallelism: int = DEFAULT_PARALLELISM,
    targets: Sequence[str] = (),
    engine_version: str = "1.9.0",
) -> list[Command]:
    """init (unless it was prepared), plan into ``<folder>/plan``, show into ``<folder>/plan.json``."""
    arguments = ["-json", *_QUIET, _LOCK, f"-parallelism={parallelism}", f"-out={folder / PLAN}"]
    arguments += ["-destroy"] if destroy else []
    arguments += [] if refresh else ["-refresh=false"]
    arguments += [f"-target={address}" for address in targets]
    first = [init_command(engine_version)] if init else []
    return [*first, Command("plan", tuple(arguments)), show_command(folder / PLAN)]


def show_command(plan_file: Path) -> Command:
    return Command("show", ("-json", "-no-color", str(plan_file)), capture=PLAN_JSON)


def apply_commands(
    plan_file: Path, *, parallelism: int = DEFAULT_PARALLELISM, pull_state: bool = False
) -> list[Command]:
    """apply of exactly `plan_file` (a destroy plan too). `pull_state`: for a backend that keeps no local state file."""
    arguments = ("-json", *_QUIET, _LOCK, f"-parallelism={parallelism}", str(plan_file))
    pull = [Command("state pull", (), capture=STATE, after_failure=True)] if pull_state else []
    return [Command("apply", arguments), *pull]
