"""The `mchub` command."""

from __future__ import annotations

import click

from app import __version__
from app.setup.commands import settings_or_end, setup, up


@click.group()
@click.version_option(__version__, package_name="mchub")
def main() -> None:
    """MC Hub: build, watch, change and tear down HPC clusters on OpenStack."""


@main.command()
def serve() -> None:
    """Run the hub: pages, API and the workers of the default dispatcher."""
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    from app.secrets import SecretsError
    from app.serving import serve as run
    from app.terraform.templates import TemplateError

    settings = settings_or_end()
    database = "The database of MCHUB_DATABASE_URL" if settings.database_url else f"{settings.data}/mchub.sqlite3"
    try:
        run(settings)
    except SecretsError as error:
        raise click.ClickException(f"The hub cannot open what it keeps: {error}.") from error
    except TemplateError as error:
        raise click.ClickException(f"{error}: set MCHUB_TEMPLATES.") from error
    except DBAPIError as error:
        raise click.ClickException(
            f"{database} cannot be used: {error.orig}. Put a backup in its place, or choose another (MCHUB_DATA, "
            "MCHUB_DATABASE_URL)."
        ) from error
    except SQLAlchemyError as error:
        # The message may quote the URL, and with it a password.
        raise click.ClickException(f"{database} cannot be used ({type(error).__name__}): is the URL right?") from error
    except ModuleNotFoundError as error:
        if settings.database_url is None:
            raise
        raise click.ClickException(f"{database} needs the Python module {error.name}: install it.") from error
    except OSError as error:
        raise click.ClickException(
            f"{error.filename or settings.data}: {error.strerror or error}. The hub needs a folder of its own that it "
            "may write to: set MCHUB_DATA, or change the folder's owner."
        ) from error


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


@main.command()
def sandbox() -> None:
    """Run the built-in sandbox cloud."""
    from app.sandbox.cloud_server import serve as run

    settings = settings_or_end()
    run(
        settings.data / "sandbox",
        "127.0.0.1",
        settings.sandbox_port,
        settings.sandbox_floating_range,
        settings.sandbox_boot_seconds,
    )


@main.command()
@click.option(
    "--silent", type=float, default=4, show_default=True, help="Seconds in which a node accepts, and says nothing."
)
@click.option(
    "--refused", type=float, default=4, show_default=True, help="Then: seconds in which it refuses connections."
)
@click.option("--bad-gateway", type=float, default=5, show_default=True, help="Then: seconds in which it answers 502.")
@click.option("--freeipa-later", type=float, default=4, show_default=True, help="FreeIPA is so many seconds later.")
@click.option("--poll", type=float, default=1.5, show_default=True, help="Seconds between two looks at the cloud.")
def nodes(silent: float, refused: float, bad_gateway: float, freeipa_later: float, poll: float) -> None:
    """Boot nodes for the servers of the cloud that OS_* or OS_CLOUD names."""
    from app.sandbox.nodes import NodesOptions, watch
    from app.sandbox.nodes_web import Timing

    watch(NodesOptions(poll_seconds=poll, timing=Timing(silent, refused, bad_gateway, freeipa_later)))


main.add_command(setup)
main.add_command(up)
