"""Tables of clusters, their plans, kept states and the ready-made status documents."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, ForeignKey, Index, LargeBinary, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.clusters.statuses import CLUSTER_STATUSES
from app.db import Base, WithId, now
from app.lifecycle.status import HasStatus, StatusTable

SUBJECT = "cluster"
PLAN, APPLY = "plan", "apply"
"""The kinds of a cluster's operations."""
BUILD, DESTROY = "apply", "destroy"
"""The kinds of a plan, as on the wire."""
KILL = "kill"
"""In an operation's payload: somebody asked again, after the grace period."""


class Cluster(HasStatus, Base):
    """A cluster. Its hostname is its key among the living; history belongs to its id.

    `parameters` and `secrets` are what was last asked for (secrets sealed, as JSON); `applied_*` what was last applied.
    """

    __tablename__ = "clusters"
    __table_args__ = (
        Index(
            "uq_clusters_hostname_living",
            "hostname",
            unique=True,
            sqlite_where=text("destroyed_at IS NULL"),
            postgresql_where=text("destroyed_at IS NULL"),
        ),
        Index("ix_clusters_listing", "destroyed_at", "created_at"),
    )
    status_table: ClassVar[StatusTable] = CLUSTER_STATUSES

    hostname: Mapped[str] = mapped_column(String(253))
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    template: Mapped[str] = mapped_column(String(64))
    owner: Mapped[str] = mapped_column(String(128))
    version: Mapped[int] = mapped_column(default=1)
    parameters: Mapped[dict[str, Any]]
    secrets: Mapped[bytes] = mapped_column(LargeBinary)
    applied_parameters: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    applied_secrets: Mapped[bytes | None] = mapped_column(LargeBinary)
    cloud: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime | None]
    destroyed_at: Mapped[datetime | None]
    provisioning_since: Mapped[datetime | None]
    plan_id: Mapped[str | None] = mapped_column(String(32))
    outputs: Mapped[dict[str, Any]] = mapped_column(default=dict)
    has_resources: Mapped[bool] = mapped_column(default=False)


class Plan(WithId, Base):
    """A plan that was made: what was shown, and what it is bound to. A cluster's `plan_id` names the pending one."""

    __tablename__ = "plans"

    cluster_id: Mapped[str] = mapped_column(ForeignKey("clusters.id"), index=True)
    operation_id: Mapped[str] = mapped_column(ForeignKey("operations.id"))
    kind: Mapped[str] = mapped_column(String(16))
    version: Mapped[int]
    review: Mapped[dict[str, Any]]
    fingerprint: Mapped[dict[str, Any]]
    loses_data: Mapped[bool] = mapped_column(default=False)
    changes_instances: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(default=now)


class StateVersion(WithId, Base):
    """One kept version of a cluster's Terraform state, sealed."""

    __tablename__ = "state_versions"
    __table_args__ = (Index("ix_state_versions_cluster", "cluster_id", "created_at"),)

    cluster_id: Mapped[str] = mapped_column(ForeignKey("clusters.id"))
    operation_id: Mapped[str | None] = mapped_column(ForeignKey("operations.id"))
    serial: Mapped[int]
    lineage: Mapped[str] = mapped_column(String(64))
    sha256: Mapped[str] = mapped_column(String(64))
    resources: Mapped[int]
    content: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(default=now)


class StatusDocument(Base):
    """What `GET .../status` answers, ready made: one row of JSON, rewritten when something happened."""

    __tablename__ = "status_documents"

    cluster_id: Mapped[str] = mapped_column(ForeignKey("clusters.id"), primary_key=True)
    hostname: Mapped[str] = mapped_column(String(253), index=True)
    living: Mapped[bool] = mapped_column(default=True)
    progress: Mapped[list[Any]] = mapped_column(JSON, default=list)
    counts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    probes: Mapped[list[Any]] = mapped_column(JSON, default=list)
    body: Mapped[str] = mapped_column(Text, default="{}")
    etag: Mapped[str] = mapped_column(String(64), default="")
    updated_at: Mapped[datetime] = mapped_column(default=now)
