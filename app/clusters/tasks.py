"""What runs in the background for a cluster: making a plan, and applying one. Safe to run again at any moment."""

from __future__ import annotations

from pathlib import Path

from app.clusters import plans
from app.clusters.documents import publish
from app.clusters.ending import (
    diagnostics_of,
    end_after_error,
    end_cancelled_plan,
    end_failed,
    error_diagnostic,
    failed_status,
    finish_apply,
    finish_plan,
    from_hub,
)
from app.clusters.equipment import equipment
from app.clusters.following import Follower
from app.clusters.launching import REFUSALS, launch, launch_apply, launch_plan, plan_steps
from app.clusters.models import APPLY, BUILD, PLAN, Cluster, Plan
from app.clusters.reporting import Progress
from app.clusters.statuses import Status
from app.db import db, transaction
from app.lifecycle.dispatch import Context, Task, operation_of
from app.lifecycle.operations import Operation
from app.terraform import execution
from app.terraform.execution import Command, Outcome, OutcomeState
from app.terraform.progress import Diagnostic, ProgressReader


def cluster_of(operation: Operation) -> Cluster:
    """The cluster of an operation, as it stands now."""
    return db.session.get_one(Cluster, operation.subject_id, populate_existing=True)


def run_plan(operation_id: str, context: Context) -> None:
    """Make a plan.

    1. Unless it was begun before: write main.tf.json and start init, plan and show.
    2. Follow them to their end.
    3. Keep the plan with what it is bound to, or say why there is none.
    """
    operation = operation_of(operation_id)
    if not operation.is_active:
        return
    cluster = cluster_of(operation)
    folder = equipment().operation_folder(cluster, operation.id)
    _tell(cluster)
    try:
        if not (folder / execution.JOB).exists():
            if operation.cancel_requested_at is not None:
                end_cancelled_plan(operation, cluster)
                return
            launch_plan(operation, cluster)
        outcome = _follow_plan(operation, cluster, folder, context)
    except REFUSALS as error:
        operation, cluster = operation_of(operation_id), cluster_of(operation)
        end_failed(operation, cluster, Status.PLAN_ERROR, [from_hub(error)])
        return
    operation, cluster = operation_of(operation_id), cluster_of(operation)
    if outcome.state is OutcomeState.SUCCEEDED:
        finish_plan(operation, cluster)
    elif outcome.state is OutcomeState.CANCELLED:
        end_cancelled_plan(operation, cluster)
    else:
        end_failed(operation, cluster, Status.PLAN_ERROR, diagnostics_of(outcome))


def _tell(cluster: Cluster) -> None:
    """The operation is no longer queued: the browsers see it."""
    with transaction():
        publish(cluster)


def _follow_plan(operation: Operation, cluster: Cluster, folder: Path, context: Context) -> Outcome:
    """Follow a plan to its end; once, start what its runner did not come to, and init where Terraform asks for it."""
    follower = Follower(operation.id, folder, lambda _: None)
    follower.follow(context)
    outcome = execution.outcome(folder, follower.was_cancelled)
    missing = _missing_steps(operation, cluster, folder, outcome)
    if not missing:
        return outcome
    launch(operation, cluster, missing)
    follower.follow(context)
    return execution.outcome(folder, follower.was_cancelled)


def _missing_steps(operation: Operation, cluster: Cluster, folder: Path, outcome: Outcome) -> list[Command]:
    if outcome.needs_init:
        equipment().init_cache().discard(equipment().folder(cluster))
        return plan_steps(operation, cluster, init=True)
    if outcome.state in (OutcomeState.SUCCEEDED, OutcomeState.INTERRUPTED):
        return list(execution.remaining_commands(folder))
    return []


def run_apply(operation_id: str, context: Context) -> None:
    """Apply a plan.

    1. Unless it was begun before: check once more that nothing moved, and start Terraform on that very plan.
    2. Follow it to its end; tell the browsers of every resource.
    3. Keep the state, then end: provisioning, or an error with Terraform's diagnostics.
    """
    operation = operation_of(operation_id)
    if not operation.is_active:
        return
    cluster = cluster_of(operation)
    folder = equipment().operation_folder(cluster, operation.id)
    plan = db.session.get_one(Plan, operation.payload["plan"])
    _tell(cluster)
    if not _was_begun(folder):
        refused = _start_apply(operation, cluster, plan)
        if refused is not None:
            end_failed(operation, cluster, failed_status(operation), [refused])
            return
    _note_applied(operation, cluster)
    planned = {each["address"]: each["action"] for each in plan.review["resources"]}
    progress = Progress(cluster, ProgressReader(planned))
    Follower(operation.id, folder, progress.feed).follow(context)
    progress.publish()
    operation, cluster = operation_of(operation_id), cluster_of(operation)
    outcome = execution.outcome(folder, operation.cancel_requested_at is not None)
    if outcome.state is OutcomeState.SUCCEEDED:
        finish_apply(operation, cluster, plan)
    else:
        end_failed(operation, cluster, failed_status(operation), diagnostics_of(outcome))


def _was_begun(folder: Path) -> bool:
    """Whether Terraform was started on the plan; a hub killed just before that may have left the job's description."""
    log = folder / execution.LOG
    if not (folder / execution.JOB).exists() or not log.exists():
        return False
    return execution.is_running(folder) or log.stat().st_size > 0 or not execution.remaining_commands(folder)


def _start_apply(operation: Operation, cluster: Cluster, plan: Plan) -> Diagnostic | None:
    """Start Terraform on the plan; returns why not."""
    if operation.cancel_requested_at is not None:
        return error_diagnostic("Cancelled", "The build was cancelled before it began.")
    moved = plans.differences_since(cluster, plan)
    if moved:
        return error_diagnostic("The plan is stale", f"Since the plan was made, {' and '.join(moved)}.")
    try:
        launch_apply(operation, cluster, plan)
    except REFUSALS as error:
        return from_hub(error)
    return None


def _note_applied(operation: Operation, cluster: Cluster) -> None:
    """From here on the cluster may hold what was planned: that is what a destroy works on, and what quotas credit."""
    if operation.payload["kind"] != BUILD:
        return
    with transaction():
        cluster.applied_parameters, cluster.applied_secrets = cluster.parameters, cluster.secrets
        cluster.has_resources = True
        publish(cluster)


def fail(operation_id: str, error: str, worker: str) -> None:
    """End an operation that the hub itself could not carry out."""
    operation = operation_of(operation_id)
    if operation.is_active:
        end_after_error(operation, cluster_of(operation), error)


TASKS = {PLAN: Task(run_plan, fail), APPLY: Task(run_apply, fail)}
