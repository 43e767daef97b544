"""What every test may ask for: an app on a temporary database, a sandbox cloud, a running hub."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from app import create_app
from app.serving import prepare
from app.settings import Settings
from tests.processes import Hub, RunningHub, clean_environment, free_port, start_nodes
from tests.sandbox import process as sandbox_process

FIRST_RANGE = 100
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJ0b9n0l3yZ2kO5c7eQ4wX8mVtJr1sHfUu6PpAaBbCc test@mchub"


@pytest.fixture(autouse=True)
def no_cloud_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests choose their cloud themselves."""
    for name in [name for name in os.environ if name.startswith(("OS_", "TF_"))]:
        monkeypatch.delenv(name)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with a data folder of the test's own."""
    return Settings(data=tmp_path / "data", cache=Path(os.environ.get("MCHUB_CACHE", "~/.cache/mchub")), token=None)


@pytest.fixture
def app(settings: Settings) -> APIFlask:
    """The web application on a fresh database, without a cloud."""
    application = create_app(settings)
    application.testing = True
    prepare(application, settings)
    return application


@pytest.fixture
def client(app: APIFlask) -> FlaskClient:
    """Makes requests without a server."""
    return app.test_client()


_ranges = itertools.count()


def fresh_floating_range() -> str:
    """Loopback addresses that no other test, nor another test process, uses for its nodes."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return f"127.{FIRST_RANGE + worker}.{next(_ranges) % 256}.0/24"


def start_hub(data: Path, clouds_yaml: Path, **settings: str) -> Hub:
    """A hub on a cloud, quick in all that a person would wait for."""
    port = free_port()
    environment = clean_environment(
        MCHUB_DATA=str(data),
        MCHUB_PORT=str(port),
        MCHUB_PROBE_SECONDS="0.3",
        MCHUB_RESOURCES_TTL_SECONDS="1",
        MCHUB_WEB_THREADS="64",
        OS_CLIENT_CONFIG_FILE=str(clouds_yaml),
        OS_CLOUD="sandbox",
        **settings,
    )
    return Hub(data, port, environment).start()


@pytest.fixture(scope="session")
def shared_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """Hub, sandbox and nodes for all tests of this process that leave them as they found them."""
    folder = tmp_path_factory.mktemp("hub")
    cloud = sandbox_process.start(folder / "sandbox", floating_range=fresh_floating_range(), boot_seconds=0.2)
    hub = start_hub(folder / "data", cloud.clouds_yaml)
    running = RunningHub(hub, cloud, start_nodes(cloud.clouds_yaml, folder / "nodes.log"))
    yield running
    running.stop()


@pytest.fixture
def running_hub(tmp_path: Path) -> Iterator[RunningHub]:
    """Hub, sandbox and nodes of one test's own: it may kill them, break them and fill them."""
    cloud = sandbox_process.start(tmp_path / "sandbox", floating_range=fresh_floating_range(), boot_seconds=0.2)
    hub = start_hub(tmp_path / "data", cloud.clouds_yaml)
    running = RunningHub(hub, cloud, start_nodes(cloud.clouds_yaml, tmp_path / "nodes.log"))
    yield running
    running.stop()
