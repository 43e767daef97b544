"""What can be done with a cluster, in plain functions: the only writer of the tables of clusters and plans."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from app.accounts import service as accounts
from app.accounts.models import Project
from app.cloud.connections import Cloud
from app.clusters import checks
from app.clusters.documents import publish
from app.clusters.equipment import equipment
from app.clusters.models import Cluster, Plan
from app.clusters.schemas import ClusterCreate, ClusterReplace, Parameters
from app.clusters.states import latest_state
from app.clusters.statuses import BUSY, Status
from app.db import db, iso, now, transaction
from app.errors import Conflict, FieldError, Forbidden, Invalid, NotFound
from app.lifecycle import operations
from app.lifecycle.operations import Operation, State, refuse_when_busy
from app.lifecycle.status import begin, transition
from app.terraform import commands, fingerprint
from app.terraform.fingerprint import Fingerprint
from app.terraform.templates import ClusterTemplate

SUBJECT = "cluster"
PLAN, APPLY = "plan", "apply"
BUILD, DESTROY = "apply", "destroy"
"""The kinds of a plan, as on the wire."""


class PlanStale(Conflict):
    """Something that the plan was made from has moved since."""

    kind, title = "plan-stale", "The plan is stale"


class CloudMismatch(Conflict):
    """The credential is of another cloud or project than the cluster was built with."""

    kind, title = "cloud-mismatch", "Another cloud"


def get_cluster(hostname: str) -> Cluster:
    """The living cluster with that hostname.

    Raises:
        NotFound: there is none.
    """
    cluster = db.session.scalar(select(Cluster).where(Cluster.hostname == hostname, Cluster.destroyed_at.is_(None)))
    if cluster is None:
        raise NotFound(f"There is no cluster named “{hostname}”.")
    return cluster


def sealed(secrets: dict[str, str]) -> bytes:
    """Secrets as they are kept."""
    return accounts.vault().seal(json.dumps(secrets, sort_keys=True).encode())


def opened(kept: bytes) -> dict[str, str]:
    """Kept secrets, in clear."""
    found: dict[str, str] = json.loads(accounts.vault().open(kept))
    return found


def split_secrets(parameters: Parameters, template: ClusterTemplate) -> tuple[dict[str, Any], dict[str, str | None]]:
    """What was given, without its secrets; and the secrets, None for one to be dropped."""
    given = parameters.given()
    secrets = {name: given.pop(name) for name in template.secret_names if name in given}
    return given, {name: value or None for name, value in secrets.items()}


def create(body: ClusterCreate) -> tuple[Cluster, Operation]:
    """Check a configuration, keep it as a new cluster and have its plan made.

    Raises:
        Invalid: the configuration is refused; nothing is kept.
        CloudUnavailable: the cloud cannot be asked whether it offers what is named.
    """
    room = equipment()
    template = room.template_asked_for(body.template)
    project = accounts.project_named(body.project)
    checks.check_against_template(body.parameters, template)
    _refuse_taken(body.parameters.hostname)
    _check_with_cloud(body.parameters, template, project)
    cloud = room.cloud(project)
    given, secrets = split_secrets(body.parameters, template)
    cluster = Cluster(
        hostname=body.parameters.hostname,
        project_id=project.id,
        template=template.name,
        owner=accounts.current_actor(),
        parameters=given,
        secrets=sealed({name: value for name, value in secrets.items() if value}),
        cloud=_identity(cloud),
        expires_at=body.expires_at,
    )
    try:
        with transaction():
            begin(cluster, Status.CREATED, source=accounts.current_actor())
            accounts.audit("create", SUBJECT, cluster.id, hostname=cluster.hostname)
            operation = _start_plan(cluster, BUILD)
    except IntegrityError as error:
        _refuse_taken(cluster.hostname)
        raise Conflict("The cluster could not be kept; try again.") from error
    room.doorbell.ring()
    return cluster, operation


def replace(hostname: str, body: ClusterReplace) -> tuple[Cluster, Operation]:
    """Have a plan made for a new configuration of a cluster. A pending plan is replaced.

    Raises:
        Conflict: the cluster is busy, or its version moved since the caller read it.
        Invalid: the configuration is refused.
    """
    room = equipment()
    cluster = get_cluster(hostname)
    refuse_when_busy(SUBJECT, cluster.id)
    template = room.template(cluster.template)
    project = accounts.project_of(cluster.project_id)
    checks.check_against_template(body.parameters, template)
    _refuse_renaming(cluster, body.parameters)
    if body.version != cluster.version:
        raise Conflict(
            f"The cluster changed since: it is at version {cluster.version}, yours was made from {body.version}.",
            extra={"version": cluster.version},
            kind="version-moved",
        )
    holds = applied_parameters(cluster)
    _check_with_cloud(body.parameters, template, project, holds)
    check_cloud(cluster, room.cloud(project))
    given, secrets = split_secrets(body.parameters, template)
    kept = {**opened(cluster.secrets), **secrets}
    with transaction():
        cluster.parameters = given
        cluster.secrets = sealed({name: value for name, value in kept.items() if value})
        cluster.version += 1
        if "expires_at" in body.model_fields_set:
            cluster.expires_at = body.expires_at
        accounts.audit("change", SUBJECT, cluster.id, version=cluster.version)
        operation = _start_plan(cluster, BUILD)
    room.doorbell.ring()
    return cluster, operation


def replan(hostname: str) -> tuple[Cluster, Operation]:
    """Have a plan made of the present configuration again, after an error.

    Raises:
        Conflict: the cluster is busy.
    """
    cluster = get_cluster(hostname)
    check_cloud(cluster, equipment().cloud(accounts.project_of(cluster.project_id)))
    with transaction():
        accounts.audit("plan again", SUBJECT, cluster.id)
        operation = _start_plan(cluster, BUILD)
    equipment().doorbell.ring()
    return cluster, operation


def destroy(hostname: str, confirm: str | None) -> tuple[Cluster, Operation | None]:
    """Have a destroy plan made; a cluster whose state holds nothing is gone at once, when `confirm` is its hostname.

    Raises:
        Conflict: the cluster is busy.
        Invalid: there is nothing to destroy, and the confirmation is missing.
    """
    cluster = get_cluster(hostname)
    refuse_when_busy(SUBJECT, cluster.id)
    if not cluster.has_resources:
        _require_confirmation(cluster, confirm)
        with transaction():
            accounts.audit("delete", SUBJECT, cluster.id, hostname=hostname)
            bury(cluster, source=accounts.current_actor(), detail="It had no resources.")
        return cluster, None
    check_cloud(cluster, equipment().cloud(accounts.project_of(cluster.project_id)))
    with transaction():
        accounts.audit("plan destroy", SUBJECT, cluster.id)
        operation = _start_plan(cluster, DESTROY)
    equipment().doorbell.ring()
    return cluster, operation


def pending_plan(cluster: Cluster) -> Plan:
    """The plan that waits for a decision.

    Raises:
        NotFound: there is none; says so when the last plan found nothing to change.
    """
    plan = db.session.get(Plan, cluster.plan_id) if cluster.plan_id else None
    if plan is None:
        raise NotFound("There is no pending plan.")
    return plan


def drop_plan(hostname: str) -> Cluster:
    """Drop the pending plan: the cluster is again what it was before.

    Raises:
        NotFound: there is no pending plan.
        Conflict: the cluster is busy.
    """
    cluster = get_cluster(hostname)
    refuse_when_busy(SUBJECT, cluster.id)
    plan = pending_plan(cluster)
    with transaction():
        restore_applied(cluster)
        accounts.audit("drop plan", SUBJECT, cluster.id, plan=plan.id)
        transition(
            cluster,
            cluster.status_before or Status.CREATED,
            source=accounts.current_actor(),
            detail="The plan was dropped.",
            also={"plan_id": None},
        )
        publish(cluster, progress=[], counts={})
    return cluster


def apply(hostname: str, plan_id: str, confirm: str | None) -> tuple[Cluster, Operation]:
    """Apply exactly the plan that was shown.

    Raises:
        NotFound: the cluster never had such a plan.
        PlanStale: it was replaced, or something that it was made from moved since.
        Invalid: it destroys or loses data, and the confirmation is missing.
        Conflict: the cluster is busy, or the credential is of another cloud.
    """
    cluster = get_cluster(hostname)
    plan = db.session.get(Plan, plan_id)
    if plan is None or plan.cluster_id != cluster.id:
        raise NotFound("The cluster has no such plan.")
    refuse_when_busy(SUBJECT, cluster.id)
    if cluster.plan_id != plan.id:
        raise PlanStale("This plan was applied, dropped or replaced meanwhile: ask for a new one.")
    if plan.kind == DESTROY or plan.loses_data:
        _require_confirmation(cluster, confirm)
    cloud = equipment().cloud(accounts.project_of(cluster.project_id))
    check_cloud(cluster, cloud)
    moved = differences_since(cluster, plan)
    if moved:
        raise PlanStale(f"Since the plan was made, {' and '.join(moved)}: ask for a new plan.")
    with transaction():
        operation = operations.enqueue(
            APPLY,
            SUBJECT,
            cluster.id,
            actor=accounts.current_actor(),
            payload={"plan": plan.id, "plan_operation": plan.operation_id, "kind": plan.kind},
        )
        accounts.audit("apply", SUBJECT, cluster.id, plan=plan.id, kind=plan.kind)
        also: dict[str, Any] = {"plan_id": None}
        if plan.kind == BUILD:
            also |= {
                "applied_parameters": cluster.parameters,
                "applied_secrets": cluster.secrets,
                "has_resources": True,
            }
        to = Status.DESTROY_RUNNING if plan.kind == DESTROY else Status.BUILD_RUNNING
        transition(cluster, to, source=accounts.current_actor(), also=also)
        publish(cluster, progress=[], counts={}, probes=[])
    equipment().doorbell.ring()
    return cluster, operation


def cancel(hostname: str) -> Operation:
    """Ask the running operation to stop.

    Raises:
        Conflict: nothing runs.
    """
    cluster = get_cluster(hostname)
    operation = operations.active_writer(SUBJECT, cluster.id)
    if operation is None:
        raise Conflict("Nothing runs that could be cancelled.", kind="nothing-to-cancel")
    with transaction():
        operations.request_cancel(operation)
        accounts.audit("cancel", SUBJECT, cluster.id, operation=operation.id)
        publish(cluster)
    return operation


def restore_applied(cluster: Cluster) -> None:
    """The configuration that was last applied is again the cluster's; a cluster that never was built keeps what was typed."""
    if cluster.applied_parameters is not None and cluster.applied_secrets is not None:
        if (cluster.parameters, cluster.secrets) != (cluster.applied_parameters, cluster.applied_secrets):
            cluster.parameters, cluster.secrets = cluster.applied_parameters, cluster.applied_secrets
            cluster.version += 1
        db.session.flush()


