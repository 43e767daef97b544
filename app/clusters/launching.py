"""Starting Terraform for an operation: never with another cloud's credential, never on a state that is damaged."""

from __future__ import annotations

from collections.abc import Sequence

from app.accounts import service as accounts
from app.clusters import plans
from app.clusters.configuration import opened
from app.clusters.equipment import equipment
from app.clusters.folders import forget_earlier_plans
from app.clusters.models import DESTROY, Cluster, Plan
from app.clusters.states import present_state
from app.errors import Problem
from app.lifecycle.operations import Operation
from app.logs import get_logger
from app.terraform import commands, execution
from app.terraform.engine import EngineError
from app.terraform.execution import AlreadyRunningError, Command, Launch
from app.terraform.render import RenderError, render_main_tf
from app.terraform.state import StateError
from app.terraform.workspace import prepare_workspace

log = get_logger(__name__)
REFUSALS = (RenderError, EngineError, execution.ExecutionError, StateError, OSError, Problem)
"""What starting may raise; each has words for a person."""


def launch_plan(operation: Operation, cluster: Cluster) -> None:
    """Write the cluster's configuration and start init (unless one was prepared), plan and show.

    Raises one of `REFUSALS`; then nothing was started.
    """
    room = equipment()
    template = room.template(cluster.template)
    present_state(cluster)
    folder = room.folder(cluster)
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    parameters, secrets = cluster.parameters, cluster.secrets
    # What is destroyed is what was built, not what was typed since.
    built = cluster.applied_parameters is not None and cluster.applied_secrets is not None
    if operation.payload["kind"] == DESTROY and built:
        parameters, secrets = cluster.applied_parameters or {}, cluster.applied_secrets or b""
    values = {"parameters": {**parameters, **opened(secrets)}, "hostname": cluster.hostname}
    main_tf = render_main_tf(template, values)
    forget_earlier_plans(cluster)
    prepare_workspace(folder, template, main_tf)
    launch(operation, cluster, plan_steps(operation, cluster, init=not room.init_cache().restore(folder)))


def plan_steps(operation: Operation, cluster: Cluster, *, init: bool) -> list[Command]:
    """The commands of a plan operation."""
    room = equipment()
    return commands.plan_commands(
        room.operation_folder(cluster, operation.id),
        init=init,
        destroy=operation.payload["kind"] == DESTROY,
        engine_version=room.engine().version,
    )


def launch_apply(operation: Operation, cluster: Cluster, plan: Plan) -> None:
    """Start the apply of a plan's file. Raises one of `REFUSALS`; then nothing was started."""
    plan_file = equipment().operation_folder(cluster, plan.operation_id) / commands.PLAN
    launch(operation, cluster, commands.apply_commands(plan_file))


def launch(operation: Operation, cluster: Cluster, steps: Sequence[Command]) -> None:
    """Start commands in the operation's folder. Where they run already, somebody else was first: follow them.

    Raises one of `REFUSALS`; then nothing was started.
    """
    room = equipment()
    project = accounts.project_of(cluster.project_id)
    plans.check_cloud(cluster, room.cloud(project))
    try:
        execution.launch(
            Launch(
                folder=room.operation_folder(cluster, operation.id),
                working_directory=room.folder(cluster),
                engine=room.engine().path,
                environment=room.terraform_environment(project),
                commands=list(steps),
            )
        )
    except AlreadyRunningError:
        log.warning("terraform runs already", operation=operation.id)
