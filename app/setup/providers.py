"""The set-up's part in Terraform's providers: which tools make them, and what the person is told."""

from __future__ import annotations

import os
import time
from pathlib import Path

from app.setup.steps import WORTH_TELLING_SECONDS, say
from app.setup.toolchains import ToolError, find_go
from app.terraform.engine import EngineError, find_engine
from app.terraform.mirror import PROVIDERS, MirrorError, ProviderPin, Tools, ensure_provider


def setup_providers(cache: Path, log: Path, terraform: str | None) -> None:
    """Put all providers that the templates need into the mirror. Raises MirrorError."""
    for pin in PROVIDERS:
        began = time.monotonic()
        provider = ensure_provider(
            cache, lambda line: say(f"{line} ..."), provider_tools(cache, log, terraform, pin), pin
        )
        seconds = time.monotonic() - began
        if seconds > WORTH_TELLING_SECONDS:
            how = "built here" if provider.origin == "built" else "from the Terraform registry"
            say(f"  done in {seconds:.0f} s ({how})")


def provider_tools(cache: Path, log: Path, terraform: str | None, pin: ProviderPin) -> Tools:
    """The tools that make a provider, each found when it's asked for."""

    def go() -> Path:
        if pin.module is None:
            raise MirrorError(f"{pin.name} is not built here")
        try:
            return find_go(pin.module / "go.mod", cache, log)
        except ToolError as error:
            raise MirrorError(str(error)) from error

    def engine() -> Path:
        try:
            return find_engine(terraform, os.environ.get("PATH")).path
        except EngineError as error:
            raise MirrorError(str(error)) from error

    return Tools(go, engine, log)
