"""Operations: the durable truth of background work (DESIGN: "Background work: operations").

A worker claims a row by compare-and-set, renews its lease while it works, and ends it. The database holds that at most
one operation that writes is active per subject.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Collection
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import CursorResult, Executable, Index, String, Text, func, or_, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, db, iso, now
from app.errors import Conflict
from app.lifecycle.status import HasStatus, Indicator, StatusTable, begin, transition


class State(StrEnum):
    """The states of an operation (spec/clusters.md, "Lists")."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


ACTIVE = (State.QUEUED, State.RUNNING)

OPERATION_STATUSES = StatusTable(
    subject="operation",
    moves={
        State.QUEUED: frozenset({State.RUNNING, State.CANCELLED, State.FAILED}),
        State.RUNNING: frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED}),
        State.SUCCEEDED: frozenset(),
        State.FAILED: frozenset(),
        State.CANCELLED: frozenset(),
    },
    indicators={
        State.QUEUED: Indicator.IN_PROGRESS,
        State.RUNNING: Indicator.IN_PROGRESS,
        State.SUCCEEDED: Indicator.IDLE,
        State.FAILED: Indicator.ERROR,
        State.CANCELLED: Indicator.IDLE,
    },
)

_ONE_WRITER = text("writes AND status IN ('queued', 'running')")


class Operation(HasStatus, Base):
    """One piece of background work on one subject. Its `status` is what the API calls `state`."""

    __tablename__ = "operations"
    __table_args__ = (
        Index(
            "uq_operations_one_writer",
            "subject_type",
            "subject_id",
            unique=True,
            sqlite_where=_ONE_WRITER,
            postgresql_where=_ONE_WRITER,
        ),
        Index("ix_operations_subject", "subject_type", "subject_id", "created_at"),
        Index("ix_operations_active", "status", "created_at"),
    )
    status_table: ClassVar[StatusTable] = OPERATION_STATUSES

    kind: Mapped[str] = mapped_column(String(32))
    subject_type: Mapped[str] = mapped_column(String(32))
    subject_id: Mapped[str] = mapped_column(String(32))
    payload: Mapped[dict[str, Any]] = mapped_column(default=dict)
    result: Mapped[dict[str, Any]] = mapped_column(default=dict)
    writes: Mapped[bool] = mapped_column(default=True)
    actor: Mapped[str] = mapped_column(String(128))
    attempt: Mapped[int] = mapped_column(default=0)
    worker: Mapped[str | None] = mapped_column(String(160))
    lease_until: Mapped[datetime | None]
    cancel_requested_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=now)
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]

    @property
    def is_active(self) -> bool:
        """Whether it is queued or running."""
        return self.status in ACTIVE


class Busy(Conflict):
    """Another operation that writes is active on the subject."""

    kind = "busy"
    title = "Busy"


def worker_name() -> str:
    """This process: machine, pid and start time, so that a recycled pid is never taken for it."""
    started = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    return f"{platform.node()}:{os.getpid()}:{started}"


def active_writer(subject_type: str, subject_id: str) -> Operation | None:
    """The operation that writes on this subject at present."""
    return db.session.scalar(
        select(Operation).where(
            Operation.subject_type == subject_type,
            Operation.subject_id == subject_id,
            Operation.writes,
            Operation.status.in_(ACTIVE),
        )
    )


def refuse_when_busy(subject_type: str, subject_id: str) -> None:
    """Raise `Busy`, naming who started the present operation and when, if there is one."""
    present = active_writer(subject_type, subject_id)
    if present is not None:
        raise Busy(
            f"{present.actor} started a {present.kind} at {iso(present.created_at)}, which is still {present.status}.",
            extra={"by": present.actor, "since": iso(present.created_at), "operation": present.id},
        )


def enqueue(
    kind: str,
    subject_type: str,
    subject_id: str,
    *,
    actor: str,
    payload: dict[str, Any] | None = None,
    writes: bool = True,
) -> Operation:
    """Add an operation in the caller's transaction; a dispatcher finds it once that is committed.

    Raises:
        Busy: another operation that writes is active on the subject.
    """
    if writes:
        refuse_when_busy(subject_type, subject_id)
    operation = Operation(
        kind=kind, subject_type=subject_type, subject_id=subject_id, actor=actor, payload=payload or {}, writes=writes
    )
    try:
        begin(operation, State.QUEUED, source=actor)
    except IntegrityError as error:
        db.session.rollback()
        refuse_when_busy(subject_type, subject_id)
        raise Busy("Another operation was started at the same moment.") from error
    return operation


