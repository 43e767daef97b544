"""A hub without a cloud that a module shares; and a hub on a sandbox cloud, whose operations nobody runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app import create_app
from app.cloud.credential import flatten
from app.clusters.models import Cluster, StatusDocument
from app.db import db
from app.lifecycle.operations import Operation
from app.serving import prepare
from app.settings import Settings
from tests.conftest import fresh_floating_range
from tests.sandbox import process as sandbox_process


def make_hub(folder: Path, credential: dict[str, str]) -> APIFlask:
    """An app with its own data, on the cloud of the credential."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Settings, "cloud_environment", credential)
        settings = Settings(data=folder / "data", resources_ttl_seconds=0)
        application = create_app(settings)
        application.testing = True
        prepare(application, settings)
    return application


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[APIFlask]:
    """A hub without a cloud."""
    application = make_hub(tmp_path_factory.mktemp("hub"), {})
    yield application
    with application.app_context():
        db.engine.dispose()


@pytest.fixture
def hub_client(hub: APIFlask) -> FlaskClient:
    """Makes requests to the hub without a cloud."""
    return hub.test_client()


@pytest.fixture
def session(hub: APIFlask) -> Iterator[None]:
    """The database's session of the hub without a cloud."""
    with hub.app_context():
        yield
        db.session.remove()


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sandbox_process.Sandbox]:
    """A sandbox cloud of the module's own."""
    running = sandbox_process.start(
        tmp_path_factory.mktemp("cloud") / "sandbox", floating_range=fresh_floating_range(), boot_seconds=0.1
    )
    yield running
    running.stop()


@pytest.fixture(scope="module")
def cloud_hub(cloud: sandbox_process.Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[APIFlask]:
    """A hub on the sandbox cloud; no dispatcher runs, so every operation stays queued."""
    credential = flatten({"OS_CLOUD": "sandbox", "OS_CLIENT_CONFIG_FILE": str(cloud.clouds_yaml)})
    application = make_hub(tmp_path_factory.mktemp("hub"), credential)
    yield application
    with application.app_context():
        db.engine.dispose()


@pytest.fixture
def cloud_client(cloud_hub: APIFlask) -> FlaskClient:
    """Makes requests to the hub on the sandbox cloud."""
    return cloud_hub.test_client()


def traces(application: APIFlask) -> tuple[int, ...]:
    """How many clusters, operations, status documents and cluster folders there are."""
    with application.app_context():
        counts = [db.session.scalar(select(func.count()).select_from(t)) for t in (Cluster, Operation, StatusDocument)]
        db.session.remove()
    folder: Path = application.config["SETTINGS"].data / "clusters"
    return (*(count or 0 for count in counts), len(list(folder.iterdir())) if folder.exists() else 0)
