"""`mchub setup ...` and `mchub up`."""

from __future__ import annotations

import os
import signal
import sys
import time
from types import FrameType

import click
from pydantic import ValidationError

from app.settings import Settings, read_settings
from app.setup.frontend import FrontendError, is_built, setup_frontend
from app.setup.providers import setup_providers
from app.setup.steps import say
from app.setup.supervisor import GaveUpError
from app.setup.toolchains import ToolError
from app.setup.up import ROOT, UpError, run, set_up
from app.terraform.engine import EngineError, find_engine
from app.terraform.mirror import MirrorError, mirror_folder, read_mirror

SETUP_ERRORS = (EngineError, MirrorError, ToolError, FrontendError, UpError, GaveUpError)


class SetupGroup(click.Group):
    """Commands whose expected errors are a message and exit code 1, not a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except SETUP_ERRORS as error:
            raise click.ClickException(str(error)) from error


@click.group("setup", cls=SetupGroup)
def setup() -> None:
    """Make or check what the hub needs besides Python's packages."""


@setup.command("all")
def setup_all() -> None:
    """Providers and front end."""
    set_up(_settings())


@setup.command("providers")
def setup_providers_command() -> None:
    """Build (or fetch) the Terraform providers into the mirror."""
    settings = _settings()
    setup_providers(settings.cache, settings.data / "logs" / "setup.log", settings.terraform)


@setup.command("frontend")
def setup_frontend_command() -> None:
    """Build the pages' scripts and styles."""
    settings = _settings()
    setup_frontend(ROOT, settings.cache, settings.data / "logs" / "setup.log")


@setup.command("status")
def setup_status() -> None:
    """Tell what is there and where it came from."""
    settings = _settings()
    say(f"Python     {sys.version.split()[0]} at {sys.executable}")
    engine = find_engine(settings.terraform, os.environ.get("PATH"))
    say(f"Terraform  {engine.version} at {engine.path} ({engine.origin})")
    providers = read_mirror(mirror_folder(settings.cache))
    for provider in providers:
        say(f"Provider   {provider.source} {provider.version} ({provider.origin or 'put there by hand'})")
    if not providers:
        say("Provider   none in the mirror: run `mchub setup providers`")
    say(f"Front end  {'built' if is_built(ROOT) else 'to be built: run `mchub setup frontend`'}")


@click.command("up")
@click.option("--spent", type=float, default=0, hidden=True, help="Seconds that ./run.sh took before.")
def up(spent: float) -> None:
    """Set up, then run sandbox, nodes and hub, and keep them running."""
    began = time.monotonic() - spent
    signal.signal(signal.SIGTERM, _end_in_order)
    signal.signal(signal.SIGHUP, _end_in_order)
    try:
        run(_settings(), began)
    except SETUP_ERRORS as error:
        raise click.ClickException(str(error)) from error


def _settings() -> Settings:
    try:
        return read_settings()
    except ValidationError as error:
        raise click.ClickException(f"A setting can't be used: {error}") from error


def _end_in_order(number: int, _frame: FrameType | None) -> None:
    """Leave through every `finally`: what the set-up started ends with it."""
    sys.exit(128 + number)
