"""The `mchub` command."""

from __future__ import annotations

import click

from app import __version__


@click.group()
@click.version_option(__version__, package_name="mchub")
def main() -> None:
    """MC Hub: build, watch, change and tear down HPC clusters on OpenStack."""


@main.command()
def serve() -> None:
    """Run the hub: pages, API and the workers of the default dispatcher."""
    from app.serving import serve as run
    from app.settings import read_settings

    run(read_settings())


@main.group()
def keys() -> None:
    """Keys of what is encrypted at rest."""


@keys.command("new")
def new() -> None:
    """Print a fresh key for MCHUB_SECRET_KEYS."""
    from app.secrets import new_key

    click.echo(new_key())


@main.group()
def docs() -> None:
    """Documentation that is made from the code."""


@docs.command("settings")
def docs_settings() -> None:
    """Print the reference page of the settings."""
    from app.reference import settings_page

    click.echo(settings_page(), nl=False)


@docs.command("openapi")
def docs_openapi() -> None:
    """Print the OpenAPI document."""
    from app.reference import openapi_document

    click.echo(openapi_document(), nl=False)
