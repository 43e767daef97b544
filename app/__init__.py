"""MC Hub: build, watch, change and tear down HPC clusters on OpenStack, from a browser or an API."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apiflask import APIFlask

    from app.settings import Settings

__version__ = "0.1.0"


def create_app(settings: Settings | None = None) -> APIFlask:
    """The hub's web application, wired; it starts no background work (see `app.serving.start_background`)."""
    # Imported here, so that a program beside the hub (sandbox, nodes, runner) does not load the web application.
    from apiflask import APIFlask
    from flask_wtf import CSRFProtect

    from app import secrets
    from app.accounts.perimeter import init_perimeter, start_up_token
    from app.bodies import MAX_BYTES
    from app.clusters.api import api as clusters_api
    from app.clusters.equipment import make_equipment
    from app.clusters.pages import pages as clusters_pages
    from app.db import init_database
    from app.errors import register_error_handlers
    from app.openapi import init_openapi
    from app.settings import ROOT, read_settings

    settings = settings or read_settings()
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    app = APIFlask(
        __name__,
        title="MC Hub",
        version=__version__,
        spec_path="/api/openapi.json",
        docs_path=None,
        json_errors=False,
        static_folder=str(ROOT / "static"),
        template_folder=str(ROOT / "templates"),
    )
    app.config.update(
        SETTINGS=settings,
        STARTUP_TOKEN=start_up_token(settings),
        MAX_CONTENT_LENGTH=MAX_BYTES,
        SQLALCHEMY_DATABASE_URI=settings.sqlalchemy_url,
        SQLALCHEMY_ENGINE_OPTIONS={
            "pool_size": 16,
            "max_overflow": settings.web_threads,
            "pool_timeout": 10,
            # What a statement is given may be secret, and errors of the database quote it.
            "hide_parameters": True,
        },
        # Cookies know no ports: two hubs on one machine must not overwrite each other's.
        SESSION_COOKIE_NAME=f"mchub_session_{settings.port}",
        SESSION_COOKIE_SAMESITE="Lax",
        WTF_CSRF_TIME_LIMIT=None,
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]
    vault = secrets.open_vault(settings)
    app.extensions["vault"] = vault
    app.extensions["equipment"] = make_equipment(settings, vault)
    app.extensions["log_streams"] = threading.BoundedSemaphore(max(1, settings.streams))

    init_perimeter(app, settings)
    init_database(app)
    register_error_handlers(app)
    csrf = CSRFProtect(app)
    # A page elsewhere cannot send JSON here unasked, and the perimeter checks Origin; programs have no form token.
    csrf.exempt(clusters_api)
    app.register_blueprint(clusters_api)
    app.register_blueprint(clusters_pages)
    init_openapi(app)
    return app
