"""Migrations lead from nothing to the models, and back."""

from __future__ import annotations

import sqlite3

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from apiflask import APIFlask
from flask_migrate import downgrade, upgrade
from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError

from app.db import MIGRATIONS, Base, UtcDateTime, db, iso, now, transaction
from app.settings import Settings
from tests.clusters.rows import keep_cluster


def tables() -> set[str]:
    """The tables that the database has."""
    return set(inspect(db.engine).get_table_names()) - {"alembic_version"}


def test_from_nothing_they_lead_to_the_models(app: APIFlask) -> None:
    with app.app_context(), db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": _same_type, "render_as_batch": True})
        assert compare_metadata(context, Base.metadata) == []
        assert tables() == set(Base.metadata.tables)


def _same_type(_context: object, _column: object, _other: object, inspected: object, ours: object) -> bool | None:
    """Our moments are the database's DATETIME; all else is compared as Alembic does."""
    return False if isinstance(ours, UtcDateTime) and str(inspected) == "DATETIME" else None


def test_the_indexes_that_hold_promises_are_there(app: APIFlask) -> None:
    with app.app_context():
        found = {
            (table, index["name"])
            for table in tables()
            for index in inspect(db.engine).get_indexes(table)
            if index["unique"]
        }
    assert {("operations", "uq_operations_one_writer"), ("clusters", "uq_clusters_hostname_living")} <= found


def test_they_lead_back_to_nothing_and_forth_again(app: APIFlask) -> None:
    with app.app_context():
        downgrade(directory=str(MIGRATIONS), revision="base")
        assert tables() == set()
        upgrade(directory=str(MIGRATIONS))
        assert tables() == set(Base.metadata.tables)


def test_running_them_again_keeps_what_is_there(app: APIFlask) -> None:
    with app.app_context():
        hostname = keep_cluster().hostname
        db.session.remove()
        upgrade(directory=str(MIGRATIONS))
        assert db.session.scalar(text("SELECT hostname FROM clusters")) == hostname


def test_one_living_cluster_a_hostname_is_held_by_the_database(app: APIFlask) -> None:
    with app.app_context():
        keep_cluster("twice")
        with pytest.raises(IntegrityError):
            keep_cluster("twice")


def test_sqlite_is_tuned_so_that_readers_never_wait(app: APIFlask, settings: Settings) -> None:
    with app.app_context(), db.engine.connect() as connection:
        found = {
            name: connection.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "foreign_keys", "busy_timeout")
        }
    assert (found["journal_mode"], found["foreign_keys"]) == ("wal", 1)
    assert found["busy_timeout"] >= 5000
    with sqlite3.connect(settings.data / "mchub.sqlite3") as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    raw.close()


def test_a_moment_needs_its_zone_and_comes_back_in_utc() -> None:
    column = UtcDateTime()
    dialect = db.Model.metadata  # the dialect is not looked at
    assert column.process_bind_param(None, dialect) is None  # type: ignore[arg-type]
    moment = now()
    stored = column.process_bind_param(moment, dialect)  # type: ignore[arg-type]
    assert stored is not None
    assert stored.tzinfo is None
    assert column.process_result_value(stored, dialect) == moment  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="time zone"):
        column.process_bind_param(moment.replace(tzinfo=None), dialect)  # type: ignore[arg-type]
    assert iso(None) is None


def test_what_a_block_did_is_kept_whole_or_not_at_all(app: APIFlask) -> None:
    with app.app_context():

        def half() -> None:
            with transaction():
                db.session.execute(text("DELETE FROM projects"))
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            half()
        assert db.session.scalar(text("SELECT count(*) FROM projects")) == 1
