"""The one mechanism by which a status changes (DESIGN: "Status: one mechanism").

A table of allowed pairs, a compare-and-set UPDATE, and a `StatusEvent` in the same transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import CursorResult, Index, String, Text, update
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, WithId, db, now
from app.errors import Conflict


class Indicator(StrEnum):
    """What all statuses share: is something under way, is something wrong?"""

    IDLE = "idle"
    IN_PROGRESS = "in_progress"
    ERROR = "error"


@dataclass(frozen=True)
class StatusTable:
    """The statuses of one kind of subject and the moves between them.

    `returns` names the statuses from which a subject may go back to its `status_before` (a dropped plan).
    """

    subject: str
    moves: Mapping[str, frozenset[str]]
    indicators: Mapping[str, Indicator]
    returns: frozenset[str] = frozenset()

    def allows(self, status: str, to: str, status_before: str | None = None) -> bool:
        """Whether a subject in `status` may go to `to`."""
        return to in self.moves[status] or (status in self.returns and to == status_before)


class StatusMove(Conflict):
    """A move that the table forbids, or that lost against another."""

    kind = "status"
    title = "Not possible in this status"


class HasStatus(WithId):
    """A table whose rows have a status. Only `transition` writes it."""

    status_table: ClassVar[StatusTable]

    status: Mapped[str] = mapped_column(String(32))
    status_before: Mapped[str | None] = mapped_column(String(32))
    status_at: Mapped[datetime] = mapped_column(default=now)

    @property
    def indicator(self) -> Indicator:
        """The indicator of the present status."""
        return self.status_table.indicators[self.status]


class StatusEvent(Base):
    """One change of one subject's status; rows are never changed."""

    __tablename__ = "status_events"
    __table_args__ = (Index("ix_status_events_subject", "subject_type", "subject_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    subject_type: Mapped[str] = mapped_column(String(32))
    subject_id: Mapped[str] = mapped_column(String(32))
    from_status: Mapped[str | None] = mapped_column(String(32))
    to_status: Mapped[str] = mapped_column(String(32))
    indicator: Mapped[str] = mapped_column(String(16))
    detail: Mapped[str] = mapped_column(Text, default="")
    source: Mapped[str] = mapped_column(String(160))
    at: Mapped[datetime] = mapped_column(default=now)


def _record(subject: HasStatus, before: str | None, to: str, detail: str, source: str, at: datetime) -> StatusEvent:
    table = subject.status_table
    event = StatusEvent(
        subject_type=table.subject,
        subject_id=subject.id,
        from_status=before,
        to_status=to,
        indicator=table.indicators[to],
        detail=detail,
        source=source,
        at=at,
    )
    db.session.add(event)
    return event


def begin(subject: HasStatus, status: str, *, source: str, detail: str = "") -> StatusEvent:
    """Add a new subject in its first status, with the event of its birth. The caller's transaction commits."""
    subject.status = status
    subject.status_at = now()
    db.session.add(subject)
    db.session.flush()
    return _record(subject, None, status, detail, source, subject.status_at)


def transition(
    subject: HasStatus, to: str, *, source: str, detail: str = "", also: Mapping[str, Any] | None = None
) -> StatusEvent | None:
    """Move `subject` from the status it was loaded with to `to`, in the caller's transaction.

    1. The pair is looked up in the subject's table.
    2. One UPDATE sets the new status where the old one still stands; `also` names further columns to set with it.
    3. The event is added.

    Returns the event, or None when `to` is the present status already (nothing happens then, `also` included).

    Raises:
        StatusMove: the table forbids the pair, or another writer was first.
    """
    before = subject.status
    if to == before:
        return None
    if not subject.status_table.allows(before, to, subject.status_before):
        raise StatusMove(f"The {subject.status_table.subject} is {before}: it cannot become {to}.")
    at = now()
    model = type(subject)
    outcome = db.session.execute(
        update(model)
        .where(model.id == subject.id, model.status == before)
        .values({"status": to, "status_at": at, **(also or {})})
        .execution_options(synchronize_session=False)
    )
    changed = outcome.rowcount if isinstance(outcome, CursorResult) else 0
    db.session.refresh(subject)
    if changed != 1:
        raise StatusMove(f"The {subject.status_table.subject} became {subject.status} meanwhile.")
    return _record(subject, before, to, detail, source, at)