def bury(cluster: Cluster, *, source: str, detail: str) -> None:
    """The cluster is destroyed: its hostname is free again, its history and masked logs stay. In the caller's transaction."""
    room = equipment()
    living, buried = room.folder(cluster), room.settings.data / "destroyed" / cluster.id
    transition(
        cluster,
        Status.DESTROYED,
        source=source,
        detail=detail,
        also={"destroyed_at": now(), "plan_id": None, "has_resources": False},
    )
    publish(cluster)
    if living.exists():
        buried.parent.mkdir(mode=0o700, exist_ok=True)
        living.rename(buried)


def applied_parameters(cluster: Cluster) -> Parameters | None:
    """The configuration that was last applied, with which the cluster holds what it holds."""
    if cluster.applied_parameters is None:
        return None
    return Parameters.model_validate(cluster.applied_parameters)


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
    present = _identity(cloud)
    if present != cluster.cloud:
        raise CloudMismatch(
            f"The cluster was built on {cluster.cloud['auth_url']} in project {cluster.cloud['project_id']}; "
            f"the credential is for {present['auth_url']}, project {present['project_id']}."
        )


def _identity(cloud: Cloud) -> dict[str, str]:
    identity = cloud.identity
    return {"auth_url": identity.auth_url, "project_id": identity.project_id, "region": identity.region}


