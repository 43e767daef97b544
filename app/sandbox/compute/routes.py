"""Nova's blueprint, and what all of its views share."""

from typing import Any

from flask import Blueprint, Response, g, request

from ..errors import BadRequestError, ConflictError, NotFoundError
from ..wire import caller, cloud
from . import microversion
from .models import Server

blueprint = Blueprint("compute", __name__, url_prefix="/compute")


@blueprint.before_request
def take_microversion() -> None:
    g.microversion = microversion.requested()


@blueprint.after_request
def say_microversion(response: Response) -> Response:
    if "microversion" in g:
        spoken = microversion.as_text(g.microversion)
        response.headers["OpenStack-API-Version"] = f"compute {spoken}"
        response.headers["X-OpenStack-Nova-API-Version"] = spoken
        response.headers["Vary"] = "OpenStack-API-Version, X-OpenStack-Nova-API-Version"
    return response


def find_server(server_id: str) -> Server:
    server = cloud().table(Server).get(server_id)
    if server is None or (server.project_id != caller().project_id and not caller().is_admin):
        raise NotFoundError(f"Instance {server_id} could not be found.")
    return server


def require_state(server: Server, action: str, *allowed: str) -> None:
    """Raises ConflictError as Nova does when an action makes no sense in the server's state."""
    if server.vm_state not in allowed:
        raise ConflictError(f"Cannot '{action}' instance {server.id} while it is in vm_state {server.vm_state}")
    if server.task_state is not None:
        raise ConflictError(f"Cannot '{action}' instance {server.id} while it is in task_state {server.task_state}")


def after_marker(found: list[Any], key: str = "id") -> list[Any]:
    """What follows the query's marker. Raises BadRequestError."""
    marker = request.args.get("marker")
    if not marker:
        return found
    keys = [getattr(each, key) for each in found]
    if marker not in keys:
        raise BadRequestError(f"marker [{marker}] not found")
    return found[keys.index(marker) + 1 :]
