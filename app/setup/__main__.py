"""`python -m app.setup`: what `./run.sh` starts, without the cost of the whole `mchub` command."""

from __future__ import annotations

import click

from app.setup.commands import setup, up

program = click.Group(commands={"setup": setup, "up": up})

if __name__ == "__main__":
    program(prog_name="mchub")
