"""Kept versions of a cluster's Terraform state: every one, sealed, before the status says that the work has ended."""

from __future__ import annotations

import hashlib

from sqlalchemy import select

from app.accounts import service as accounts
from app.clusters.equipment import equipment
from app.clusters.models import Cluster, StateVersion
from app.db import db, iso
from app.terraform.state import NO_STATE, STATE_FILE, State, StateError, read_state
from app.terraform.templates import ClusterTemplate


def present_state(cluster: Cluster) -> State:
    """The state in the cluster's folder.

    Raises:
        app.terraform.state.StateError: it cannot be read, or it is gone although resources were kept in it: to plan
            without it would make everything a second time.
    """
    path = equipment().folder(cluster) / STATE_FILE
    content = path.read_bytes() if path.exists() else b""
    if content:
        return read_state(content)
    kept = _last(cluster)
    if kept is not None and kept.resources:
        fate = "empty" if path.exists() else "gone"
        raise StateError(
            f"The Terraform state in the cluster's folder is {fate}. The version kept at {iso(kept.created_at)} lists "
            f"{kept.resources} resources: put it back before anything else is done."
        )
    return NO_STATE


def keep_state(cluster: Cluster, operation_id: str | None) -> State:
    """Keep the present state if it is another than the last one kept. In the caller's transaction.

    Raises:
        app.terraform.state.StateError: as `present_state`.
    """
    state = present_state(cluster)
    if state is NO_STATE:
        return state
    content = (equipment().folder(cluster) / STATE_FILE).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    last = _last(cluster)
    if last is None or last.sha256 != digest:
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


def _last(cluster: Cluster) -> StateVersion | None:
    return db.session.scalar(
        select(StateVersion)
        .where(StateVersion.cluster_id == cluster.id)
        .order_by(StateVersion.created_at.desc())
        .limit(1)
    )


def versions(cluster: Cluster) -> list[StateVersion]:
    """Every kept version, newest first."""
    return list(
        db.session.scalars(
            select(StateVersion).where(StateVersion.cluster_id == cluster.id).order_by(StateVersion.created_at.desc())
        )
    )


def latest_state(cluster: Cluster) -> State | None:
    """The state that was kept last, None before anything was built."""
    kept = _last(cluster)
    return None if kept is None else read_state(accounts.vault().open(kept.content))


def public_outputs(state: State, template: ClusterTemplate) -> dict[str, object]:
    """The outputs that hold no secret."""
    return {
        name: output.value
        for name, output in state.outputs.items()
        if not output.sensitive and not (name in template.outputs and template.outputs[name].sensitive)
    }
