"""Faults on demand: one table of rules, consulted in one place for each request.

A rule says which requests it concerns (service, method, a shell pattern for the path; every n-th of them; how many
in all)
and what becomes of them. Rules with the effect `server-error` concern servers, by name, instead of requests.
"""

import time
import uuid
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase

from .cloud import Cloud
from .errors import BadRequestError, InjectedError
from .store import Record

PATIENCE = 3600.0  # seconds that a request under `hang` is kept waiting


class Effect(StrEnum):
    STATUS = "status"  # answered with a status and a message; nothing is done
    LATENCY = "latency"  # answered late
    HANG = "hang"  # accepted, never answered
    REFUSE = "refuse"  # the connection is closed at once; nothing is done
    LOSE_ANSWER = "lose-answer"  # the deed is done, then the connection is closed
    SERVER_ERROR = "server-error"  # servers of this name end in ERROR


class ConnectionCutError(Exception):
    """The connection is to be closed with no answer."""


@dataclass(frozen=True, kw_only=True)
class FaultRule(Record):
    effect: Effect
    service: str = "*"
    method: str = "*"
    path: str = "*"  # shell pattern, or the server's name for `server-error`
    nth: int = 1  # every n-th matching request
    times: int | None = None  # how often it strikes; None: until it is removed
    status: int = 503
    message: str = "The service is unavailable."
    seconds: float = 0.0
    seen: int = 0
    struck: int = 0

    def concerns(self, service: str, method: str, path: str) -> bool:
        return (
            fnmatchcase(service, self.service)
            and fnmatchcase(method, self.method.upper())
            and fnmatchcase(path, self.path)
        )

    @property
    def is_spent(self) -> bool:
        return self.times is not None and self.struck >= self.times


def add(cloud: Cloud, **values: object) -> FaultRule:
    """Adds a rule. Raises BadRequestError when it makes no sense."""
    try:
        rule = cloud.table(FaultRule).adapter.validate_python({**values, "id": uuid.uuid4().hex})
    except ValueError as error:
        raise BadRequestError(f"Not a fault rule: {error}") from error
    if rule.nth < 1:
        raise BadRequestError("nth must be 1 or more")
    return cloud.table(FaultRule).put(rule)


def striking(cloud: Cloud, service: str, method: str, path: str) -> list[FaultRule]:
    """The rules that strike this request, counted as having done so."""
    rules = cloud.table(FaultRule)
    if not rules.records:
        return []
    hits = []
    with cloud.store.transaction():
        for rule in rules:
            if rule.effect is Effect.SERVER_ERROR or rule.is_spent or not rule.concerns(service, method, path):
                continue
            strikes = (rule.seen + 1) % rule.nth == 0
            rules.put(replace(rule, seen=rule.seen + 1, struck=rule.struck + strikes))
            if strikes:
                hits.append(rule)
    return hits


def suffer(cloud: Cloud, service: str, method: str, path: str) -> bool:
    """Lets the request meet its faults; true when its answer must be lost. Raises InjectedError, ConnectionCutError."""
    latency = cloud.tuning.latency_seconds
    if latency:
        time.sleep(latency)
    loses_answer = False
    for rule in striking(cloud, service, method, path):
        match rule.effect:
            case Effect.LATENCY:
                time.sleep(rule.seconds)
            case Effect.HANG:
                time.sleep(rule.seconds or PATIENCE)
                raise ConnectionCutError
            case Effect.REFUSE:
                raise ConnectionCutError
            case Effect.STATUS:
                raise InjectedError(rule.status, rule.message)
            case _:
                loses_answer = True
    return loses_answer


def fault_of_server(cloud: Cloud, name: str) -> str | None:
    """The message with which a server of this name is to fail, if a rule says so."""
    rules = cloud.table(FaultRule)
    for rule in rules:
        if rule.effect is Effect.SERVER_ERROR and not rule.is_spent and fnmatchcase(name, rule.path):
            strikes = (rule.seen + 1) % rule.nth == 0
            rules.put(replace(rule, seen=rule.seen + 1, struck=rule.struck + strikes))
            if strikes:
                return rule.message
    return None
