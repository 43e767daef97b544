"""The cloud as one object: its records, its clock, its agenda and how it is tuned."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from .agenda import HANDLERS, Agenda
from .store import Record, Store, Table

R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Options:
    """How a cloud is started; `url` is where its clients reach it, without a slash at the end."""

    data: Path
    url: str
    floating_range: str = "127.77.0.0/24"
    boot_seconds: float = 5.0


@dataclass(frozen=True, kw_only=True)
class Tuning(Record):
    """How long the cloud takes for things (in seconds); changed at run time through the admin API."""

    boot_seconds: float
    delete_seconds: float = 1.0
    volume_seconds: float = 0.5
    latency_seconds: float = 0.0


class Cloud:
    def __init__(self, options: Options) -> None:
        self.options = options
        self.store = Store(options.data / "cloud.sqlite")
        self.agenda = Agenda(self.store)
        self._as_of: float | None = None

    def table(self, kind: type[R]) -> Table[R]:
        return self.store.table(kind)

    @property
    def now(self) -> float:
        """The time of what is being carried out: an event's own, else the present."""
        return time.time() if self._as_of is None else self._as_of

    @property
    def tuning(self) -> Tuning:
        return self.table(Tuning).get("tuning") or Tuning(id="tuning", boot_seconds=self.options.boot_seconds)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Brings the cloud up to the present, then keeps all that the block changes, or nothing of it."""
        with self.store.transaction():
            self._catch_up()
        with self.store.transaction():
            yield

    def _catch_up(self) -> None:
        present = time.time()
        try:
            while event := self.agenda.take_due(present):
                self._as_of = event.at
                HANDLERS[event.action](self, event)
        finally:
            self._as_of = None
