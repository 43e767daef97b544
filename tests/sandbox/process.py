"""Starts the sandbox cloud as a process, for whatever test needs a cloud."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from keystoneauth1.identity import v3
from keystoneauth1.session import Session
from openstack.connection import Connection

ROOT = Path(__file__).resolve().parents[2]


class Admin:
    """The sandbox's own API: tuning, quotas, faults."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.token = token

    def call(self, method: str, path: str, body: object = None) -> Any:
        request = urllib.request.Request(
            f"{self.url}/sandbox{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Sandbox-Token": self.token, "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def overview(self) -> Any:
        return self.call("GET", "/")

    def tune(self, **values: float) -> Any:
        return self.call("PATCH", "/tuning", values)

    def quotas(self, **limits_of_service: Mapping[str, int]) -> Any:
        return self.call("PATCH", "/quotas", limits_of_service)

    def fault(self, effect: str, **values: Any) -> str:
        rule = self.call("POST", "/faults", {"effect": effect, **values})
        return str(rule["id"])

    def clear_faults(self) -> None:
        self.call("DELETE", "/faults")

    def offer(self, flavors: int = 0, images: int = 0) -> None:
        """As many more flavors and images, for tests of a big cloud."""
        self.call("POST", "/offers", {"flavors": flavors, "images": images})

    def revoke_tokens(self) -> None:
        self.call("POST", "/tokens/revoke")


@dataclass
class Sandbox:
    process: "subprocess.Popen[str]"
    data: Path
    url: str
    port: int
    options: list[str] = field(default_factory=list)

    @property
    def clouds_yaml(self) -> Path:
        return self.data / "clouds.yaml"

    @property
    def admin(self) -> Admin:
        return Admin(self.url, (self.data / "admin-token").read_text().strip())

    @property
    def environment(self) -> dict[str, str]:
        """This process's environment, with this cloud and no other in it."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
        return {**kept, "OS_CLIENT_CONFIG_FILE": str(self.clouds_yaml), "OS_CLOUD": "sandbox"}

    def credentials(self, cloud: str = "sandbox") -> dict[str, str]:
        auth: dict[str, str] = yaml.safe_load(self.clouds_yaml.read_text())["clouds"][cloud]["auth"]
        return auth

    def connect(self, cloud: str = "sandbox") -> Connection:
        auth = self.credentials(cloud)
        plugin = v3.Password(**auth) if "password" in auth else v3.ApplicationCredential(**auth)
        return Connection(session=Session(plugin), region_name="RegionOne", interface="public")

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(timeout=10)
        if self.process.stdout:
            self.process.stdout.close()

    def restart(self) -> "Sandbox":
        """The same cloud, on the same port and data, as a new process."""
        return start(self.data, self.port, *self.options)


def start(data: Path, port: int = 0, floating_range: str = "127.77.0.0/24", boot_seconds: float | str = 1.0) -> Sandbox:
    """Starts a cloud and waits until it listens. Port 0 takes a free one."""
    options = [floating_range, str(boot_seconds)]
    process = subprocess.Popen(
        [sys.executable, "-m", "app.sandbox", "cloud", "--data", str(data), "--port", str(port),
         "--floating-range", floating_range, "--boot-seconds", str(boot_seconds)],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    line = process.stdout.readline()  # the one line that says where it listens; empty when it ended
    if "http://" not in line:
        raise RuntimeError(f"The sandbox cloud did not start: exit code {process.wait(10)}")
    url = line.split("on ", 1)[1].split(" ", 1)[0]
    return Sandbox(process, data, url, int(url.rsplit(":", 1)[1]), options)


def wait_until(condition: Any, seconds: float = 15.0, what: str = "condition") -> Any:
    """What the condition returns once it's true. Raises AssertionError after the time given."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.05)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
