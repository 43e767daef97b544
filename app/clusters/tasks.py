"""What runs in the background for a cluster: making a plan, and applying one. Safe to run again at any moment."""

from __future__ import annotations

from pathlib import Path

from app.accounts import service as accounts
from app.clusters import plans, service, words
from app.clusters.configuration import opened
from app.clusters.documents import publish
from app.clusters.ending import diagnostics_of, end_cancelled_plan, end_failed, error_diagnostic, from_hub
from app.clusters.equipment import equipment
from app.clusters.folders import forget_earlier_plans, forget_plan, forget_plan_document, put_away
from app.clusters.following import Follower
from app.clusters.masks import mask_log
from app.clusters.models import APPLY, BUILD, DESTROY, PLAN, Cluster, Plan
from app.clusters.probes import answers_now
from app.clusters.reporting import Progress
from app.clusters.review import review_of
from app.clusters.states import keep_state, public_outputs
from app.clusters.statuses import Status
from app.db import db, now, transaction
from app.errors import Problem
from app.lifecycle import operations
from app.lifecycle.dispatch import Context, Task, operation_of
from app.lifecycle.operations import Operation, State
from app.lifecycle.status import transition
from app.terraform import commands, execution, fingerprint
from app.terraform.engine import EngineError
from app.terraform.execution import Launch, Outcome, OutcomeState
from app.terraform.plan import read_plan
from app.terraform.progress import Diagnostic, ProgressReader
from app.terraform.render import RenderError, render_main_tf
from app.terraform.workspace import prepare_workspace


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
    if not (folder / execution.JOB).exists():
        if operation.cancel_requested_at is not None:
            end_cancelled_plan(operation, cluster)
            return
        try:
            _start_plan(operation, cluster)
        except (RenderError, EngineError, execution.ExecutionError, OSError, Problem) as error:
            end_failed(operation, cluster, Status.PLAN_ERROR, [from_hub(error)])
            return
    outcome = _follow_plan(operation, cluster, context)
    operation, cluster = operation_of(operation_id), cluster_of(operation)
    mask_log(operation, cluster)
    if outcome.state is OutcomeState.SUCCEEDED:
        _finish_plan(operation, cluster)
    elif outcome.state is OutcomeState.CANCELLED:
        end_cancelled_plan(operation, cluster)
    else:
        end_failed(operation, cluster, Status.PLAN_ERROR, diagnostics_of(outcome))


def _start_plan(operation: Operation, cluster: Cluster) -> None:
    room = equipment()
    project = accounts.project_of(cluster.project_id)
    template = room.template(cluster.template)
    plans.check_cloud(cluster, room.cloud(project))
    folder = room.folder(cluster)
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    destroys = operation.payload["kind"] == DESTROY
    # What is destroyed is what was built, not what was typed since.
    parameters, secrets = cluster.parameters, cluster.secrets
    if destroys and cluster.applied_parameters is not None and cluster.applied_secrets is not None:
        parameters, secrets = cluster.applied_parameters, cluster.applied_secrets
    main_tf = render_main_tf(
        template,
        {"parameters": {**parameters, **opened(secrets)}, "hostname": cluster.hostname},
    )
    forget_earlier_plans(cluster)
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
                work, init=init, destroy=operation.payload["kind"] == DESTROY, engine_version=engine.version
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
            # What was asked for is what there is.
            if cluster.applied_parameters is not None and operation.payload["kind"] == BUILD:
                cluster.applied_parameters, cluster.applied_secrets = cluster.parameters, cluster.secrets
            publish(cluster)
        forget_plan_document(cluster, operation.id)
        return
    taken = fingerprint.take(folder, work / commands.PLAN, plans.cloud_key(cluster))
    with transaction():
        plans.keep_plan(
            operation,
            cluster,
            review_of(plan),
            taken,
            loses_data=words.loses_data(plan),
            changes_instances=words.changes_instances(plan),
        )
    forget_plan_document(cluster, operation.id)


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
    destroys = operation.payload["kind"] == DESTROY
    failed = Status.DESTROY_ERROR if destroys else Status.BUILD_ERROR
    folder = equipment().operation_folder(cluster, operation.id)
    plan = db.session.get_one(Plan, operation.payload["plan"])
    if not _was_begun(folder):
        refused = _start_apply(operation, cluster, plan)
        if refused is not None:
            end_failed(operation, cluster, failed, [refused])
            return
    planned = {each["address"]: each["action"] for each in plan.review["resources"]}
    progress = Progress(cluster, ProgressReader(planned))
    follower = Follower(operation.id, folder, progress.feed)
    follower.follow(context)
    operation, cluster = operation_of(operation_id), cluster_of(operation)
    progress.publish()
    mask_log(operation, cluster)
    outcome = execution.outcome(folder, operation.cancel_requested_at is not None)
    if outcome.state is OutcomeState.SUCCEEDED:
        _finish_apply(operation, cluster, plan)
    else:
        end_failed(operation, cluster, failed, diagnostics_of(outcome))
    forget_plan(cluster, plan)


def _was_begun(folder: Path) -> bool:
    """Whether Terraform was started on the plan; a hub killed just before that may have left the job's description."""
    if not (folder / execution.JOB).exists():
        return False
    return execution.is_running(folder) or not execution.remaining_commands(folder)


def _start_apply(operation: Operation, cluster: Cluster, plan: Plan) -> Diagnostic | None:
    """Start Terraform on the plan; returns why not."""
    room = equipment()
    if operation.cancel_requested_at is not None:
        return error_diagnostic("Cancelled", "The build was cancelled before it began.")
    moved = plans.differences_since(cluster, plan)
    if moved:
        return error_diagnostic("The plan is stale", f"Since the plan was made, {' and '.join(moved)}.")
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
        return from_hub(error)
    return None


def _finish_apply(operation: Operation, cluster: Cluster, plan: Plan) -> None:
    source = operation.worker or "hub"
    if operation.payload["kind"] == DESTROY:
        with transaction():
            keep_state(cluster, operation.id)
            operations.end(operation, State.SUCCEEDED, source=source)
            service.bury(cluster, source=source, detail="Everything was destroyed.")
        put_away(cluster.hostname)
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


def fail(operation_id: str, error: str, worker: str) -> None:
    """End an operation that the hub itself could not carry out."""
    operation = operation_of(operation_id)
    if not operation.is_active:
        return
    cluster = cluster_of(operation)
    status = Status.PLAN_ERROR
    if operation.kind == APPLY:
        status = Status.DESTROY_ERROR if operation.payload["kind"] == DESTROY else Status.BUILD_ERROR
    end_failed(operation, cluster, status, [error_diagnostic("The hub met an error", error)])


TASKS = {PLAN: Task(run_plan, fail), APPLY: Task(run_apply, fail)}
