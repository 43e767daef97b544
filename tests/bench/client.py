"""One client of the hub on one connection that stays open, as a browser's does."""

from __future__ import annotations

import http.client
import json
import time
from typing import Any

from tests.processes import Answer

PAUSE_SECONDS = 0.01


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

    def leaves(self, hostname: str, *statuses: str, seconds: float = 300) -> dict[str, Any]:
        """Poll the status every 10 ms until it is none of these."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = dict(self.get(f"/api/clusters/{hostname}/status").json)
            if found["status"] not in statuses:
                return found
            time.sleep(PAUSE_SECONDS)
        raise AssertionError(f"{hostname} is still {' or '.join(statuses)} after {seconds} s")

    def close(self) -> None:
        """Hang up."""
        self._connection.close()
