"""Answers of a cloud that many ask for at once: one asks (a flight), the others share what it brings, its error too.

A cloud that hangs is waited for once; while it is known to fail, only whoever asks anew waits.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from copy import copy
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from app.errors import CloudUnavailable

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class _Kept(Generic[Answer]):
    """An answer, when it came, and what was so when it was asked for."""

    answer: Answer
    at: float
    token: str


@dataclass(frozen=True)
class _Failure:
    """How the last flight failed, and when; forgotten with the next answer."""

    error: CloudUnavailable
    at: float


@dataclass(frozen=True, eq=False)
class _Flight(Generic[Answer]):
    """A question that is being asked."""

    token: str
    landing: Future[Answer] = field(default_factory=Future)


@dataclass
class Flights(Generic[Answer]):
    """Answers by key, used again for `ttl_seconds`; a failure is used again for `failure_seconds`."""

    ttl_seconds: float
    failure_seconds: float = 3.0
    _answers: dict[str, _Kept[Answer]] = field(default_factory=dict)
    _failures: dict[str, _Failure] = field(default_factory=dict)
    _flights: dict[str, _Flight[Answer]] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def get(
        self, key: str, ask: Callable[[], Answer], *, wait_seconds: float, token: str = "", anew: bool = False
    ) -> Answer:
        """The answer under `key`: a fresh one from when `token` was the same, else what the present flight brings.

        1. An answer that is fresh is used again.
        2. A failure of a moment ago is told at once, and so is an older one while somebody asks anew. With `anew` (a
           person did something and waits for it) only the latter.
        3. Where somebody asks already, wait for what that brings, `wait_seconds` at most; else ask.

        Raises:
            CloudUnavailable: the cloud fails, did a moment ago, or lets one wait too long.
        """
        with self._guard:
            kept = self._answers.get(key)
            if kept is not None and kept.token == token and time.monotonic() - kept.at < self.ttl_seconds:
                return kept.answer
            present = self._flights.get(key)
            failure = self._failures.get(key)
            recent = failure is not None and not anew and time.monotonic() - failure.at < self.failure_seconds
            if failure is not None and (present or recent):
                # A copy: an exception that many threads raise would gather the traceback of each.
                raise copy(failure.error)
            # What was asked before something changed is no answer after it.
            is_shared = present is not None and present.token == token
            flight = present if present is not None and is_shared else _Flight[Answer](token)
            self._flights[key] = flight
        return self._wait(key, flight, wait_seconds) if is_shared else self._fly(key, flight, ask)

    def last(self, key: str) -> Answer | None:
        """The last answer under `key`, however old."""
        kept = self._answers.get(key)
        return None if kept is None else kept.answer

    def _fly(self, key: str, flight: _Flight[Answer], ask: Callable[[], Answer]) -> Answer:
        try:
            answer = ask()
        except BaseException as error:
            with self._guard:
                if self._is_over(key, flight) and isinstance(error, CloudUnavailable):
                    self._failures[key] = _Failure(error, time.monotonic())
            flight.landing.set_exception(error)
            raise
        with self._guard:
            if self._is_over(key, flight):
                self._answers[key] = _Kept(answer, time.monotonic(), flight.token)
                self._failures.pop(key, None)
        flight.landing.set_result(answer)
        return answer

    def _is_over(self, key: str, flight: _Flight[Answer]) -> bool:
        """Take the flight off; False if a newer one has its place: what it brings is of before a change."""
        if self._flights.get(key) is not flight:
            return False
        del self._flights[key]
        return True

    def _wait(self, key: str, flight: _Flight[Answer], seconds: float) -> Answer:
        try:
            return flight.landing.result(seconds)
        except CloudUnavailable as error:
            raise copy(error) from error
        except TimeoutError as error:
            if flight.landing.done():
                return flight.landing.result()
            late = CloudUnavailable("The cloud did not answer in time.", kind="cloud-timeout")
            with self._guard:
                if self._flights.get(key) is flight:
                    self._failures[key] = _Failure(late, time.monotonic())
            raise copy(late) from error
