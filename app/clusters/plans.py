"""Plans: started, kept with what they are bound to, compared with what is so now, shown."""

from __future__ import annotations

import json
from typing import Any

from app.accounts import service as accounts
from app.cloud.connections import Cloud
from app.clusters.documents import publish
from app.clusters.equipment import equipment
from app.clusters.models import DESTROY, PLAN, SUBJECT, Cluster, Plan
from app.clusters.statuses import BUSY, Status
from app.db import db, iso
from app.errors import Conflict, NotFound
from app.lifecycle import operations
from app.lifecycle.operations import Operation, State, refuse_when_busy
from app.lifecycle.status import transition
from app.terraform import commands, fingerprint
from app.terraform.fingerprint import Fingerprint


class PlanStale(Conflict):
    """Something that the plan was made from has moved since."""

    kind, title = "plan-stale", "The plan is stale"


class CloudMismatch(Conflict):
    """The credential is of another cloud or project than the cluster was built with."""

    kind, title = "cloud-mismatch", "Another cloud"


def start_plan(cluster: Cluster, kind: str) -> Operation:
    """Queue a plan in the caller's transaction; what the cluster was before a pending plan stays known."""
    refuse_when_busy(SUBJECT, cluster.id)
    if cluster.status in BUSY:
        raise Conflict(f"The cluster is {cluster.status}.", kind="busy")
    # A plan, made or failed, changes nothing of what the cluster is.
    is_plan = cluster.status in (Status.PLAN_READY, Status.PLAN_ERROR)
    before = cluster.status_before if is_plan and cluster.status_before else cluster.status
    operation = operations.enqueue(
        PLAN, SUBJECT, cluster.id, actor=accounts.current_actor(), payload={"kind": kind, "version": cluster.version}
    )
    db.session.flush()
    transition(
        cluster,
        Status.PLAN_RUNNING,
        source=accounts.current_actor(),
        also={"status_before": before, "plan_id": None},
    )
    publish(cluster, progress=[], counts={})
    return operation


def pending_plan(cluster: Cluster) -> Plan:
    """The plan that waits for a decision.

    Raises:
        NotFound: there is none; says so when the last plan found nothing to change.
    """
    plan = db.session.get(Plan, cluster.plan_id) if cluster.plan_id else None
    if plan is None:
        raise NotFound("There is no pending plan.")
    return plan


def keep_plan(
    operation: Operation,
    cluster: Cluster,
    review: dict[str, Any],
    taken: Fingerprint,
    *,
    loses_data: bool,
    changes_instances: bool,
) -> Plan:
    """Keep a plan that was made and make it the pending one. In the caller's transaction."""
    plan = Plan(
        cluster_id=cluster.id,
        operation_id=operation.id,
        kind=operation.payload["kind"],
        version=operation.payload["version"],
        review=review,
        fingerprint=json.loads(taken.as_json()),
        loses_data=loses_data,
        changes_instances=changes_instances,
    )
    db.session.add(plan)
    db.session.flush()
    operations.end(operation, State.SUCCEEDED, source=operation.worker or "hub")
    transition(cluster, Status.PLAN_READY, source=operation.worker or "hub", also={"plan_id": plan.id})
    publish(cluster)
    return plan


def plan_json(plan: Plan, cluster: Cluster) -> dict[str, Any]:
    """`GET .../plan`."""
    return {
        "id": plan.id,
        "operation": plan.operation_id,
        "kind": plan.kind,
        "version": plan.version,
        "created_at": iso(plan.created_at),
        "stale": bool(differences_since(cluster, plan)),
        "loses_data": plan.loses_data,
        "needs_confirmation": plan.kind == DESTROY or plan.loses_data,
        **plan.review,
    }


def differences_since(cluster: Cluster, plan: Plan) -> list[str]:
    """What moved since the plan was made, in words."""
    room = equipment()
    plan_file = room.operation_folder(cluster, plan.operation_id) / commands.PLAN
    then = Fingerprint(**plan.fingerprint)
    moved = fingerprint.differences(then, fingerprint.take(room.folder(cluster), plan_file, cloud_key(cluster)))
    if plan.version != cluster.version:
        moved.append("the cluster's configuration changed")
    return moved


def cloud_key(cluster: Cluster) -> str:
    """The cloud's identity as a plan is bound to it."""
    return json.dumps(cluster.cloud, sort_keys=True)


def check_cloud(cluster: Cluster, cloud: Cloud) -> None:
    """Refuse the credential of another cloud or project.

    Raises:
        CloudMismatch: it is one.
    """
    present = identity_of(cloud)
    if present != cluster.cloud:
        raise CloudMismatch(
            f"The cluster was built on {cluster.cloud['auth_url']} in project {cluster.cloud['project_id']}; "
            f"the credential is for {present['auth_url']}, project {present['project_id']}."
        )


def identity_of(cloud: Cloud) -> dict[str, str]:
    identity = cloud.identity
    return {"auth_url": identity.auth_url, "project_id": identity.project_id, "region": identity.region}
