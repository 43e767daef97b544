"""Clusters and operations as the hub keeps them, made without a cloud and without Terraform."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from sqlalchemy import update

from app.accounts.service import project_named
from app.clusters.configuration import sealed
from app.clusters.documents import publish
from app.clusters.equipment import equipment
from app.clusters.models import Cluster
from app.clusters.queries import log_path
from app.db import db, new_id, now
from app.lifecycle import operations
from app.lifecycle.operations import Operation, State
from app.lifecycle.status import begin, transition
from tests.clusters.bodies import named

CLOUD = {"auth_url": "https://cloud.example/v3", "project_id": "p", "region": "r"}


def keep_cluster(name: str = "", status: str = "created", **columns: Any) -> Cluster:
    """A cluster in a status, with its event and its status document, committed."""
    name = name or f"c{new_id()}"
    secrets = columns.pop("secrets", {})
    cluster = Cluster(
        hostname=f"{name}.sandbox.test",
        project_id=project_named("default").id,
        template=columns.pop("template", "sandbox"),
        owner=columns.pop("owner", "local"),
        parameters=copy.deepcopy(named(name)["parameters"]),
        secrets=sealed(secrets),
        cloud=CLOUD,
        **columns,
    )
    begin(cluster, status, source="test")
    publish(cluster)
    db.session.commit()
    return cluster


def keep_operation(cluster: Cluster, state: str = State.RUNNING, kind: str = "plan", **columns: Any) -> Operation:
    """An operation on a cluster in a state, committed."""
    operation = operations.enqueue(kind, "cluster", cluster.id, actor="ada", payload={"kind": "apply", "version": 1})
    if state != State.QUEUED:
        operations.claim(operation, "worker", 30)
    for name, value in columns.items():
        setattr(operation, name, value)
    if state not in operations.ACTIVE:
        operations.end(operation, State(state), source="worker")
    publish(cluster)
    db.session.commit()
    return operation


def ends(operation: Operation, state: State = State.SUCCEEDED) -> None:
    """The operation ends."""
    operations.end(db.session.get_one(Operation, operation.id), state, source="worker")
    db.session.commit()


def moves(cluster: Cluster, to: str, **also: Any) -> None:
    """The cluster moves, as a service would move it."""
    found = db.session.get_one(Cluster, cluster.id)
    transition(found, to, source="test", also=also)
    publish(found)
    db.session.commit()


def folder_of(cluster: Cluster) -> Path:
    """The cluster's folder, made."""
    folder = equipment().folder(cluster)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_log(cluster: Cluster, operation: Operation, content: bytes) -> Path:
    """The operation's log holds these bytes now."""
    path = log_path(cluster, operation)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def remove_all() -> None:
    """No cluster is left alive: other tests of the module begin with none."""
    db.session.execute(update(Cluster).values(destroyed_at=now(), status="destroyed"))
    db.session.commit()
