"""Doing something in many threads at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from flask import Flask

from tests.lifecycle.conftest import context_of

Given = TypeVar("Given")
Found = TypeVar("Found")


def at_once(app: Flask, call: Callable[[Given], Found], given: Sequence[Given]) -> list[Found]:
    """Call with each of `given` in a thread of its own, all let go together; what each returned, in order."""
    barrier = threading.Barrier(len(given))

    def one(value: Given) -> Found:
        with context_of(app):
            barrier.wait(10)
            return call(value)

    with ThreadPoolExecutor(len(given)) as pool:
        return list(pool.map(one, given))
