"""What a person can do with a cluster, in plain functions. What happens to it in the background is in `tasks`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from app.accounts import service as accounts
from app.accounts.models import Project
from app.clusters import checks
from app.clusters.configuration import opened, restore_applied, sealed, split_secrets
from app.clusters.documents import publish
from app.clusters.equipment import equipment
from app.clusters.folders import forget_plan, keep_history, put_away
from app.clusters.following import grace_is_over
from app.clusters.models import APPLY, BUILD, DESTROY, KILL, SUBJECT, Cluster, Plan
from app.clusters.plans import PlanStale, check_cloud, differences_since, identity_of, pending_plan, start_plan
from app.clusters.schemas import ClusterCreate, ClusterReplace, Parameters
from app.clusters.states import latest_state
from app.clusters.statuses import Status
from app.db import db, now, transaction
from app.errors import Conflict, FieldError, Forbidden, Invalid, NotFound
from app.lifecycle import operations
from app.lifecycle.operations import Operation, refuse_when_busy
from app.lifecycle.status import begin, transition
from app.terraform.state import State
from app.terraform.templates import ClusterTemplate


def get_cluster(hostname: str) -> Cluster:
    """The living cluster with that hostname.

    Raises:
        NotFound: there is none.
    """
    cluster = db.session.scalar(select(Cluster).where(Cluster.hostname == hostname, Cluster.destroyed_at.is_(None)))
    if cluster is None:
        raise NotFound(f"There is no cluster named “{hostname}”.")
    return cluster


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
    put_away(body.parameters.hostname)
    given, secrets = split_secrets(body.parameters, template)
    cluster = Cluster(
        hostname=body.parameters.hostname,
        project_id=project.id,
        template=template.name,
        owner=accounts.current_actor(),
        parameters=given,
        secrets=sealed({name: value for name, value in secrets.items() if value}),
        cloud=identity_of(cloud),
        expires_at=body.expires_at,
    )
    try:
        with transaction():
            begin(cluster, Status.CREATED, source=accounts.current_actor())
            accounts.audit("create", SUBJECT, cluster.id, hostname=cluster.hostname)
            operation = start_plan(cluster, BUILD)
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
        raise _version_moved(cluster, body.version)
    _check_with_cloud(body.parameters, template, project, latest_state(cluster))
    check_cloud(cluster, room.cloud(project))
    given, secrets = split_secrets(body.parameters, template)
    kept = {**opened(cluster.secrets), **secrets}
    with transaction():
        _take_version(cluster, body.version)
        cluster.parameters = given
        cluster.secrets = sealed({name: value for name, value in kept.items() if value})
        if "expires_at" in body.model_fields_set:
            cluster.expires_at = body.expires_at
        accounts.audit("change", SUBJECT, cluster.id, version=cluster.version)
        operation = start_plan(cluster, BUILD)
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
        operation = start_plan(cluster, BUILD)
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
        keep_history(cluster)
        with transaction():
            accounts.audit("delete", SUBJECT, cluster.id, hostname=hostname)
            bury(cluster, source=accounts.current_actor(), detail="It had no resources.")
        put_away(hostname)
        return cluster, None
    check_cloud(cluster, equipment().cloud(accounts.project_of(cluster.project_id)))
    with transaction():
        accounts.audit("plan destroy", SUBJECT, cluster.id)
        operation = start_plan(cluster, DESTROY)
    equipment().doorbell.ring()
    return cluster, operation


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
    forget_plan(cluster, plan)
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
        raise NotFound("The cluster has no such plan.", [FieldError("plan", "is no plan of this cluster")])
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
        to = Status.DESTROY_RUNNING if plan.kind == DESTROY else Status.BUILD_RUNNING
        transition(cluster, to, source=accounts.current_actor(), also={"plan_id": None})
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
        # Asked again after the grace period, Terraform is killed: what is in flight is then in no state.
        if grace_is_over(operation):
            operation.payload = {**operation.payload, KILL: True}
        operations.request_cancel(operation)
        accounts.audit("cancel", SUBJECT, cluster.id, operation=operation.id)
        publish(cluster)
    return operation


def bury(cluster: Cluster, *, source: str, detail: str) -> None:
    """The cluster is gone: its hostname is free, its history stays. In the caller's transaction; then `put_away`."""
    transition(
        cluster,
        Status.DESTROYED,
        source=source,
        detail=detail,
        also={"destroyed_at": now(), "plan_id": None, "has_resources": False},
    )
    publish(cluster)


def _check_with_cloud(
    parameters: Parameters, template: ClusterTemplate, project: Project, state: State | None = None
) -> None:
    resources = equipment().available(project, anew=True)
    checks.check_against_cloud(parameters, template, resources)
    checks.check_quotas(parameters, template, resources, state)


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


def _version_moved(cluster: Cluster, version: int) -> Conflict:
    return Conflict(
        f"The cluster changed since: it is at version {cluster.version}, yours was made from {version}.",
        [FieldError("version", f"is {cluster.version} by now: read the cluster again")],
        extra={"version": cluster.version},
        kind="version-moved",
    )


def _take_version(cluster: Cluster, version: int) -> None:
    """Move the cluster to its next version, unless somebody did so while the cloud was asked."""
    moved = update(Cluster).where(Cluster.id == cluster.id, Cluster.version == version).values(version=version + 1)
    outcome = db.session.execute(moved.execution_options(synchronize_session=False))
    db.session.refresh(cluster)
    if getattr(outcome, "rowcount", 0) != 1:
        raise _version_moved(cluster, version)


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