def _rows_changed(statement: Executable) -> int:
    outcome = db.session.execute(statement, execution_options={"synchronize_session": False})
    return outcome.rowcount if isinstance(outcome, CursorResult) else 0


def claim(operation: Operation, worker: str, lease_seconds: float) -> bool:
    """Make `worker` the one that runs a queued operation, or one whose lease has expired.

    Returns False when somebody else was first. Commits.
    """
    at = now()
    lease: dict[str, Any] = {
        "worker": worker,
        "attempt": Operation.attempt + 1,
        "lease_until": at + timedelta(seconds=lease_seconds),
    }
    if operation.status == State.QUEUED:
        try:
            transition(operation, State.RUNNING, source=worker, also={**lease, "started_at": at})
        except Conflict:
            db.session.rollback()
            return False
        db.session.commit()
        return True
    changed = _rows_changed(
        update(Operation)
        .where(
            Operation.id == operation.id,
            Operation.status == State.RUNNING,
            Operation.worker == operation.worker,
            or_(Operation.lease_until.is_(None), Operation.lease_until < at),
        )
        .values(lease)
    )
    db.session.commit()
    db.session.refresh(operation)
    return changed == 1


def renew(ids: Collection[str], worker: str, lease_seconds: float) -> int:
    """Prolong the leases that `worker` holds; returns how many it still holds. Commits."""
    changed = _rows_changed(
        update(Operation)
        .where(Operation.id.in_(ids), Operation.worker == worker, Operation.status == State.RUNNING)
        .values(lease_until=now() + timedelta(seconds=lease_seconds))
    )
    db.session.commit()
    return changed


def release(ids: Collection[str], worker: str) -> None:
    """Give back what `worker` holds, so that the next dispatcher need not wait for the lease. Commits."""
    _rows_changed(
        update(Operation)
        .where(Operation.id.in_(ids), Operation.worker == worker, Operation.status == State.RUNNING)
        .values(lease_until=now() - timedelta(seconds=1))
    )
    db.session.commit()


def end(operation: Operation, state: State, *, source: str, error: str | None = None) -> None:
    """End an operation in the caller's transaction, together with what it did to its subject."""
    transition(
        operation,
        state,
        source=source,
        detail=error or "",
        also={"ended_at": now(), "error": error, "lease_until": None},
    )


def request_cancel(operation: Operation) -> None:
    """Note that a person asked the operation to stop; its worker sees it. In the caller's transaction."""
    if operation.cancel_requested_at is None:
        operation.cancel_requested_at = now()


def due(worker_free: int, kinds: Collection[str], held: Collection[str] = ()) -> list[Operation]:
    """What a dispatcher of these kinds may claim now: first those whose worker is gone, then the queued, oldest first.

    `held`: ids of what it runs itself; a lease of its own that ran out is no reason to run it twice.
    """
    wanted = select(Operation).where(Operation.kind.in_(kinds), Operation.id.not_in(held))
    expired = wanted.where(Operation.status == State.RUNNING, Operation.lease_until < now())
    queued = wanted.where(Operation.status == State.QUEUED)
    found: list[Operation] = []
    for query in (expired, queued):
        if len(found) < worker_free:
            found += db.session.scalars(query.order_by(Operation.created_at).limit(worker_free - len(found)))
    return found


def last_end(kind: str) -> str:
    """When an operation of a kind last ended, as text; empty before the first. The same in every process of the hub."""
    return iso(db.session.scalar(select(func.max(Operation.ended_at)).where(Operation.kind == kind))) or ""


def abandon_workers_of_this_machine(present: str) -> int:
    """End the leases of processes of this machine that no longer run, so that nobody waits for them. Commits.

    Returns how many leases were ended.
    """
    machine = platform.node() + ":"
    gone = 0
    for operation in db.session.scalars(select(Operation).where(Operation.status == State.RUNNING)):
        holder = operation.worker or ""
        if holder.startswith(machine) and holder != present and not _is_alive(holder):
            release([operation.id], holder)
            gone += 1
    return gone


def _is_alive(worker: str) -> bool:
    _, pid, started = worker.rsplit(":", 2)
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return fields[19] == started and fields[0] != "Z"
