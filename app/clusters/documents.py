"""The status of a cluster as ready JSON: rewritten when something happened, read by every browser each second."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from sqlalchemy import select, update

from app.clusters.models import Cluster, StatusDocument
from app.db import db, iso, now
from app.lifecycle.operations import Operation, State
from app.lifecycle.status import StatusEvent

HISTORY = 5
"""How many earlier operations of a kind an estimate is made from."""


def publish(
    cluster: Cluster,
    *,
    progress: list[dict[str, Any]] | None = None,
    counts: dict[str, int] | None = None,
    probes: list[dict[str, Any]] | None = None,
) -> None:
    """Rewrite the cluster's status document in the caller's transaction; parts that are not given stay as they are.

    The row is written to before it is read, so that of two writers the later one sees what the earlier one wrote.
    """
    touched = db.session.execute(
        update(StatusDocument)
        .where(StatusDocument.cluster_id == cluster.id)
        .values(living=cluster.destroyed_at is None)
        .execution_options(synchronize_session=False)
    )
    if not getattr(touched, "rowcount", 0):
        db.session.add(StatusDocument(cluster_id=cluster.id, hostname=cluster.hostname))
        db.session.flush()
    document = db.session.get_one(StatusDocument, cluster.id, populate_existing=True)
    present = db.session.get_one(Cluster, cluster.id, populate_existing=True)
    if progress is not None:
        document.progress = progress
    if counts is not None:
        document.counts = counts
    if probes is not None:
        document.probes = probes
    _rewrite(document, present)


def _rewrite(document: StatusDocument, cluster: Cluster) -> None:
    content = {
        "status": cluster.status,
        "indicator": cluster.indicator,
        "status_since": iso(cluster.status_at),
        "version": cluster.version,
        "detail": _detail(cluster),
        "plan": cluster.plan_id,
        "operation": _operation(cluster, document),
        "progress": document.progress or [],
        "probes": document.probes or [],
    }
    etag = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]
    if etag != document.etag:
        document.etag = etag
        document.updated_at = now()
        document.body = json.dumps({**content, "updated_at": iso(document.updated_at)})
    document.living = cluster.destroyed_at is None


def _detail(cluster: Cluster) -> str:
    """Why the cluster has its present status, as its last event says."""
    return (
        db.session.scalar(
            select(StatusEvent.detail)
            .where(StatusEvent.subject_type == "cluster", StatusEvent.subject_id == cluster.id)
            .order_by(StatusEvent.id.desc())
            .limit(1)
        )
        or ""
    )


def latest_operation(cluster: Cluster) -> Operation | None:
    """The present operation, or the last one."""
    return db.session.scalar(
        select(Operation)
        .where(Operation.subject_type == "cluster", Operation.subject_id == cluster.id)
        .order_by(Operation.created_at.desc())
        .limit(1)
    )


def _operation(cluster: Cluster, document: StatusDocument) -> dict[str, Any] | None:
    operation = latest_operation(cluster)
    if operation is None:
        return None
    return {
        "id": operation.id,
        "kind": operation.kind,
        "plan_kind": operation.payload.get("kind"),
        "state": operation.status,
        "by": operation.actor,
        "created_at": iso(operation.created_at),
        "started_at": iso(operation.started_at),
        "ended_at": iso(operation.ended_at),
        "expected_at": iso(expected_end(operation)),
        "cancel_requested_at": iso(operation.cancel_requested_at),
        "error": operation.error,
        "diagnostics": operation.result.get("diagnostics", []),
        "progress": document.counts or {"done": 0, "total": 0},
    }


def expected_end(operation: Operation) -> datetime | None:
    """When a running operation should end, from the last ones of its kind; None without history or after its end."""
    if operation.status != State.RUNNING or operation.started_at is None:
        return None
    earlier = db.session.execute(
        select(Operation.started_at, Operation.ended_at)
        .where(Operation.kind == operation.kind, Operation.status == State.SUCCEEDED)
        .order_by(Operation.created_at.desc())
        .limit(HISTORY)
    ).all()
    lengths = [(ended - started).total_seconds() for started, ended in earlier if started and ended]
    return operation.started_at + timedelta(seconds=median(lengths)) if lengths else None
