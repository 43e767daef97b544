"""Following an operation's Terraform while it runs, whoever started it: log, cancel, lease."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from app.clusters.equipment import equipment
from app.clusters.models import KILL, PLAN
from app.db import db, now
from app.lifecycle.dispatch import Context, operation_of
from app.lifecycle.operations import Operation
from app.logs import get_logger
from app.terraform.execution import LOG, is_running
from app.terraform.processes import interrupt, kill

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
        elif self.was_cancelled and _may_be_killed(operation):
            log.warning("killing terraform", operation=self.operation_id)
            kill(self.folder)


def grace_is_over(operation: Operation) -> bool:
    """Whether an operation that was asked to stop has had its time to finish what is in flight."""
    asked = operation.cancel_requested_at
    return asked is not None and now() - asked > timedelta(seconds=equipment().settings.grace_seconds)


def _may_be_killed(operation: Operation) -> bool:
    """A plan makes nothing in the cloud; an apply, whose creates would be lost, only when a person asks again."""
    return grace_is_over(operation) and (operation.kind == PLAN or bool(operation.payload.get(KILL)))
