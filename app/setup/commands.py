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
    set_up(settings_or_end())


@setup.command("providers")
def setup_providers_command() -> None:
    """Build (or fetch) the Terraform providers into the mirror."""
    settings = settings_or_end()
    setup_providers(settings.cache, settings.data / "logs" / "setup.log", settings.terraform)


@setup.command("frontend")
def setup_frontend_command() -> None:
    """Build the pages' scripts and styles."""
    settings = settings_or_end()
    setup_frontend(ROOT, settings.cache, settings.data / "logs" / "setup.log")


@setup.command("status")
def setup_status() -> None:
    """Tell what is there and where it came from."""
    settings = settings_or_end()
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
        run(settings_or_end(), began)
    except SETUP_ERRORS as error:
        raise click.ClickException(str(error)) from error


def settings_or_end() -> Settings:
    """The settings; where some are refused, the program ends with their names, not their values: these may be secret.

    Raises:
        click.ClickException: with every refused setting.
    """
    try:
        return read_settings()
    except ValidationError as error:
        refused = [f"  {_variable(each['loc'])}: {each['msg']}" for each in error.errors(include_url=False)]
        words = "Some settings can't be used (docs/settings.md describes them):"
        raise click.ClickException("\n".join([words, *refused])) from error


def _variable(loc: tuple[int | str, ...]) -> str:
    return "MCHUB_" + str(loc[0]).removeprefix("MCHUB_").upper() if loc else "MCHUB_*"


def _end_in_order(number: int, _frame: FrameType | None) -> None:
    """Leave through every `finally`: what the set-up started ends with it."""
    sys.exit(128 + number)
