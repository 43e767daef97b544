"""A real Terraform, and operations in folders of their own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.terraform.commands import apply_commands, plan_commands
from app.terraform.engine import find_engine
from app.terraform.execution import Command, Launch, Outcome, environment, is_running, launch, outcome
from app.terraform.processes import kill

DEADLINE_SECONDS = 60.0


def wait_until(condition: Callable[[], bool], what: str, seconds: float = DEADLINE_SECONDS) -> None:
    """Waits for a condition, not for time to pass."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.01)


@dataclass
class Workbench:
    """A working directory with a real Terraform, and operations beside it."""

    root: Path
    engine: Path
    environment: dict[str, str]
    operations: int = 0

    @property
    def work(self) -> Path:
        return self.root / "work"

    def configure(self, text: str, name: str = "main.tf") -> None:
        self.work.mkdir(exist_ok=True)
        (self.work / name).write_text(text)

    def start(self, commands: Sequence[Command] | None = None, folder: Path | None = None) -> Path:
        """Launches `commands` (a whole plan by default) and returns the operation's folder."""
        self.operations += folder is None
        folder = folder or self.root / f"operation{self.operations}"
        commands = plan_commands(folder) if commands is None else commands
        launch(Launch(folder, self.work, self.engine, self.environment, commands))
        return folder

    def finish(self, folder: Path, cancelled: bool = False) -> Outcome:
        wait_until(lambda: not is_running(folder), f"the end of {folder.name}")
        return outcome(folder, cancelled)

    def plan(self, **options: bool) -> tuple[Path, Outcome]:
        self.operations += 1
        folder = self.root / f"operation{self.operations}"
        self.start(plan_commands(folder, **options), folder)
        return folder, self.finish(folder)

    def apply(self, plan_folder: Path) -> tuple[Path, Outcome]:
        folder = self.start(apply_commands(plan_folder / "plan"))
        return folder, self.finish(folder)

    def plan_and_apply(self, **options: bool) -> Path:
        """Returns the apply's folder."""
        planned, planning = self.plan(**options)
        assert planning.state == "succeeded", planning
        applied, applying = self.apply(planned)
        assert applying.state == "succeeded", applying
        return applied


@pytest.fixture(scope="session")
def engine() -> Path:
    return find_engine(None, os.environ.get("PATH")).path


@pytest.fixture
def workbench(tmp_path: Path, engine: Path) -> Iterator[Workbench]:
    base = {name: value for name, value in os.environ.items() if name != "TF_CLI_CONFIG_FILE"}
    bench = Workbench(tmp_path, engine, environment(base, {}))
    yield bench
    # What a killed Terraform had started outlives it and waits for its gate.
    (tmp_path / "gate").touch()
    for number in range(1, bench.operations + 1):
        kill(tmp_path / f"operation{number}")
