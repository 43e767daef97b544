"""What runs in the background for a cluster: making a plan, and applying one. Safe to run again at any moment."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from enum import Enum
from typing import Any

from app.accounts import service as accounts
from app.cloud.credential import secret_values
from app.clusters import service, words
from app.clusters.documents import publish
from app.clusters.equipment import equipment
from app.clusters.following import Follower
from app.clusters.models import Cluster, Plan
from app.clusters.probes import answers_now
from app.clusters.states import keep_state, public_outputs
from app.clusters.statuses import Status
from app.db import db, iso, now, transaction
from app.errors import Problem
from app.lifecycle import operations
from app.lifecycle.dispatch import Context, Task, operation_of
from app.lifecycle.operations import Operation, State
from app.lifecycle.status import transition
from app.logs import get_logger
from app.terraform import commands, execution, fingerprint
from app.terraform.engine import EngineError
from app.terraform.execution import Launch, Outcome, OutcomeState
from app.terraform.masking import Masker
from app.terraform.plan import Plan as TerraformPlan
from app.terraform.plan import ResourceChange, read_plan
from app.terraform.progress import Diagnostic, ProgressReader, ResourceProgress, Severity
from app.terraform.render import RenderError, render_main_tf
from app.terraform.workspace import prepare_workspace

log = get_logger(__name__)
PUBLISH_SECONDS = 0.25
"""How often a running build is told to the browsers at most."""


def _cluster(operation: Operation) -> Cluster:
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
    cluster = _cluster(operation)
    folder = equipment().operation_folder(cluster, operation.id)
    if not (folder / execution.JOB).exists():
        if operation.cancel_requested_at is not None:
            _end_cancelled_plan(operation, cluster)
            return
        try:
            _start_plan(operation, cluster)
        except (RenderError, EngineError, execution.ExecutionError, OSError, Problem) as error:
            _end_failed(operation, cluster, Status.PLAN_ERROR, [_from_hub(error)])
            return
    outcome = _follow_plan(operation, cluster, context)
    operation, cluster = operation_of(operation_id), _cluster(operation)
    _mask_log(operation, cluster)
    if outcome.state is OutcomeState.SUCCEEDED:
        _finish_plan(operation, cluster)
    elif outcome.state is OutcomeState.CANCELLED:
        _end_cancelled_plan(operation, cluster)
    else:
        _end_failed(operation, cluster, Status.PLAN_ERROR, _diagnostics(outcome))


def _start_plan(operation: Operation, cluster: Cluster) -> None:
    room = equipment()
    project = accounts.project_of(cluster.project_id)
    template = room.template(cluster.template)
    service.check_cloud(cluster, room.cloud(project))
    folder = room.folder(cluster)
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    destroys = operation.payload["kind"] == service.DESTROY
    # What is destroyed is what was built, not what was typed since.
    parameters, secrets = cluster.parameters, cluster.secrets
    if destroys and cluster.applied_parameters is not None and cluster.applied_secrets is not None:
        parameters, secrets = cluster.applied_parameters, cluster.applied_secrets
    main_tf = render_main_tf(
        template,
        {"parameters": {**parameters, **service.opened(secrets)}, "hostname": cluster.hostname},
    )
    prepare_workspace(folder, template, main_tf)
    initialised = room.init_cache().restore(folder)
    _launch(operation, cluster, init=not initialised)


def _launch(operation: Operation, cluster: Cluster, *, init: bool) -> None:
    room = equipment()
    work = room.operation_folder(cluster, operation.id)
    engine = room.engine()
    execution.launch(
        Launch(
            folder=work,
            working_directory=room.folder(cluster),
            engine=engine.path,
            environment=room.terraform_environment(accounts.project_of(cluster.project_id)),
            commands=commands.plan_commands(
                work, init=init, destroy=operation.payload["kind"] == service.DESTROY, engine_version=engine.version
            ),
        )
    )


def _follow_plan(operation: Operation, cluster: Cluster, context: Context) -> Outcome:
    """Follow a plan to its end; start what its runner did not come to, and init where Terraform asks for it."""
    room = equipment()
    work = room.operation_folder(cluster, operation.id)
    follower = Follower(operation.id, work, lambda _: None)
    follower.follow(context)
    outcome = execution.outcome(work, follower.was_cancelled)
    if outcome.needs_init:
        room.init_cache().discard(room.folder(cluster))
        _launch(operation, cluster, init=True)
    elif outcome.state is OutcomeState.SUCCEEDED or (
        outcome.state is OutcomeState.INTERRUPTED and execution.remaining_commands(work)
    ):
        remaining = execution.remaining_commands(work)
        if not remaining:
            return outcome
        execution.launch(
            Launch(
                folder=work,
                working_directory=room.folder(cluster),
                engine=room.engine().path,
                environment=room.terraform_environment(accounts.project_of(cluster.project_id)),
                commands=remaining,
            )
        )
    else:
        return outcome
    follower.follow(context)
    return execution.outcome(work, follower.was_cancelled)


def _finish_plan(operation: Operation, cluster: Cluster) -> None:
    room = equipment()
    folder, work = room.folder(cluster), room.operation_folder(cluster, operation.id)
    room.init_cache().keep(folder)
    plan = read_plan((work / commands.PLAN_JSON).read_bytes())
    if plan.is_empty and cluster.status_before not in (None, Status.CREATED):
        with transaction():
            operation.result = {"nothing_to_change": True}
            operations.end(operation, State.SUCCEEDED, source=operation.worker or "hub")
            transition(
                cluster,
                cluster.status_before or Status.CREATED,
                source=operation.worker or "hub",
                detail="Nothing to change.",
            )
            publish(cluster)
        return
    taken = fingerprint.take(folder, work / commands.PLAN, service.cloud_key(cluster))
    with transaction():
        service.keep_plan(
            operation,
            cluster,
            review_of(plan),
            taken,
            loses_data=words.loses_data(plan),
            changes_instances=words.changes_instances(plan),
        )


def review_of(plan: TerraformPlan) -> dict[str, Any]:
    """What a person is shown of a plan; sensitive values are masked already."""
    return {
        "actions": plan.actions,
        "summary": [sentence.as_json() for sentence in words.summarise(plan)],
        "resources": [_resource_json(change) for change in plan.changed],
        "drift": [_resource_json(change) for change in plan.drift],
    }


def _resource_json(change: ResourceChange) -> dict[str, Any]:
    return {
        "address": change.address,
        "type": change.type,
        "name": change.name,
        "index": change.index,
        "action": change.action.value,
        "changes": [asdict(each) for each in change.changes],
        "reason": change.reason,
    }


def run_apply(operation_id: str, context: Context) -> None:
    """Apply a plan.

    1. Unless it was begun before: check once more that nothing moved, and start Terraform on that very plan.
    2. Follow it to its end; tell the browsers of every resource.
    3. Keep the state, then end: provisioning, or an error with Terraform's diagnostics.
    """
    operation = operation_of(operation_id)
    if not operation.is_active:
        return
    cluster = _cluster(operation)
    destroys = operation.payload["kind"] == service.DESTROY
    failed = Status.DESTROY_ERROR if destroys else Status.BUILD_ERROR
    folder = equipment().operation_folder(cluster, operation.id)
    plan = db.session.get_one(Plan, operation.payload["plan"])
    if not (folder / execution.JOB).exists():
        refused = _start_apply(operation, cluster, plan)
        if refused is not None:
            _end_failed(operation, cluster, failed, [refused])
            return
    planned = {each["address"]: each["action"] for each in plan.review["resources"]}
    progress = Progress(cluster, ProgressReader(planned))
    follower = Follower(operation.id, folder, progress.feed)
    follower.follow(context)
    operation, cluster = operation_of(operation_id), _cluster(operation)
    progress.publish()
    _mask_log(operation, cluster)
    outcome = execution.outcome(folder, operation.cancel_requested_at is not None)
    if outcome.state is OutcomeState.SUCCEEDED:
        _finish_apply(operation, cluster, plan)
    else:
        _end_failed(operation, cluster, failed, _diagnostics(outcome))


def _start_apply(operation: Operation, cluster: Cluster, plan: Plan) -> Diagnostic | None:
    """Start Terraform on the plan; returns why not."""
    room = equipment()
    if operation.cancel_requested_at is not None:
        return _error("Cancelled", "The build was cancelled before it began.")
    moved = service.differences_since(cluster, plan)
    if moved:
        return _error("The plan is stale", f"Since the plan was made, {' and '.join(moved)}.")
    try:
        execution.launch(
            Launch(
                folder=room.operation_folder(cluster, operation.id),
                working_directory=room.folder(cluster),
                engine=room.engine().path,
                environment=room.terraform_environment(accounts.project_of(cluster.project_id)),
                commands=commands.apply_commands(room.operation_folder(cluster, plan.operation_id) / commands.PLAN),
            )
        )
    except (EngineError, execution.ExecutionError, OSError) as error:
        return _from_hub(error)
    return None


class Progress:
    """Tells the browsers how far an apply is, a few times a second at most."""

    def __init__(self, cluster: Cluster, reader: ProgressReader) -> None:
        self.cluster = cluster
        self.reader = reader
        self._told_at = 0.0

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the log."""
        self.reader.feed(data)
        if time.monotonic() - self._told_at >= PUBLISH_SECONDS:
            self.publish()

    def publish(self) -> None:
        """Rewrite the status document if anything happened."""
        self._told_at = time.monotonic()
        with transaction():
            publish(
                self.cluster,
                progress=[_progress_json(each) for each in self.reader.resources],
                counts={"done": self.reader.done, "total": self.reader.total},
            )


