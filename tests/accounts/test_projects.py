"""Projects: the credential of the environment, sealed; and the audit trail."""

from __future__ import annotations

import json

import pytest
from apiflask import APIFlask
from sqlalchemy import select

from app.accounts import service as accounts
from app.accounts.models import AuditEntry
from app.db import db
from app.errors import Invalid
from app.settings import Settings

CREDENTIAL = {"OS_AUTH_URL": "https://cloud.example/v3", "OS_USERNAME": "ada", "OS_PASSWORD": "correct-horse-battery"}


def bytes_of_the_database(settings: Settings) -> bytes:
    """Everything that SQLite has on the disk, its log included."""
    files = sorted(settings.data.glob("mchub.sqlite3*"))
    assert files
    return b"".join(path.read_bytes() for path in files)


def test_there_is_one_project_from_the_first_day(app: APIFlask) -> None:
    with app.app_context():
        assert [project.name for project in accounts.projects()] == ["default"]
        assert accounts.credential_of(accounts.project_named("default")) == {}


def test_the_credential_is_sealed_at_rest_and_opens_again(app: APIFlask, settings: Settings) -> None:
    with app.app_context():
        accounts.keep_default_project(CREDENTIAL)
        db.session.remove()
        db.engine.dispose()
        kept = bytes_of_the_database(settings)
        assert CREDENTIAL["OS_PASSWORD"].encode() not in kept
        assert b"ada" not in kept.split(b"gAAAA", 1)[-1][:100]
        assert accounts.credential_of(accounts.project_named("default")) == CREDENTIAL


def test_the_same_credential_is_not_sealed_anew(app: APIFlask) -> None:
    with app.app_context():
        first = accounts.keep_default_project(CREDENTIAL).credential
        assert accounts.keep_default_project(CREDENTIAL).credential == first
        assert accounts.keep_default_project({**CREDENTIAL, "OS_USERNAME": "bob"}).credential != first
        assert len(accounts.projects()) == 1


def test_an_unknown_project_is_an_error_at_its_field(app: APIFlask) -> None:
    with app.app_context():
        with pytest.raises(Invalid) as refused:
            accounts.project_named("<b>")
        assert [error.field for error in refused.value.errors] == ["project"]
        with pytest.raises(LookupError):
            accounts.project_of("none")
        project = accounts.project_named("default")
        assert accounts.project_of(project.id).name == "default"


def test_what_is_audited_names_who_and_what(app: APIFlask) -> None:
    with app.app_context():
        accounts.audit("read secrets", "cluster", "an-id", hostname="a.b")
        db.session.commit()
        (entry,) = db.session.scalars(select(AuditEntry))
        assert (entry.actor, entry.action, entry.subject_type, entry.subject_id) == (
            *("local", "read secrets", "cluster", "an-id"),
        )
        assert json.dumps(entry.detail) == '{"hostname": "a.b"}'
        assert entry.at.tzinfo is not None


def test_what_is_audited_is_undone_with_what_it_was_about(app: APIFlask) -> None:
    with app.app_context():
        accounts.audit("create", "cluster", "an-id")
        db.session.rollback()
        assert db.session.scalars(select(AuditEntry)).all() == []
