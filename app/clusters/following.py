"""Following an operation's Terraform while it runs, whoever started it: log, cancel, lease."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from app.db import db
from app.lifecycle.dispatch import Context, operation_of
from app.logs import get_logger
from app.terraform.execution import LOG, is_running
from app.terraform.processes import interrupt

log = get_logger(__name__)
LATE = 0.01
"""How late the end may be seen, as a share of the time that has passed: a plan ends in a moment, a build in minutes."""
SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.005, 0.1
CANCEL_LOOK_SECONDS = 0.25


@dataclass
class Follower:
    """Reads the log of one operation's folder as it grows."""

    operation_id: str
    folder: Path
    feed: Callable[[bytes], None]
    was_cancelled: bool = False
    _offset: int = 0
    _interrupted: bool = False

    def follow(self, context: Context) -> None:
        """Feed every byte of the log until Terraform and its runner have ended.

        A cancel that a person asked for becomes one SIGINT; Terraform then finishes what is in flight.

        Raises:
            HubStopping: the hub ends; Terraform goes on and the next hub adopts it.
        """
        began, looked = time.monotonic(), 0.0
        while True:
            running = is_running(self.folder)
            self._read()
            if not running:
                return
            if time.monotonic() - looked > CANCEL_LOOK_SECONDS:
                looked = time.monotonic()
                self._look_for_cancel()
            pause = LATE * (time.monotonic() - began)
            context.pause(min(max(pause, SHORTEST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS))

    def _read(self) -> None:
        with (self.folder / LOG).open("rb") as file:
            file.seek(self._offset)
            while piece := file.read(1024 * 1024):
                self._offset += len(piece)
                self.feed(piece)

    def _look_for_cancel(self) -> None:
        operation = operation_of(self.operation_id)
        self.was_cancelled = operation.cancel_requested_at is not None
        db.session.rollback()
        if self.was_cancelled and not self._interrupted:
            log.info("interrupting terraform", operation=self.operation_id)
            self._interrupted = interrupt(self.folder)
