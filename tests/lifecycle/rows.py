"""Rows with a status, put where a test wants them, and their events."""

from __future__ import annotations

from sqlalchemy import select

from app.accounts.service import project_named
from app.clusters.models import Cluster
from app.db import db, new_id
from app.lifecycle.operations import Operation
from app.lifecycle.status import HasStatus, StatusEvent


def cluster_in(status: str, before: str | None = None) -> Cluster:
    """A cluster that stands in `status`, kept."""
    name = f"c{new_id()}"
    cluster = Cluster(
        hostname=f"{name}.sandbox.test",
        project_id=project_named("default").id,
        template="sandbox",
        owner="local",
        parameters={"cluster_name": name, "domain": "sandbox.test"},
        secrets=b"",
        cloud={},
        status=status,
        status_before=before,
    )
    db.session.add(cluster)
    db.session.commit()
    return cluster


def operation_in(state: str, *, subject: str = "", writes: bool = False) -> Operation:
    """An operation that stands in `state`, kept."""
    operation = Operation(
        kind="plan",
        subject_type="cluster",
        subject_id=subject or new_id(),
        actor="ada",
        writes=writes,
        payload={},
        status=state,
    )
    db.session.add(operation)
    db.session.commit()
    return operation


def events_of(subject: HasStatus) -> list[StatusEvent]:
    """The subject's events, oldest first."""
    return list(
        db.session.scalars(select(StatusEvent).where(StatusEvent.subject_id == subject.id).order_by(StatusEvent.id))
    )
