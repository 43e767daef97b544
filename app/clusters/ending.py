"""How operations end: what is kept, what the cluster becomes, what is told. After every end the folder is tidied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.clusters import plans, service, words
from app.clusters.configuration import restore_applied
from app.clusters.documents import publish
from app.clusters.equipment import equipment
from app.clusters.folders import keep_history, put_away, tidy
from app.clusters.masks import diagnostic_json, masker_of
from app.clusters.models import BUILD, DESTROY, PLAN, Cluster, Plan
from app.clusters.probes import answers_now
from app.clusters.review import review_of
from app.clusters.states import keep_state, public_outputs
from app.clusters.statuses import Status
from app.db import db, iso, now, transaction
from app.lifecycle import operations
from app.lifecycle.operations import Operation, State
from app.lifecycle.status import transition
from app.logs import get_logger
from app.terraform import commands, fingerprint
from app.terraform.execution import Outcome, OutcomeState
from app.terraform.plan import Plan as TerraformPlan
from app.terraform.plan import read_plan
from app.terraform.progress import Diagnostic, Severity
from app.terraform.state import State as TerraformState
from app.terraform.state import StateError

log = get_logger(__name__)
UNFINISHED = (None, Status.CREATED, Status.BUILD_ERROR, Status.DESTROY_ERROR)
"""Before these an empty plan is something to confirm: its apply is what ends the build."""


def _source(operation: Operation) -> str:
    return operation.worker or "hub"


def finish_plan(operation: Operation, cluster: Cluster) -> None:
    """Keep a plan that was made, with what it is bound to; or say that there is nothing to change."""
    room = equipment()
    folder, work = room.folder(cluster), room.operation_folder(cluster, operation.id)
    room.init_cache().keep(folder)
    plan = read_plan((work / commands.PLAN_JSON).read_bytes())
    if plan.is_empty and operation.payload["kind"] == BUILD and cluster.status_before not in UNFINISHED:
        _nothing_to_change(operation, cluster)
    else:
        taken = fingerprint.take(folder, work / commands.PLAN, plans.cloud_key(cluster))
        _keep_plan(operation, cluster, plan, taken)
    tidy(cluster, operation)


def _keep_plan(operation: Operation, cluster: Cluster, plan: TerraformPlan, taken: fingerprint.Fingerprint) -> None:
    with transaction():
        plans.keep_plan(
            operation,
            cluster,
            review_of(plan),
            taken,
            loses_data=words.loses_data(plan),
            changes_instances=words.changes_instances(plan),
        )


def _nothing_to_change(operation: Operation, cluster: Cluster) -> None:
    source = _source(operation)
    with transaction():
        operation.result = {"nothing_to_change": True}
        operations.end(operation, State.SUCCEEDED, source=source)
        transition(cluster, cluster.status_before or Status.CREATED, source=source, detail="Nothing to change.")
        # What was asked for is what there is.
        if cluster.applied_parameters is not None:
            cluster.applied_parameters, cluster.applied_secrets = cluster.parameters, cluster.secrets
        publish(cluster)


def finish_apply(operation: Operation, cluster: Cluster, plan: Plan) -> None:
    """Keep the state, then say what the cluster is: provisioning, ready, or gone."""
    if operation.payload["kind"] == DESTROY:
        keep_history(cluster)
        with transaction():
            keep_state(cluster, operation.id)
            operations.end(operation, State.SUCCEEDED, source=_source(operation))
            service.bury(cluster, source=_source(operation), detail="Everything was destroyed.")
        put_away(cluster.hostname)
        return
    # Asked before the transaction: a service that is slow to answer must not keep the database waiting.
    answered = not plan.changes_instances and answers_now(cluster)
    with transaction():
        state = keep_state(cluster, operation.id)
        operations.end(operation, State.SUCCEEDED, source=_source(operation))
        also = {**_of_state(cluster, state), "provisioning_since": now()}
        transition(cluster, _after_build(cluster, answered), source=_source(operation), also=also)
        publish(cluster)
    tidy(cluster, operation)


def _after_build(cluster: Cluster, answered: bool) -> Status:
    """Where a build ends: without probes there is nothing to wait for, nor where no server changed and all answer."""
    template = equipment().templates.get(cluster.template)
    if template is None or not template.probes:
        return Status.BUILD_SUCCESS
    return Status.PROVISIONING_SUCCESS if answered else Status.PROVISIONING_RUNNING


def end_failed(operation: Operation, cluster: Cluster, status: Status, diagnostics: Sequence[Diagnostic]) -> None:
    """End an operation and its cluster in an error, with what Terraform said; the state that was written is kept."""
    cancelled = operation.cancel_requested_at is not None
    masker = masker_of(cluster)
    with transaction():
        also: dict[str, Any] = {}
        if status is not Status.PLAN_ERROR:
            try:
                also = _of_state(cluster, keep_state(cluster, operation.id))
            except StateError as error:
                # What it holds is not known: the cluster counts as having resources, and the file stays as it is.
                diagnostics = [*diagnostics, error_diagnostic("The Terraform state cannot be read", str(error))]
                also = {"has_resources": True}
        shown = [diagnostic_json(each, masker) for each in diagnostics]
        summary = "Cancelled." if cancelled else (shown[0]["summary"] if shown else "It failed.")
        operation.result = {"diagnostics": shown}
        state = State.CANCELLED if cancelled else State.FAILED
        operations.end(operation, state, source=_source(operation), error=summary)
        transition(cluster, status, source=_source(operation), detail=summary, also=also)
        publish(cluster)
    tidy(cluster, operation)


def _of_state(cluster: Cluster, state: TerraformState) -> dict[str, Any]:
    """What a kept state says of the cluster."""
    template = equipment().templates.get(cluster.template)
    if state.is_empty or template is None:
        return {"has_resources": not state.is_empty}
    return {"has_resources": True, "outputs": public_outputs(state, template)}


def end_cancelled_plan(operation: Operation, cluster: Cluster) -> None:
    """A plan that was cancelled: the cluster is again what it was."""
    source = _source(operation)
    with transaction():
        restore_applied(cluster)
        operations.end(operation, State.CANCELLED, source=source, error="Cancelled.")
        transition(cluster, cluster.status_before or Status.CREATED, source=source, detail="The plan was cancelled.")
        publish(cluster)
    tidy(cluster, operation)


def end_after_error(operation: Operation, cluster: Cluster, error: str) -> None:
    """End what the hub itself could not carry out. Whatever stands in the way of the details, the end itself stays."""
    status = failed_status(operation)
    try:
        end_failed(operation, cluster, status, [error_diagnostic("The hub met an error", error)])
    except Exception:
        log.exception("operation is ended without its details", operation=operation.id)
        db.session.rollback()
        operation = db.session.get_one(Operation, operation.id, populate_existing=True)
        cluster = db.session.get_one(Cluster, cluster.id, populate_existing=True)
        with transaction():
            operations.end(operation, State.FAILED, source=_source(operation), error=error)
            transition(cluster, status, source=_source(operation), detail=error)
            publish(cluster)


def failed_status(operation: Operation) -> Status:
    """What a cluster becomes when the operation fails."""
    if operation.kind == PLAN:
        return Status.PLAN_ERROR
    return Status.DESTROY_ERROR if operation.payload["kind"] == DESTROY else Status.BUILD_ERROR


def diagnostics_of(outcome: Outcome) -> list[Diagnostic]:
    """What Terraform said, and that it was interrupted if it was."""
    if outcome.state is OutcomeState.CANCELLED:
        # Terraform says "execution halted" once for each resource that it did not come to.
        said = [each for each in outcome.diagnostics if each.summary != "execution halted"]
        stopped = "It was cancelled. What was in flight was finished and recorded; the rest was not begun."
        return [error_diagnostic("Cancelled", stopped), *said]
    if outcome.state is OutcomeState.INTERRUPTED:
        interrupted = error_diagnostic(
            f"Interrupted at {iso(now())}",
            "Terraform ended before it could report. What it had recorded is kept, and a new plan continues from "
            "there; what was being made at that moment may exist in the cloud without being recorded.",
        )
        return [interrupted, *outcome.diagnostics]
    return list(outcome.diagnostics)


def error_diagnostic(summary: str, detail: str) -> Diagnostic:
    """An error of the hub's own, in the form of Terraform's."""
    return Diagnostic(Severity.ERROR, summary, detail)


def from_hub(error: Exception) -> Diagnostic:
    """Why Terraform was not started."""
    summary = "The Terraform state is damaged" if isinstance(error, StateError) else "The hub could not start Terraform"
    return error_diagnostic(summary, str(error))
