"""One client of the hub on one connection that stays open, as a browser's does."""

from __future__ import annotations

import http.client
import json
import time
from datetime import datetime
from typing import Any

from tests.processes import Answer

POLL_SECONDS = 1.0
"""A browser's pace. A quicker one would slow what is measured: 100 requests a second take 0.1 s of a plan."""


class Client:
    """Asks the hub; not for several threads."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """One request; every status is an answer."""
        given = {"Content-Type": "application/json"} if body is not None else {}
        data = None if body is None else json.dumps(body)
        self._connection.request(method, path, data, {**given, **headers})
        response = self._connection.getresponse()
        return Answer(response.status, dict(response.headers), response.read())

    def get(self, path: str) -> Answer:
        """GET."""
        return self.ask("GET", path)

    def accepted(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """A request that must be answered 202."""
        answer = self.ask(method, path, body)
        assert answer.status == 202, answer.body
        return dict(answer.json)

    def leaves(self, hostname: str, status: str, seconds: float = 300) -> tuple[str, float]:
        """Poll until a cluster has left a status: the status that it got, and the moment (Unix time) of its event."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = self.get(f"/api/clusters/{hostname}/status").json
            if found["status"] != status:
                events = self.get(f"/api/clusters/{hostname}/timeline").json["items"]
                left = next(event for event in reversed(events) if event["from"] == status)
                return str(left["to"]), datetime.fromisoformat(left["at"]).timestamp()
            time.sleep(POLL_SECONDS)
        raise AssertionError(f"{hostname} is still {status} after {seconds} s")

    def close(self) -> None:
        """Hang up."""
        self._connection.close()
