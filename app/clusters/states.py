"""Kept versions of a cluster's Terraform state: every one, sealed, before the status says that the work has ended."""

from __future__ import annotations

import hashlib

from sqlalchemy import select

from app.accounts import service as accounts
from app.clusters.equipment import equipment
from app.clusters.models import Cluster, StateVersion
from app.db import db
from app.terraform.state import NO_STATE, STATE_FILE, State, read_state
from app.terraform.templates import ClusterTemplate


def keep_state(cluster: Cluster, operation_id: str | None) -> State:
    """Keep the state file of the cluster's folder if it is another than the last one kept. In the caller's transaction.

    Raises:
        app.terraform.state.StateError: the file cannot be read.
    """
    path = equipment().folder(cluster) / STATE_FILE
    if not path.exists():
        return NO_STATE
    content = path.read_bytes()
    state = read_state(content)
    digest = hashlib.sha256(content).hexdigest()
    last = db.session.scalar(
        select(StateVersion.sha256)
        .where(StateVersion.cluster_id == cluster.id)
        .order_by(StateVersion.created_at.desc())
        .limit(1)
    )
    if digest != last:
        db.session.add(
            StateVersion(
                cluster_id=cluster.id,
                operation_id=operation_id,
                serial=state.serial,
                lineage=state.lineage,
                sha256=digest,
                resources=state.managed_count,
                content=accounts.vault().seal(content),
            )
        )
    return state


def versions(cluster: Cluster) -> list[StateVersion]:
    """Every kept version, newest first."""
    return list(
        db.session.scalars(
            select(StateVersion).where(StateVersion.cluster_id == cluster.id).order_by(StateVersion.created_at.desc())
        )
    )


def latest_state(cluster: Cluster) -> State | None:
    """The state that was kept last, None before anything was built."""
    kept = db.session.scalar(
        select(StateVersion)
        .where(StateVersion.cluster_id == cluster.id)
        .order_by(StateVersion.created_at.desc())
        .limit(1)
    )
    return None if kept is None else read_state(accounts.vault().open(kept.content))


def public_outputs(state: State, template: ClusterTemplate) -> dict[str, object]:
    """The outputs that hold no secret."""
    return {
        name: output.value
        for name, output in state.outputs.items()
        if not output.sensitive and not (name in template.outputs and template.outputs[name].sensitive)
    }
