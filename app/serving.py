"""Serving the hub: gunicorn's threads for the web, and beside them the dispatcher (DESIGN: "Processes")."""

from __future__ import annotations

import gc
import importlib
import os
from typing import Any

from apiflask import APIFlask
from flask_migrate import upgrade
from gunicorn.app.base import BaseApplication

from app import create_app
from app.accounts import service as accounts
from app.cloud.credential import CredentialError, flatten
from app.clusters.folders import sweep
from app.clusters.probes import Prober
from app.clusters.tasks import TASKS
from app.db import MIGRATIONS, db
from app.lifecycle.dispatch import Dispatcher, Periodic
from app.logs import configure_logging, get_logger
from app.secrets import keep_private
from app.settings import Settings

log = get_logger(__name__)
LOOK_FOR_PROBES_SECONDS = 1.0
UMASK = 0o077
PRIVATE_FILES = ("mchub.sqlite3", "mchub.sqlite3-wal", "mchub.sqlite3-shm", "dispatcher.lock")
"""What an earlier hub may have made for all to read."""


def prepare(app: APIFlask, settings: Settings) -> None:
    """Bring the database up to date and keep the environment's credential. Once, before any worker starts."""
    with app.app_context():
        upgrade(directory=str(MIGRATIONS))
        try:
            credential = flatten(settings.cloud_environment)
        except CredentialError as error:
            # The hub starts all the same: its pages say what is wrong with the cloud.
            log.warning("no cloud credential", reason=str(error))
            credential = {}
        accounts.keep_default_project(credential)
        db.session.remove()
        db.engine.dispose()


def make_dispatcher(app: APIFlask, settings: Settings) -> Dispatcher:
    """The dispatcher of this process with all tasks and what is done now and then; not started."""
    return Dispatcher(
        app=app,
        tasks=TASKS,
        data=settings.data,
        slots=settings.operations_at_once,
        lease_seconds=settings.lease_seconds,
        at_start=[sweep],
        periodic=[Periodic("probes", min(LOOK_FOR_PROBES_SECONDS, settings.probe_seconds), Prober().round)],
    )


def start_background(app: APIFlask, settings: Settings) -> Dispatcher:
    """Start the dispatcher of this process."""
    dispatcher = make_dispatcher(app, settings)
    dispatcher.start()
    return dispatcher


class Hub(BaseApplication):  # type: ignore[misc]
    """The web server: `web_workers` processes with `web_threads` threads each."""

    def __init__(self, app: APIFlask, settings: Settings) -> None:
        self.hub = app
        self.hub_settings = settings
        self._dispatcher: Dispatcher | None = None
        super().__init__()

    def load_config(self) -> None:
        """Gunicorn's settings (docs.gunicorn.org, "Settings")."""
        settings = self.hub_settings
        host = f"[{settings.bind}]" if ":" in settings.bind else settings.bind
        options: dict[str, Any] = {
            "bind": f"{host}:{settings.port}",
            "worker_class": "gthread",
            "workers": settings.web_workers,
            "threads": settings.web_threads,
            "worker_connections": 2 * settings.web_threads,
            "keepalive": 30,
            "timeout": 60,
            "graceful_timeout": 3,
            "preload_app": True,
            "proc_name": "mchub",
            "umask": UMASK,
            "control_socket_disable": True,
            "post_worker_init": self._worker_starts,
            "worker_exit": self._worker_ends,
            "when_ready": self._ready,
            "worker_tmp_dir": "/dev/shm" if os.path.isdir("/dev/shm") else None,  # noqa: PTH112, S108
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> APIFlask:
        """The WSGI application."""
        return self.hub

    def _worker_starts(self, _worker: Any) -> None:
        self._dispatcher = start_background(self.hub, self.hub_settings)

    def _worker_ends(self, _arbiter: Any, _worker: Any) -> None:
        if self._dispatcher is not None:
            self._dispatcher.stop()

    def _ready(self, _arbiter: Any) -> None:
        print(f"MC Hub answers on {url(self.hub, self.hub_settings)}", flush=True)  # noqa: T201


def url(app: APIFlask, settings: Settings) -> str:
    """The address to open, with the start-up token where one is asked for."""
    token = app.config["STARTUP_TOKEN"]
    return settings.url + (f"?token={token}" if token else "")


def load_what_is_shared() -> None:
    """Load what every process comes to need before they part: it is in memory once, and nobody's first click waits.

    Frozen, because the garbage collector writes to all that it looks at, and what is written to is no longer shared.
    """
    importlib.import_module("openstack.connection")
    gc.collect()
    gc.freeze()


def serve(settings: Settings) -> None:
    """Run the hub until it is told to end. What it and its children write is for their owner only.

    Raises:
        OSError: the data folder cannot be used.
        app.secrets.SecretsError: a key is malformed, or is not the one that the database was sealed with.
        app.terraform.templates.TemplateError: there is no folder of cluster templates.
        sqlalchemy.exc.SQLAlchemyError: the database cannot be used.
    """
    os.umask(UMASK)
    configure_logging(settings)
    keep_private(settings.data, PRIVATE_FILES)
    app = create_app(settings)
    prepare(app, settings)
    load_what_is_shared()
    Hub(app, settings).run()
