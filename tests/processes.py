"""Programs of the product, started as they are in real life, for tests that need the whole."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    """A port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], object], what: str, seconds: float = 60) -> Any:
    """Wait for a condition, not for time to pass; returns what it returned."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"never happened within {seconds} s: {what}")
        time.sleep(0.02)
    return found


def clean_environment(**extra: str) -> dict[str, str]:
    """This process's environment without what steers a hub or a Terraform."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OS_", "MCHUB_", "TF_")) or name == "MCHUB_CACHE"
    }
    return kept | extra


@dataclass
class Answer:
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def ask(url: str, method: str = "GET", body: object = None, headers: Mapping[str, str] | None = None) -> Answer:
    """One HTTP request as a program makes it, without proxies; every status is an answer."""
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"Content-Type": "application/json"} if data is not None else {}
    request = urllib.request.Request(url, data=data, method=method, headers={**given, **(headers or {})})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())
    try:
        with opener.open(request, timeout=60) as response:
            return Answer(response.status, response.headers, response.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read())


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: object) -> None:
        return None


@dataclass
class Hub:
    """A hub as a process group of its own."""

    data: Path
    port: int
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    before: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://localhost:{self.port}"

    @property
    def log(self) -> str:
        """What it said so far."""
        return (self.data / "hub.log").read_text()

    def start(self) -> Hub:
        """Start it and wait for its first answer."""
        self.data.mkdir(parents=True, exist_ok=True)
        with (self.data / "hub.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.before, sys.executable, "-c", "from app.cli import main; main()", "serve"],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.starts += 1
        wait_until(self._answers, f"the hub answers; its log: {self.log[-2000:]}")
        return self

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the hub ended: {self.log[-4000:]}"
        try:
            return ask(f"{self.url}/healthz").status == 200
        except OSError:
            return False

    def stop(self) -> None:
        """End it as a supervisor does."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9 of the hub and all its workers."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        if number is signal.SIGKILL:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        self.process.wait(20)

    def get(self, path: str, **headers: str) -> Answer:
        """GET of the API."""
        return ask(f"{self.url}{path}", headers={name.replace("_", "-"): value for name, value in headers.items()})

    def post(self, path: str, body: object = None) -> Answer:
        """POST of the API."""
        return ask(f"{self.url}{path}", "POST", body)

    def put(self, path: str, body: object) -> Answer:
        """PUT of the API."""
        return ask(f"{self.url}{path}", "PUT", body)

    def delete(self, path: str) -> Answer:
        """DELETE of the API."""
        return ask(f"{self.url}{path}", "DELETE")

    def status(self, hostname: str) -> dict[str, Any]:
        """The status document of a cluster."""
        answer = self.get(f"/api/clusters/{hostname}/status")
        assert answer.status == 200, answer.body
        return dict(answer.json)

    def reaches(self, hostname: str, *statuses: str, seconds: float = 120) -> dict[str, Any]:
        """Wait until a cluster has one of the statuses; one that ends in another error fails at once."""

        def look() -> dict[str, Any] | None:
            found = self.status(hostname)
            if found["status"] in statuses:
                return found
            assert not found["status"].endswith("_error"), json.dumps(found, indent=1)
            return None

        found: dict[str, Any] = wait_until(look, f"{hostname} is {' or '.join(statuses)}", seconds)
        return found


@dataclass
class Nodes:
    """The nodes of a cloud, as a process."""

    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(10)


def start_nodes(clouds_yaml: Path, log: Path, *options: str) -> Nodes:
    """Boot nodes for the cloud `sandbox` of a clouds.yaml, quickly."""
    quick = ("--silent=0.3", "--refused=0.3", "--bad-gateway=0.3", "--freeipa-later=0.3", "--poll=0.2")
    with log.open("ab") as file:
        return Nodes(
            subprocess.Popen(
                [sys.executable, "-c", "from app.cli import main; main()", "nodes", *(options or quick)],
                cwd=ROOT,
                env=clean_environment(OS_CLIENT_CONFIG_FILE=str(clouds_yaml), OS_CLOUD="sandbox"),
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        )


@dataclass
class RunningHub:
    """A hub with its sandbox cloud and nodes, as a newcomer has them."""

    hub: Hub
    sandbox: Any
    nodes: Nodes | None = field(default=None)

    @property
    def url(self) -> str:
        """Where the hub answers."""
        return self.hub.url

    @property
    def data(self) -> Path:
        """The hub's data folder."""
        return self.hub.data

    def gone(self, hostname: str) -> None:
        """Wait until a cluster is destroyed."""
        wait_until(lambda: self.hub.get(f"/api/clusters/{hostname}").status == 404, f"{hostname} is gone", 120)

    def stop(self) -> None:
        """End all three."""
        if self.nodes is not None:
            self.nodes.stop()
        self.hub.stop()
        self.sandbox.stop()
