"""`POST /servers/<id>/action`: what a server is told to do."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..errors import BadRequestError, ConflictError, ForbiddenError, NotFoundError
from ..image import Image
from ..network.models import Port, SecurityGroup
from ..wire import Reply, body, caller, cloud
from . import console, documents, lifecycle
from .creation import admin_password, check_quota
from .documents import addresses, ports_of
from .models import Flavor, Server
from .routes import blueprint, find_server, require_state

Action = Callable[[Server, Any], Reply]
ACTIONS: dict[str, Action] = {}


def action(name: str) -> Callable[[Action], Action]:
    def register(view: Action) -> Action:
        ACTIONS[name] = view
        return view

    return register


@blueprint.post("/v2.1/servers/<server_id>/action")
def act(server_id: str) -> Reply:
    server, asked = find_server(server_id), body()
    name = next(iter(asked), None)
    if name in {"os-resetState", "injectNetworkInfo", "migrate", "evacuate"}:
        raise ForbiddenError(f"Policy doesn't allow os_compute_api:os-admin-actions:{name} to be performed.")
    if name not in ACTIONS:
        raise BadRequestError(f"There is no such action: {name}. Value: {asked}")
    return ACTIONS[name](server, asked[name])


DONE: Reply = ("", 202)


@action("os-start")
def start(server: Server, _values: Any) -> Reply:
    require_state(server, "start", "stopped")
    lifecycle.later(
        cloud(), server, 1.0, "powering-on", vm_state="active", power_state=1, launched_at=server.launched_at
    )
    return DONE


@action("os-stop")
def stop(server: Server, _values: Any) -> Reply:
    require_state(server, "stop", "active", "error")
    lifecycle.later(cloud(), server, 1.0, "powering-off", vm_state="stopped", power_state=4)
    return DONE


@action("reboot")
def reboot(server: Server, values: Any) -> Reply:
    kind = str(values.get("type", "")).upper() if isinstance(values, dict) else ""
    if kind not in {"SOFT", "HARD"}:
        raise BadRequestError(
            f"Invalid input for field/attribute type. Value: {kind}. Argument 'type' for reboot is not HARD or SOFT"
        )
    require_state(server, "reboot", "active", *(("stopped", "error") if kind == "HARD" else ()))
    task = "rebooting" if kind == "SOFT" else "rebooting_hard"
    lifecycle.later(cloud(), server, 1.0, task, vm_state="active", power_state=1, launched_at=cloud().now)
    return DONE


@action("pause")
def pause(server: Server, _values: Any) -> Reply:
    require_state(server, "pause", "active")
    lifecycle.later(cloud(), server, 0.5, "pausing", vm_state="paused", power_state=3)
    return DONE


@action("unpause")
def unpause(server: Server, _values: Any) -> Reply:
    require_state(server, "unpause", "paused")
    lifecycle.later(cloud(), server, 0.5, "unpausing", vm_state="active", power_state=1)
    return DONE


@action("shelve")
def shelve(server: Server, _values: Any) -> Reply:
    require_state(server, "shelve", "active", "stopped", "paused")
    lifecycle.later(cloud(), server, 1.0, "shelving", vm_state="shelved_offloaded", power_state=4)
    return DONE


@action("unshelve")
def unshelve(server: Server, _values: Any) -> Reply:
    require_state(server, "unshelve", "shelved_offloaded")
    lifecycle.later(cloud(), server, 1.0, "unshelving", vm_state="active", power_state=1, launched_at=cloud().now)
    return DONE


@action("resize")
def resize(server: Server, values: Any) -> Reply:
    require_state(server, "resize", "active", "stopped")
    reference = values.get("flavorRef") if isinstance(values, dict) else None
    flavor = cloud().table(Flavor).get(str(reference))
    if flavor is None:
        raise BadRequestError("Unable to locate requested flavor.")
    if flavor.id == server.flavor.id:
        raise BadRequestError("When resizing, instances must change flavor!")
    if flavor.disk == 0 and server.flavor.disk != 0 and server.image_id is not None:
        raise BadRequestError("Resize to zero disk flavor is not allowed.")
    if 0 < flavor.disk < server.flavor.disk and server.image_id is not None:
        raise BadRequestError("Unable to resize disk down.")
    check_quota(cloud(), server.project_id, flavor, 1, leaving=server.flavor)
    lifecycle.change(cloud(), server, flavor=flavor, old_flavor=server.flavor, task_state="resize_prep")
    cloud().agenda.add(cloud().now + cloud().tuning.boot_seconds / 2, "server-resized", server.id)
    return DONE


@action("confirmResize")
def confirm_resize(server: Server, _values: Any) -> Reply:
    if server.vm_state != "resized":
        raise ConflictError(f"Cannot 'confirmResize' instance {server.id} while it is in vm_state {server.vm_state}")
    state = "active" if server.power_state == 1 else "stopped"
    lifecycle.change(cloud(), server, vm_state=state, old_flavor=None)
    return "", 204


@action("revertResize")
def revert_resize(server: Server, _values: Any) -> Reply:
    require_state(server, "revertResize", "resized")
    assert server.old_flavor is not None
    state = "active" if server.power_state == 1 else "stopped"
    server = lifecycle.change(cloud(), server, flavor=server.old_flavor, old_flavor=None)
    lifecycle.later(cloud(), server, 1.0, "resize_reverting", vm_state=state)
    return DONE


@action("changePassword")
def change_password(server: Server, values: Any) -> Reply:
    if not isinstance(values, dict) or not isinstance(values.get("adminPass"), str):
        raise BadRequestError("Invalid input for field/attribute changePassword. 'adminPass' is a required property")
    require_state(server, "changePassword", "active")
    return DONE


@action("rebuild")
def rebuild(server: Server, values: Any) -> Reply:
    require_state(server, "rebuild", "active", "stopped", "error")
    image = cloud().table(Image).get(str(values.get("imageRef", "")) if isinstance(values, dict) else "")
    if image is None:
        raise BadRequestError("Cannot find image for rebuild")
    server = lifecycle.change(cloud(), server, image_id=image.id, fault=None)
    seconds = cloud().tuning.boot_seconds
    lifecycle.later(
        cloud(), server, seconds, "rebuilding", vm_state="active", power_state=1, launched_at=cloud().now + seconds
    )
    return {"server": {**documents.server(cloud(), server), "adminPass": admin_password()}}, 202


@action("os-getConsoleOutput")
def console_output(server: Server, values: Any) -> Reply:
    length = values.get("length") if isinstance(values, dict) else None
    if length is not None and not str(length).lstrip("-").isdigit():
        raise BadRequestError(f"Invalid input for field/attribute length. Value: {length}.")
    if server.vm_state == "building" and server.task_state in {"scheduling", "networking", "block_device_mapping"}:
        raise ConflictError(f"Instance {server.id} is not ready")
    ports = ports_of(cloud(), server)
    address = ports[0].fixed_ips[0].ip_address if ports and ports[0].fixed_ips else "."
    mac = ports[0].mac_address if ports else "."
    image = cloud().table(Image).get(server.image_id or "")
    powered_at = powered_on_at(server)
    whole = console.text(server, powered_at, cloud().now, image.name if image else "Linux", address, mac)
    return {"output": console.last_lines(whole, None if length is None else int(length))}


def powered_on_at(server: Server) -> float | None:
    """When the machine got its power: during the build, as the guest boots before Nova calls the server active."""
    if server.launched_at is not None:
        before = (1 - lifecycle.SPAWNED) * cloud().tuning.boot_seconds
        return max(server.created_at, server.launched_at - before)
    if server.vm_state == "building" and server.task_state == "spawning":
        return server.updated_at
    return None


@action("addSecurityGroup")
def add_security_group(server: Server, values: Any) -> Reply:
    group = _group(values)
    for port in _ports(server):
        _put_groups(port, list(dict.fromkeys([*port.security_groups, group.id])))
    return DONE


@action("removeSecurityGroup")
def remove_security_group(server: Server, values: Any) -> Reply:
    group = _group(values)
    ports = [port for port in _ports(server) if group.id in port.security_groups]
    if not ports:
        raise NotFoundError(f"Security group {group.id} not associated with the instance {server.id}")
    for port in ports:
        _put_groups(port, [each for each in port.security_groups if each != group.id])
    return DONE


def _group(values: Any) -> SecurityGroup:
    name = values.get("name") if isinstance(values, dict) else None
    for group in cloud().table(SecurityGroup).where(project_id=caller().project_id):
        if name in {group.id, group.name}:
            return group
    raise NotFoundError(f"Security group {name} not found for project {caller().project_id}.")


def _ports(server: Server) -> list[Port]:
    ports = ports_of(cloud(), server)
    if not ports:
        raise BadRequestError(f"instance_id {server.id} could not be found as device id on any ports")
    return ports


def _put_groups(port: Port, groups: list[str]) -> None:
    cloud().table(Port).put(replace(port, security_groups=groups, revision=port.revision + 1))


@blueprint.get("/v2.1/servers/<server_id>/os-instance-actions")
def list_actions(server_id: str) -> Reply:
    find_server(server_id)
    return {"instanceActions": []}


@blueprint.get("/v2.1/servers/<server_id>/ips")
def list_addresses(server_id: str) -> Reply:
    return {"addresses": addresses(cloud(), ports_of(cloud(), find_server(server_id)))}
