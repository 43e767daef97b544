"""`mchub up`: what `./run.sh` runs once its Python is there: the set-up's rest, then sandbox, nodes and hub."""

from __future__ import annotations

import fcntl
import http.client
import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from app.settings import Settings
from app.setup.frontend import setup_frontend
from app.setup.providers import setup_providers
from app.setup.steps import say
from app.setup.supervisor import Program, Supervisor
from app.terraform.engine import find_engine

ROOT = Path(__file__).resolve().parent.parent.parent
ANSWER_SECONDS = 5
SANDBOX_CLOUD = "sandbox"


class UpError(RuntimeError):
    """The hub can't be started as things are, with what to do about it."""


def set_up(settings: Settings) -> None:
    """Everything but Python's own packages: Terraform, the providers, the front end. A second time it's quick.

    Raises EngineError, MirrorError, ToolError, FrontendError.
    """
    log = settings.data / "logs" / "setup.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    find_engine(settings.terraform, os.environ.get("PATH"))
    setup_frontend(ROOT, settings.cache, log)
    setup_providers(settings.cache, log, settings.terraform)


def run(settings: Settings, began: float) -> None:
    """Set up, start what a newcomer needs, and keep it running until told to stop.

    `began` is when the person asked for it (monotonic seconds). Raises what `set_up` raises, UpError, GaveUpError.
    """
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(settings.data):
        set_up(settings)
        programs = programs_to_run(settings, os.environ)
        for address, port, variable in _addresses(settings, len(programs) > 1):
            _check_free(address, port, variable)
        Supervisor(programs, say, lambda: _announce(settings, len(programs) > 1, began)).run()


def programs_to_run(settings: Settings, environment: Mapping[str, str]) -> list[Program]:
    """The hub; before it sandbox and nodes, unless the environment names a cloud (OS_AUTH_URL or OS_CLOUD)."""
    mchub = str(Path(sys.executable).with_name("mchub"))
    logs = settings.data / "logs"
    common = dict(environment) | {"MCHUB_DATA": str(settings.data), "PYTHONUNBUFFERED": "1"}
    hub_answers = partial(answers, _reachable(settings.bind), settings.port)
    if environment.get("OS_AUTH_URL") or environment.get("OS_CLOUD"):
        return [Program("hub", [mchub, "serve"], common, logs / "hub.log", hub_answers, speaks=True, stop_seconds=10)]
    clouds_yaml = settings.data / "sandbox" / "clouds.yaml"
    common = {name: value for name, value in common.items() if not name.startswith("OS_")}
    client = common | {"OS_CLIENT_CONFIG_FILE": str(clouds_yaml), "OS_CLOUD": SANDBOX_CLOUD}

    def cloud_answers() -> bool:
        return clouds_yaml.is_file() and answers("127.0.0.1", settings.sandbox_port)

    return [
        Program("sandbox cloud", [mchub, "sandbox"], common, logs / "sandbox.log", cloud_answers),
        Program("nodes", [mchub, "nodes"], client, logs / "nodes.log"),
        Program("hub", [mchub, "serve"], client, logs / "hub.log", hub_answers, speaks=True, stop_seconds=10),
    ]


def answers(address: str, port: int) -> bool:
    """Whether something there speaks HTTP; what it says doesn't matter."""
    connection = http.client.HTTPConnection(address, port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", "/", headers={"Host": f"localhost:{port}"})
        return connection.getresponse().status > 0
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@contextmanager
def _alone(data: Path) -> Iterator[None]:
    """Hold the data folder: two hubs need one each."""
    with (data / "run.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UpError(
                f"Another ./run.sh runs with {data}. Stop it, or give this one a folder and ports of its own: "
                "MCHUB_DATA, MCHUB_PORT, MCHUB_SANDBOX_PORT, MCHUB_SANDBOX_FLOATING_RANGE."
            ) from None
        yield


def _addresses(settings: Settings, with_sandbox: bool) -> Iterator[tuple[str, int, str]]:
    yield settings.bind, settings.port, "MCHUB_PORT"
    if with_sandbox:
        yield "127.0.0.1", settings.sandbox_port, "MCHUB_SANDBOX_PORT"


def _check_free(address: str, port: int, variable: str) -> None:
    """Say it before anything is started, and in words, when an address can't be had."""
    try:
        family, _, _, _, where = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except OSError as error:
        raise UpError(
            f"{address}:{port} can't be listened on ({error.strerror}). Another program may have it: choose another, "
            f"as in {variable}={port + 1} ./run.sh"
        ) from error


def _reachable(bind: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind, bind)  # noqa: S104 - compared, not bound


def _announce(settings: Settings, with_sandbox: bool, began: float) -> None:
    say(f"\nMC Hub is ready after {time.monotonic() - began:.0f} s.")
    if settings.is_loopback:
        say(f"  Open     {settings.url.rstrip('/')}")
        say("  Try      the form is filled in: press Apply, read the plan, confirm, and watch the cluster come up")
    else:
        say("  Open     the address with the start-up token, printed above")
    if with_sandbox:
        clouds = settings.data / "sandbox" / "clouds.yaml"
        say(f"  Cloud    the built-in sandbox; look in with OS_CLIENT_CONFIG_FILE={clouds} OS_CLOUD={SANDBOX_CLOUD}")
    else:
        say(f"  Cloud    {os.environ.get('OS_CLOUD') or os.environ.get('OS_AUTH_URL')}")
    say(f"  Logs     {settings.data / 'logs'}")
    say("  Stop     Ctrl-C\n")
