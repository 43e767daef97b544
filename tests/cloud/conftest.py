"""A sandbox cloud for the room's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.cloud.connections import Cloud, Connections
from app.cloud.credential import flatten
from tests.conftest import fresh_floating_range
from tests.sandbox import process
from tests.sandbox.process import Sandbox


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The cloud, running."""
    running = process.start(
        tmp_path_factory.mktemp("cloud") / "sandbox", floating_range=fresh_floating_range(), boot_seconds=0.1
    )
    yield running
    running.stop()


@pytest.fixture
def credential(sandbox: Sandbox) -> dict[str, str]:
    """The credential of its project, flat."""
    return flatten({"OS_CLOUD": "sandbox", "OS_CLIENT_CONFIG_FILE": str(sandbox.clouds_yaml)})


@pytest.fixture
def cloud(credential: dict[str, str]) -> Cloud:
    """The cloud, signed in; no call of it takes longer than a second."""
    return Connections(timeout_seconds=1).open(credential)
