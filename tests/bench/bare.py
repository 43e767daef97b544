"""Terraform with no hub around it: the same binary, arguments, configuration and environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from app.clusters.equipment import CLI_CONFIGURATION
from app.terraform import commands
from app.terraform.engine import find_engine
from app.terraform.execution import Command, environment
from app.terraform.fingerprint import MAIN_TF, MODULE
from tests.bench.place import Place


@dataclass
class Bare:
    """A folder in which Terraform is called as a person would, timed."""

    folder: Path
    engine: Path
    environment: dict[str, str]

    def run(self, command: Command) -> float:
        """Seconds that one command takes."""
        target = self.folder / (command.capture or "log")
        began = time.monotonic()
        with target.open("ab") as output:
            subprocess.run(
                [self.engine, command.name, *command.arguments],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                check=True,
            )
        return time.monotonic() - began

    def plan(self) -> dict[str, float]:
        """Seconds of `init`, `plan -out` and `show -json`."""
        return {each.name: self.run(each) for each in commands.plan_commands(self.folder)}

    def apply(self) -> float:
        """Seconds of `apply` of that plan."""
        (command,) = commands.apply_commands(self.folder / commands.PLAN)
        return self.run(command)


def bare_copy(place: Place, hostname: str, name: str, rename: tuple[str, str] | None = None) -> Bare:
    """A fresh folder with a cluster's main.tf.json and module as the hub wrote them.

    `rename`: the cluster's name and the one that the copy gets, for a cluster beside it that is otherwise equal.
    """
    source, folder = place.hub.data / "clusters" / hostname, place.folder / "bare" / name
    folder.mkdir(parents=True)
    text = (source / MAIN_TF).read_text()
    (folder / MAIN_TF).write_text(text if rename is None else text.replace(*rename))
    shutil.copytree(source / MODULE, folder / MODULE, ignore=shutil.ignore_patterns(".terraform*"))
    base = {**os.environ, "TF_CLI_CONFIG_FILE": str(place.hub.data / CLI_CONFIGURATION)}
    return Bare(folder, find_engine(None, os.environ.get("PATH")).path, environment(base, place.credential()))
