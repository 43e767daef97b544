"""An app that all tests of a module share (rows are told apart by id), and a dispatcher that always ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from apiflask import APIFlask
from flask import Flask

from app import create_app
from app.db import db
from app.serving import prepare
from app.settings import Settings


@contextmanager
def context_of(app: Flask) -> Iterator[None]:
    """The app's context, with a session of its own that is closed at the end."""
    with app.app_context():
        try:
            yield
        finally:
            db.session.remove()


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[APIFlask]:
    """The application on a database of the module's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Settings, "cloud_environment", {})
        settings = Settings(data=tmp_path_factory.mktemp("lifecycle") / "data")
        application = create_app(settings)
        prepare(application, settings)
        yield application
        with application.app_context():
            db.engine.dispose()


@pytest.fixture
def session(hub: APIFlask) -> Iterator[None]:
    """The database's session, open for the test."""
    with context_of(hub):
        yield
