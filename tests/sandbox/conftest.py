"""A sandbox cloud for these tests: one that they share, and fresh ones for those that kill it or change its limits."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from openstack.connection import Connection

from .process import Sandbox, start

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """openstacksdk announces its next major version on calls that have no other form yet."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"))


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    cloud = start(tmp_path_factory.mktemp("sandbox"), boot_seconds=0.5)
    yield cloud
    cloud.stop()


@pytest.fixture
def conn(sandbox: Sandbox) -> Iterator[Connection]:
    with sandbox.connect() as connection:
        yield connection


@pytest.fixture
def floating_range() -> str:
    """Loopback addresses that no other worker of the test run uses."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    return f"127.81.{worker}.0/24"


@pytest.fixture
def fresh(tmp_path: Path, floating_range: str) -> Iterator[Callable[..., Sandbox]]:
    """Starts clouds of one's own; all are stopped in the end."""
    started: list[Sandbox] = []

    def begin(boot_seconds: float = 0.5) -> Sandbox:
        cloud = start(tmp_path / f"cloud-{len(started)}", 0, floating_range, boot_seconds)
        started.append(cloud)
        return cloud

    yield begin
    for cloud in started:
        cloud.stop()
