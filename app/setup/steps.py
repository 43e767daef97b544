"""How the set-up tells what it does: a line when a step begins, and its time when it took long."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

WORTH_TELLING_SECONDS = 2


def say(line: str) -> None:
    """Print a line now, also where standard output is a file."""
    click.echo(line)


@contextmanager
def step(title: str) -> Iterator[None]:
    """A step that is worth a line of its own."""
    say(f"{title} ...")
    began = time.monotonic()
    yield
    seconds = time.monotonic() - began
    if seconds > WORTH_TELLING_SECONDS:
        say(f"  done in {seconds:.0f} s")
