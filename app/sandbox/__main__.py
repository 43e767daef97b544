"""`python -m app.sandbox`: the cloud and the nodes on their own, without the hub."""

import logging
from pathlib import Path

import click

from .cloud_server import serve
from .nodes import NodesOptions, watch
from .nodes_web import Timing


@click.group()
def main() -> None:
    """A small OpenStack-compatible cloud, and the nodes that boot on it."""


@main.command("cloud")
@click.option("--data", type=click.Path(path_type=Path), default=Path("data/sandbox"), show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=int, default=5050, show_default=True, help="0 takes a free one.")
@click.option("--floating-range", default="127.77.0.0/24", show_default=True, help="A /24 inside 127.0.0.0/8.")
@click.option("--boot-seconds", type=float, default=5.0, show_default=True, help="From BUILD to ACTIVE.")
def cloud_command(data: Path, host: str, port: int, floating_range: str, boot_seconds: float) -> None:
    """Run the cloud."""
    serve(data, host, port, floating_range, boot_seconds)


@main.command("nodes")
@click.option("--cloud", default=None, help="An entry of clouds.yaml; else OS_CLOUD or OS_*.")
@click.option("--port", type=int, default=8443, show_default=True, help="Where JupyterHub and FreeIPA answer (HTTPS).")
@click.option("--poll-seconds", type=float, default=1.5, show_default=True, help="How often the cloud is looked at.")
@click.option("--silent", type=float, default=4.0, show_default=True, help="Seconds without any answer.")
@click.option("--refused", type=float, default=4.0, show_default=True, help="Seconds of refused connections.")
@click.option("--bad-gateway", type=float, default=5.0, show_default=True, help="Seconds of 502.")
@click.option("--freeipa-later", type=float, default=4.0, show_default=True, help="Seconds that FreeIPA needs on top.")
def nodes_command(
    cloud: str | None,
    port: int,
    poll_seconds: float,
    silent: float,
    refused: float,
    bad_gateway: float,
    freeipa_later: float,
) -> None:
    """Run the nodes of a cloud."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s nodes %(message)s")
    watch(NodesOptions(cloud, port, poll_seconds, Timing(silent, refused, bad_gateway, freeipa_later)))


if __name__ == "__main__":
    main()