def _progress_json(resource: ResourceProgress) -> dict[str, Any]:
    diagnostic = resource.diagnostic
    return {
        "address": resource.address,
        "type": resource.type,
        "action": str(resource.action),
        "state": resource.state.value,
        "started_at": iso(resource.started_at),
        "ended_at": iso(resource.ended_at),
        "diagnostic": _plain(diagnostic) if diagnostic else None,
    }


def _plain(value: Any) -> Any:
    """A dataclass as JSON takes it."""
    return {
        name: item.value if isinstance(item, Enum) else iso(item) if isinstance(item, datetime) else item
        for name, item in asdict(value).items()
    }


def _finish_apply(operation: Operation, cluster: Cluster, plan: Plan) -> None:
    source = operation.worker or "hub"
    if operation.payload["kind"] == service.DESTROY:
        with transaction():
            keep_state(cluster, operation.id)
            operations.end(operation, State.SUCCEEDED, source=source)
            service.bury(cluster, source=source, detail="Everything was destroyed.")
        return
    template = equipment().template(cluster.template)
    # Asked before the transaction: a service that is slow to answer must not keep the database waiting.
    answered = not plan.changes_instances and answers_now(cluster)
    with transaction():
        state = keep_state(cluster, operation.id)
        outputs = public_outputs(state, template)
        cluster.outputs = outputs
        operations.end(operation, State.SUCCEEDED, source=source)
        transition(
            cluster,
            _after_build(cluster, answered),
            source=source,
            also={"has_resources": not state.is_empty, "provisioning_since": now()},
        )
        publish(cluster)