def _start_plan(cluster: Cluster, kind: str) -> Operation:
    """Queue a plan in the caller's transaction. Where the cluster waits on a plan already, what it was before that stays."""
    if cluster.status in BUSY:
        raise Conflict(f"The cluster is {cluster.status}.", kind="busy")
    before = cluster.status_before if cluster.status == Status.PLAN_READY else cluster.status
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


def _check_with_cloud(
    parameters: Parameters, template: ClusterTemplate, project: Project, holds: Parameters | None = None
) -> None:
    resources = equipment().available(project)
    checks.check_against_cloud(parameters, template, resources)
    checks.check_quotas(parameters, template, resources, holds)


def _refuse_taken(hostname: str) -> None:
    db.session.rollback()
    taken = db.session.scalar(select(Cluster.id).where(Cluster.hostname == hostname, Cluster.destroyed_at.is_(None)))
    if taken is not None:
        raise Invalid(
            "The hostname is taken.",
            [
                FieldError(
                    "parameters.cluster_name", f"There is a cluster {hostname} already: choose another name or domain."
                )
            ],
            kind="hostname-taken",
        )


def _refuse_renaming(cluster: Cluster, parameters: Parameters) -> None:
    errors = [
        FieldError(f"parameters.{name}", "Cannot change: everything in the cloud is named after it.")
        for name in ("cluster_name", "domain")
        if getattr(parameters, name) != cluster.parameters.get(name)
    ]
    if errors:
        raise Invalid("A cluster keeps its name.", errors)


def _require_confirmation(cluster: Cluster, confirm: str | None) -> None:
    if confirm != cluster.hostname:
        raise Invalid(
            "This cannot be undone: confirm it with the cluster's hostname.",
            [FieldError("confirm", f"must be {cluster.hostname}")],
            kind="confirmation-needed",
        )


def state_secrets(cluster: Cluster) -> dict[str, Any]:
    """FreeIPA, guest and sudoer passwords from the state's outputs; each reading is audited.

    Raises:
        NotFound: nothing was built yet.
        Forbidden: not for the caller.
    """
    if not accounts.current_actor():
        raise Forbidden("Sign in first.")
    state = latest_state(cluster)
    if state is None:
        raise NotFound("Nothing was built yet: there are no passwords.")
    with transaction():
        accounts.audit("read secrets", SUBJECT, cluster.id)
    found = state.output("accounts") or {}
    return {
        "freeipa": {"username": "admin", "password": state.output("freeipa_passwd")},
        "guests": found.get("guests") or {},
        "sudoer": found.get("sudoer") or {},
    }


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
