"""Reading clusters: the list, one of them, its history, its log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Row, bindparam, func, select
from sqlalchemy.orm import InstrumentedAttribute, defer

from app.accounts import service as accounts
from app.accounts.models import Project
from app.clusters.configuration import opened
from app.clusters.equipment import equipment
from app.clusters.models import SUBJECT, Cluster, StateVersion, StatusDocument
from app.clusters.paging import Page, page_of
from app.clusters.probes import public_address
from app.clusters.schemas import Parameters
from app.db import db, iso
from app.errors import FieldError, Invalid, NotFound
from app.lifecycle.operations import Operation
from app.lifecycle.status import StatusEvent
from app.terraform import execution
from app.terraform.templates import ClusterTemplate

SORTS: dict[str, InstrumentedAttribute[Any]] = {
    "hostname": Cluster.hostname,
    "status": Cluster.status,
    "created_at": Cluster.created_at,
    "expires_at": Cluster.expires_at,
    "owner": Cluster.owner,
    "template": Cluster.template,
}
STATUS = select(StatusDocument.body, StatusDocument.etag).where(
    StatusDocument.hostname == bindparam("hostname"), StatusDocument.living
)
PER_PAGE = 25


@dataclass(frozen=True)
class Listing:
    """What to list: text in the hostname, status, sort key (`-` before it: descending), page from 1."""

    search: str = ""
    status: str = ""
    project: str = ""
    sort: str = "-created_at"
    page: int = 1
    per_page: int = PER_PAGE


def list_clusters(listing: Listing) -> dict[str, Any]:
    """`GET /api/clusters`: the living clusters.

    Raises:
        Invalid: an unknown sort key, or a page that is none.
    """
    key = listing.sort.removeprefix("-")
    if key not in SORTS:
        raise Invalid(
            "Unknown sort key.", [FieldError("sort", f"must be one of {', '.join(SORTS)}, or one with - before it")]
        )
    page = Page(listing.page, listing.per_page)
    wanted: list[ColumnElement[bool]] = [Cluster.destroyed_at.is_(None)]
    if listing.search:
        wanted.append(Cluster.hostname.icontains(listing.search, autoescape=True))
    if listing.status:
        wanted.append(Cluster.status == listing.status)
    if listing.project:
        wanted.append(Project.name == listing.project)
    joined = select(Cluster, Project.name, StatusDocument.counts).join(Project).outerjoin(StatusDocument).where(*wanted)
    order = SORTS[key].desc() if listing.sort.startswith("-") else SORTS[key].asc()
    rows = db.session.execute(joined.order_by(order, Cluster.id).offset(page.offset).limit(page.size)).all()
    total = db.session.scalar(select(func.count()).select_from(Cluster).join(Project).where(*wanted)) or 0
    asked = {"q": listing.search, "status": listing.status, "project": listing.project, "sort": listing.sort}
    return {
        "items": [_item(cluster, project, counts or {}) for cluster, project, counts in rows],
        "total": total,
        "next": page.next("/api/clusters", total, **asked),
    }


def percent(counts: dict[str, Any]) -> int | None:
    """How much of the present work is done, in per cent; None where there is nothing to count."""
    total = counts.get("total") or 0
    return round(100 * counts.get("done", 0) / total) if total else None


def _item(cluster: Cluster, project: str, counts: dict[str, Any]) -> dict[str, Any]:
    groups = cluster.parameters.get("instances", {})
    return {
        "hostname": cluster.hostname,
        "id": cluster.id,
        "template": cluster.template,
        "project": project,
        "status": cluster.status,
        "indicator": cluster.indicator,
        "progress": percent(counts),
        "nodes": sum(group.get("count", 1) for group in groups.values()),
        "owner": cluster.owner,
        "created_at": iso(cluster.created_at),
        "status_since": iso(cluster.status_at),
        "expires_at": iso(cluster.expires_at),
    }


def status_document(hostname: str) -> Row[str, str]:
    """Body and ETag of `GET .../status`. Asked more than all else: no session, and a statement that is made once.

    Raises:
        NotFound: there is no such cluster.
    """
    with db.engine.connect() as connection:
        row = connection.execute(STATUS, {"hostname": hostname}).first()
    if row is None:
        raise NotFound(f"There is no cluster named “{hostname}”.")
    return row


def is_empty() -> bool:
    """Whether there is no living cluster."""
    return db.session.scalar(select(Cluster.id).where(Cluster.destroyed_at.is_(None)).limit(1)) is None


def cluster_json(cluster: Cluster) -> dict[str, Any]:
    """`GET /api/clusters/<hostname>`."""
    project = accounts.project_of(cluster.project_id)
    # A living cluster may outlive its template: it has no links then, but all the rest.
    template = equipment().templates.get(cluster.template)
    return {
        "hostname": cluster.hostname,
        "id": cluster.id,
        "template": cluster.template,
        "project": project.name,
        "owner": cluster.owner,
        "version": cluster.version,
        "status": cluster.status,
        "indicator": cluster.indicator,
        "created_at": iso(cluster.created_at),
        "expires_at": iso(cluster.expires_at),
        "parameters": cluster.parameters,
        "secrets_set": sorted(opened(cluster.secrets)),
        "outputs": cluster.outputs,
        "has_resources": cluster.has_resources,
        "public_address": public_address(cluster),
        "links": links(cluster, template) if template is not None else [],
        "takes_effect_late": ["image", "config_version"],
    }


def links(cluster: Cluster, template: ClusterTemplate) -> list[dict[str, Any]]:
    """Where a person goes once the cluster is ready, with the line for /etc/hosts where names do not resolve."""
    found: list[dict[str, Any]] = [
        {"name": probe.name, "title": probe.title or probe.name, "url": probe.url_for(cluster.hostname)}
        for probe in template.probes
    ]
    address = public_address(cluster)
    if address is not None:
        user = Parameters.model_validate(cluster.parameters).sudoer_username
        found.append({"name": "ssh", "title": "SSH", "command": f"ssh {user}@{address}"})
        names = [str(link["url"]).split("/")[2].split(":")[0] for link in found if "url" in link]
        found.append(
            {"name": "hosts", "title": "/etc/hosts", "line": f"{address} {' '.join([cluster.hostname, *names])}"}
        )
    return found


def operations_json(cluster: Cluster, page: Page) -> dict[str, Any]:
    """`GET .../operations`, newest first."""
    found = (
        select(Operation)
        .where(Operation.subject_type == SUBJECT, Operation.subject_id == cluster.id)
        .order_by(Operation.created_at.desc(), Operation.id)
    )
    return page_of(found, page, f"/api/clusters/{cluster.hostname}/operations", operation_json)


def operation_json(operation: Operation) -> dict[str, Any]:
    """One operation, as in answers of 202 and in the history."""
    return {
        "id": operation.id,
        "kind": operation.kind,
        "state": operation.status,
        "by": operation.actor,
        "created_at": iso(operation.created_at),
        "started_at": iso(operation.started_at),
        "ended_at": iso(operation.ended_at),
        "error": operation.error,
        "diagnostics": operation.result.get("diagnostics", []),
        "nothing_to_change": bool(operation.result.get("nothing_to_change")),
    }


def operation_named(hostname: str, operation_id: str) -> tuple[Cluster, Operation]:
    """An operation and its cluster, destroyed since or not: history belongs to the cluster's id, not to its name.

    Raises:
        NotFound: no cluster of that hostname ever had such an operation.
    """
    operation = db.session.get(Operation, operation_id, populate_existing=True)
    cluster = db.session.get(Cluster, operation.subject_id) if operation is not None else None
    if operation is None or cluster is None or cluster.hostname != hostname:
        raise NotFound("The cluster has no such operation.")
    return cluster, operation


def log_path(cluster: Cluster, operation: Operation) -> Path:
    """The log of an operation; it may not exist yet."""
    return equipment().operation_folder(cluster, operation.id) / execution.LOG


def log_paths(cluster: Cluster, operation: Operation) -> tuple[Path, Path]:
    """Where a log is that somebody follows: while the cluster lives, and after."""
    buried = equipment().grave(cluster) / "operations" / operation.id / execution.LOG
    return log_path(cluster, operation), buried


def timeline_json(cluster: Cluster, page: Page) -> dict[str, Any]:
    """`GET .../timeline`: every status event of the cluster, oldest first."""
    events = (
        select(StatusEvent)
        .where(StatusEvent.subject_type == SUBJECT, StatusEvent.subject_id == cluster.id)
        .order_by(StatusEvent.id)
    )
    return page_of(events, page, f"/api/clusters/{cluster.hostname}/timeline", _event_json)


def state_versions_json(cluster: Cluster, page: Page) -> dict[str, Any]:
    """`GET .../state/versions`: every kept state, newest first, without its content."""
    kept = (
        select(StateVersion)
        .where(StateVersion.cluster_id == cluster.id)
        .order_by(StateVersion.created_at.desc(), StateVersion.id)
        .options(defer(StateVersion.content))
    )
    return page_of(kept, page, f"/api/clusters/{cluster.hostname}/state/versions", _version_json)


def _version_json(version: StateVersion) -> dict[str, Any]:
    return {
        "id": version.id,
        "serial": version.serial,
        "at": iso(version.created_at),
        "operation": version.operation_id,
        "resources": version.resources,
    }


def _event_json(event: StatusEvent) -> dict[str, Any]:
    return {
        "from": event.from_status,
        "to": event.to_status,
        "indicator": event.indicator,
        "detail": event.detail,
        "source": event.source,
        "at": iso(event.at),
    }


def living() -> Iterator[Cluster]:
    """Every living cluster."""
    yield from db.session.scalars(select(Cluster).where(Cluster.destroyed_at.is_(None)))
