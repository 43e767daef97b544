"""`python -m app.sandbox`: the cloud and the nodes on their own, without the hub."""

from pathlib import Path

import click

from .cloud_server import serve


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


if __name__ == "__main__":
    main()