def _after_build(cluster: Cluster, answered: bool) -> Status:
    """Where a build ends: without probes there is nothing to wait for, nor where no server changed and all answer."""
    if not equipment().template(cluster.template).probes:
        return Status.BUILD_SUCCESS
    return Status.PROVISIONING_SUCCESS if answered else Status.PROVISIONING_RUNNING


def _end_cancelled_plan(operation: Operation, cluster: Cluster) -> None:
    source = operation.worker or "hub"
    with transaction():
        service.restore_applied(cluster)
        operations.end(operation, State.CANCELLED, source=source, error="Cancelled.")
        transition(cluster, cluster.status_before or Status.CREATED, source=source, detail="The plan was cancelled.")
        publish(cluster)


def _end_failed(operation: Operation, cluster: Cluster, status: Status, diagnostics: Sequence[Diagnostic]) -> None:
    """End an operation and its cluster in an error, with what Terraform said; the state that was written is kept."""
    source = operation.worker or "hub"
    cancelled = operation.cancel_requested_at is not None
    summary = "Cancelled." if cancelled else (diagnostics[0].summary if diagnostics else "It failed.")
    with transaction():
        also: dict[str, Any] = {}
        if status is not Status.PLAN_ERROR:
            state = keep_state(cluster, operation.id)
            also = {"has_resources": not state.is_empty}
            if not state.is_empty:
                also["outputs"] = public_outputs(state, equipment().template(cluster.template))
        operation.result = {"diagnostics": [_plain(each) for each in diagnostics]}
        operations.end(operation, State.CANCELLED if cancelled else State.FAILED, source=source, error=summary)
        transition(cluster, status, source=source, detail=summary, also=also)
        publish(cluster)


def _diagnostics(outcome: Outcome) -> list[Diagnostic]:
    if outcome.state is OutcomeState.INTERRUPTED:
        interrupted = _error(
            f"Interrupted at {iso(now())}",
            "Terraform ended before it could report. What it had recorded is kept: a new plan continues from there.",
        )
        return [interrupted, *outcome.diagnostics]
    return list(outcome.diagnostics)


def _error(summary: str, detail: str) -> Diagnostic:
    return Diagnostic(Severity.ERROR, summary, detail)


def _from_hub(error: Exception) -> Diagnostic:
    return _error("The hub could not start Terraform", str(error))


def _mask_log(operation: Operation, cluster: Cluster) -> None:
    masker = masker_of(cluster)
    masker.mask_file(equipment().operation_folder(cluster, operation.id) / execution.LOG)


def masker_of(cluster: Cluster) -> Masker:
    """What must not be read in this cluster's logs."""
    project = accounts.project_of(cluster.project_id)
    known = [*secret_values(accounts.credential_of(project)), *service.opened(cluster.secrets).values()]
    if cluster.applied_secrets is not None:
        known += service.opened(cluster.applied_secrets).values()
    return Masker([value for value in known if value])


def fail(operation_id: str, error: str, worker: str) -> None:
    """End an operation that the hub itself could not carry out."""
    operation = operation_of(operation_id)
    if not operation.is_active:
        return
    cluster = _cluster(operation)
    status = Status.PLAN_ERROR
    if operation.kind == service.APPLY:
        status = Status.DESTROY_ERROR if operation.payload["kind"] == service.DESTROY else Status.BUILD_ERROR
    _end_failed(operation, cluster, status, [_error("The hub met an error", error)])


TASKS = {service.PLAN: Task(run_plan, fail), service.APPLY: Task(run_apply, fail)}
