"""Projects and who acts: the only writer of their tables."""

from __future__ import annotations

import json
from typing import Any

from flask import current_app
from sqlalchemy import select

from app.accounts.models import AuditEntry, Project
from app.db import db, transaction
from app.errors import FieldError, Invalid
from app.secrets import Vault

DEFAULT_PROJECT = "default"
LOCAL_USER = "local"
"""Who acts, until there are accounts."""


def current_actor() -> str:
    """The name of whoever makes the present request."""
    return LOCAL_USER


def vault() -> Vault:
    """The vault of the hub that serves the present request or runs the present operation."""
    found: Vault = current_app.extensions["vault"]
    return found


def keep_default_project(credential: dict[str, str]) -> Project:
    """Make sure that the project `default` exists and holds the environment's credential, sealed."""
    with transaction():
        project = db.session.scalar(select(Project).where(Project.name == DEFAULT_PROJECT))
        if project is None:
            project = Project(name=DEFAULT_PROJECT)
            db.session.add(project)
        if credential != credential_of(project):
            project.credential = vault().seal(json.dumps(credential).encode())
    return project


def project_named(name: str, field: str = "project") -> Project:
    """The project of that name.

    Raises:
        Invalid: there is none, or it is not the caller's.
    """
    project = db.session.scalar(select(Project).where(Project.name == name))
    if project is None:
        raise Invalid("There is no such project.", [FieldError(field, f"There is no project named “{name}”.")])
    return project


def project_of(project_id: str) -> Project:
    """The project with that id."""
    project = db.session.get(Project, project_id)
    if project is None:
        raise LookupError(f"no project {project_id}")
    return project


def projects() -> list[Project]:
    """The caller's projects, by name."""
    return list(db.session.scalars(select(Project).order_by(Project.name)))


def credential_of(project: Project) -> dict[str, str]:
    """The project's cloud credential in clear: OS_* names and values; empty when there is none."""
    if project.credential is None:
        return {}
    opened: dict[str, str] = json.loads(vault().open(project.credential))
    return opened


def audit(action: str, subject_type: str, subject_id: str, **detail: Any) -> None:
    """Note that the present actor did or read something, in the caller's transaction."""
    db.session.add(
        AuditEntry(
            actor=current_actor(), action=action, subject_type=subject_type, subject_id=subject_id, detail=detail
        )
    )
