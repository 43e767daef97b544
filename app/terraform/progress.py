"""Progress from Terraform's machine-readable log.

developer.hashicorp.com/terraform/internals/machine-readable-ui: one JSON object a line, told apart by ``type``.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from app.terraform.plan import Action

_PLAIN_LINES_KEPT = 40
_DONE_BY = {Action.REPLACE: frozenset({"create", "delete"})}


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Diagnostic:
    """A message of Terraform, as it is. `range` is ``file:line``."""

    severity: Severity
    summary: str
    detail: str = ""
    address: str | None = None
    range: str | None = None


class ResourceState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass
class ResourceProgress:
    """One resource's way through an apply. Times are UTC, Terraform's own."""

    address: str
    type: str
    action: str
    state: ResourceState = ResourceState.QUEUED
    started_at: datetime | None = None
    ended_at: datetime | None = None
    diagnostic: Diagnostic | None = None
    message: str | None = None  # what a provisioner or Terraform said last


@dataclass(frozen=True)
class ChangeSummary:
    operation: str
    add: int
    change: int
    remove: int
    imported: int = 0


class ProgressReader:
    """Feeds on a log in pieces of any size; reads complete lines, and tolerates lines that are no events.

    `planned`: the addresses that an apply will touch, queued from the start; as a mapping to their action, a
    replacement is done only when both halves are.
    """

    def __init__(self, planned: Mapping[str, str] | Sequence[str] = ()) -> None:
        actions = dict(planned) if isinstance(planned, Mapping) else dict.fromkeys(planned, "")
        self._resources: dict[str, ResourceProgress] = {}
        self._halves: dict[str, set[str]] = {}
        self._rest = b""
        self.diagnostics: list[Diagnostic] = []
        self.change_summary: ChangeSummary | None = None
        self.plain_lines: deque[str] = deque(maxlen=_PLAIN_LINES_KEPT)
        self.last_event_at: datetime | None = None
        for address, action in actions.items():
            self._resource(address, action)

    @property
    def resources(self) -> list[ResourceProgress]:
        """In the order in which they were planned, or first seen."""
        return list(self._resources.values())

    @property
    def done(self) -> int:
        return sum(each.state is ResourceState.DONE for each in self._resources.values())

    @property
    def total(self) -> int:
        return len(self._resources)

    @property
    def outcome_seen(self) -> bool:
        """Whether the final summary is there: the last thing that a command which did its work says of it."""
        return self.change_summary is not None

    @property
    def has_error(self) -> bool:
        return any(each.severity is Severity.ERROR for each in self.diagnostics)

    def feed(self, data: bytes) -> None:
        """Takes the next bytes of the log; an incomplete last line waits for its rest."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            self._line(line)

    def _line(self, line: bytes) -> None:
        try:
            event = json.loads(line)
            kind = event["type"]
        except (ValueError, KeyError, TypeError):
            if line.strip():
                self.plain_lines.append(line.decode("utf-8", "replace"))
            return
        at = _time(event.get("@timestamp"))
        self.last_event_at = at or self.last_event_at
        try:
            self._event(str(kind), event, at)
        except (KeyError, TypeError, ValueError, AttributeError):
            self.plain_lines.append(line.decode("utf-8", "replace"))

    def _event(self, kind: str, event: dict[str, Any], at: datetime | None) -> None:
        if kind == "planned_change":
            self._planned(event["change"])
        elif kind == "diagnostic":
            self._diagnostic(event["diagnostic"])
        elif kind == "change_summary":
            self._summary(event["changes"])
        elif kind.startswith(("apply_", "provision_")):
            self._hook(kind, event["hook"], event.get("@message"), at)

    def _planned(self, change: dict[str, Any]) -> None:
        action = str(change["action"])
        if action not in {"noop", "no-op", "read", "move"}:
            resource = self._resource(change["resource"]["addr"], action, change["resource"].get("resource_type"))
            resource.action = action

    def _summary(self, changes: dict[str, Any]) -> None:
        self.change_summary = ChangeSummary(
            str(changes["operation"]),
            int(changes["add"]),
            int(changes["change"]),
            int(changes["remove"]),
            int(changes.get("import", 0)),
        )

    def _diagnostic(self, found: dict[str, Any]) -> None:
        place = found.get("range")
        where = f"{place['filename']}:{place['start']['line']}" if place else None
        address = found.get("address") or None
        diagnostic = Diagnostic(
            Severity(found["severity"]), str(found["summary"]), str(found.get("detail") or ""), address, where
        )
        self.diagnostics.append(diagnostic)
        resource = self._resources.get(address or "")
        if resource is not None and diagnostic.severity is Severity.ERROR:
            resource.diagnostic = diagnostic
            resource.state = ResourceState.FAILED

    def _hook(self, kind: str, hook: dict[str, Any], message: str | None, at: datetime | None) -> None:
        address, action = hook["resource"]["addr"], hook.get("action")
        if action == "read":
            return
        resource = self._resource(address, action or "", hook["resource"].get("resource_type"))
        if kind == "apply_start":
            resource.state = ResourceState.RUNNING
            resource.started_at = resource.started_at or at
            resource.ended_at = None
            resource.message = None
        elif kind == "apply_complete":
            self._half_done(resource, str(action), at)
        elif kind == "apply_errored":
            resource.state, resource.ended_at = ResourceState.FAILED, at
        else:
            resource.message = str(hook["output"]) if kind == "provision_progress" else message

    def _half_done(self, resource: ResourceProgress, action: str, at: datetime | None) -> None:
        halves = self._halves.setdefault(resource.address, set())
        halves.add(action)
        needed = _DONE_BY.get(Action.REPLACE, frozenset()) if resource.action == Action.REPLACE else {action}
        if needed <= halves and resource.state is not ResourceState.FAILED:
            resource.state, resource.ended_at = ResourceState.DONE, at
            resource.message = None

    def _resource(self, address: str, action: str, kind: str | None = None) -> ResourceProgress:
        if address not in self._resources:
            self._resources[address] = ResourceProgress(address, kind or type_of(address), action)
        resource = self._resources[address]
        resource.action = resource.action or action
        return resource


def type_of(address: str) -> str:
    """The resource type in an address: ``module.cluster.openstack_x.y["a.b"]`` -> ``openstack_x``."""
    bare, depth = [], 0
    for character in address:
        depth += (character == "[") - (character == "]")
        if depth == 0 and character != "]":
            bare.append(character)
    parts = "".join(bare).split(".")
    while len(parts) > 2 and parts[0] == "module":
        parts = parts[2:]
    return parts[1] if parts[0] == "data" and len(parts) > 1 else parts[0]


def _time(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
