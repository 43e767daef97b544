"""What happens in the cloud without anyone asking: a server that becomes ACTIVE, a volume that is gone.

Every such event has its time, is kept with the records, and is applied as of that time when the cloud is next looked
at.
Hence a cloud that was stopped or killed goes on where its clock says it should be.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .store import Record, Store

if TYPE_CHECKING:
    from .cloud import Cloud


@dataclass(frozen=True, kw_only=True)
class Event(Record):
    at: float  # seconds since the epoch
    action: str
    subject: str
    details: dict[str, Any] = field(default_factory=dict)


Handler = Callable[["Cloud", Event], None]
HANDLERS: dict[str, Handler] = {}


def happening(action: str) -> Callable[[Handler], Handler]:
    """Says which function carries out the events of this name."""

    def register(handler: Handler) -> Handler:
        HANDLERS[action] = handler
        return handler

    return register


class Agenda:
    def __init__(self, store: Store) -> None:
        self._events = store.table(Event)

    def add(self, at: float, action: str, subject: str, **details: Any) -> None:
        self._events.put(Event(id=uuid.uuid4().hex, at=at, action=action, subject=subject, details=details))

    def clear(self, subject: str, *actions: str) -> None:
        """Forgets what was to happen to the subject: the named actions, or all."""
        for event in self._events.where(subject=subject):
            if not actions or event.action in actions:
                self._events.drop(event.id)

    def take_due(self, now: float) -> Event | None:
        """The earliest event that is due, removed from the agenda."""
        due = [event for event in self._events.records.values() if event.at <= now]
        if not due:
            return None
        earliest = min(due, key=lambda event: event.at)
        self._events.drop(earliest.id)
        return earliest
