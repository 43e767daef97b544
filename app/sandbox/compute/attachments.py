"""What is attached to servers: volumes and network interfaces."""

from typing import Any

from ..agenda import Event, happening
from ..cloud import Cloud
from ..errors import BadRequestError, ConflictError, ForbiddenError, NotFoundError
from ..network import access
from ..network.documents import fixed_ips
from ..network.models import Network, Port
from ..network.ports import remove_port, unbind
from ..volume import volumes
from ..volume.models import Attachment, Volume
from ..wire import Json, Reply, caller, cloud, part
from . import lifecycle
from .documents import ports_of
from .microversion import speaks
from .models import Server
from .routes import blueprint, find_server, require_state

ATTACHABLE = ("active", "paused", "stopped", "resized", "shelved_offloaded")


def attachment_document(each: Attachment) -> Json:
    found: Json = {"serverId": each.server_id, "volumeId": each.volume_id, "device": each.device}
    if speaks(70):
        found["tag"] = each.tag
    if speaks(79):
        found["delete_on_termination"] = each.delete_on_termination
    if speaks(89):
        found |= {"attachment_id": each.id, "bdm_uuid": each.bdm_uuid}
    else:
        found["id"] = each.volume_id
    return found


@blueprint.get("/v2.1/servers/<server_id>/os-volume_attachments")
def list_volume_attachments(server_id: str) -> Reply:
    found = volumes.attachments_of(cloud(), find_server(server_id).id)
    return {"volumeAttachments": [attachment_document(each) for each in found]}


def find_attachment(server: Server, volume_id: str) -> Attachment:
    for each in volumes.attachments_of(cloud(), server.id):
        if each.volume_id == volume_id:
            return each
    raise NotFoundError(
        f"Instance {server.id} is not attached to volume {volume_id}" if speaks(20) else "Volume not attached"
    )


@blueprint.get("/v2.1/servers/<server_id>/os-volume_attachments/<volume_id>")
def show_volume_attachment(server_id: str, volume_id: str) -> Reply:
    return {"volumeAttachment": attachment_document(find_attachment(find_server(server_id), volume_id))}


@blueprint.post("/v2.1/servers/<server_id>/os-volume_attachments")
def attach_volume(server_id: str) -> Reply:
    server, values = find_server(server_id), part("volumeAttachment")
    if not values.get("volumeId"):
        raise BadRequestError("Invalid input for field/attribute volumeAttachment. 'volumeId' is a required property")
    volume = cloud().table(Volume).get(values["volumeId"])
    if volume is None or volume.project_id != caller().project_id:
        raise NotFoundError(f"Volume {values['volumeId']} could not be found.")
    require_state(server, "attach_volume", *ATTACHABLE)
    taken = {each.device for each in volumes.attachments_of(cloud(), server.id)}
    if volume.status != "available":
        raise BadRequestError(
            f"Invalid volume: volume {volume.id} already attached"
            if volume.status == "in-use"
            else f"Invalid input received: Invalid volume: Volume {volume.id} status must be available or"
            " downloading to"
            f" reserve, but the current status is {volume.status}. (HTTP 400)"
        )
    device = _device(values.get("device"), taken)
    attachment = volumes.reserve(
        cloud(),
        volume,
        server.id,
        device,
        tag=values.get("tag"),
        delete_on_termination=bool(values.get("delete_on_termination", False)),
    )
    volumes.change(cloud(), volume, status="attaching")
    cloud().agenda.add(cloud().now + cloud().tuning.volume_seconds, "volume-attached", attachment.id)
    return {"volumeAttachment": attachment_document(attachment)}


def _device(wanted: str | None, taken: set[str]) -> str:
    """The device's name: as asked for, else the next that is free. (/dev/vda is the root disk.)"""
    if wanted:
        if wanted in taken or wanted == "/dev/vda":
            raise ConflictError(f"The supplied device path ({wanted}) is in use.")
        return wanted
    letters = "bcdefghijklmnopqrstuvwxyz"
    names = [f"/dev/vd{letter}" for letter in letters] + [f"/dev/vda{letter}" for letter in letters]
    free = [name for name in names if name not in taken]
    if not free:
        raise ForbiddenError(
            "The maximum allowed number of disk devices (26) to attach to a single instance has been exceeded."
        )
    return free[0]


@blueprint.delete("/v2.1/servers/<server_id>/os-volume_attachments/<volume_id>")
def detach_volume(server_id: str, volume_id: str) -> Reply:
    server = find_server(server_id)
    volume = cloud().table(Volume).get(volume_id)
    if volume is None:
        raise NotFoundError(f"Volume {volume_id} could not be found.")
    attachment = find_attachment(server, volume_id)
    if attachment.boot_index == 0:
        raise BadRequestError("Cannot detach a root device volume")
    if server.task_state is not None or server.vm_state not in ATTACHABLE:
        require_state(server, "detach_volume", *ATTACHABLE)
    volumes.begin_detaching(cloud(), attachment)
    return "", 202


def interface_document(port: Port) -> Json:
    return {
        "port_id": port.id,
        "net_id": port.network_id,
        "mac_addr": port.mac_address,
        "port_state": port.status,
        "fixed_ips": fixed_ips(port),
        **({"tag": None} if speaks(70) else {}),
    }


@blueprint.get("/v2.1/servers/<server_id>/os-interface")
def list_interfaces(server_id: str) -> Reply:
    return {"interfaceAttachments": [interface_document(each) for each in ports_of(cloud(), find_server(server_id))]}


@blueprint.get("/v2.1/servers/<server_id>/os-interface/<port_id>")
def show_interface(server_id: str, port_id: str) -> Reply:
    return {"interfaceAttachment": interface_document(_interface(find_server(server_id), port_id))}


def _interface(server: Server, port_id: str) -> Port:
    port = cloud().table(Port).get(port_id)
    if port is None or port.device_id != server.id:
        raise NotFoundError(f"Instance {server.id} does not have a port with id {port_id}")
    return port


@blueprint.post("/v2.1/servers/<server_id>/os-interface")
def attach_interface(server_id: str) -> Reply:
    server, values = find_server(server_id), part("interfaceAttachment")
    if values.get("net_id") and values.get("port_id"):
        raise BadRequestError("Must not input both network_id and port_id")
    require_state(server, "attach_interface", "active", "paused", "stopped")
    wanted = _requested_interface(values)
    port, is_own = lifecycle.connect(cloud(), server, wanted)
    if is_own:
        server = lifecycle.change(cloud(), server, own_ports=[*server.own_ports, port.id])
    return {"interfaceAttachment": interface_document(port)}


def _requested_interface(values: Json) -> Json:
    if values.get("port_id"):
        port = cloud().table(Port).get(values["port_id"])
        if port is None or not access.sees(cloud(), caller(), port):
            raise NotFoundError(f"Port id {values['port_id']} could not be found.")
        if port.device_id:
            raise ConflictError(f"Port {port.id} is still in use.")
        return {"port": port.id}
    network_id = values.get("net_id")
    networks = [
        network
        for network in cloud().table(Network)
        if access.sees(cloud(), caller(), network) and not network.is_external and network_id in {None, network.id}
    ]
    if not networks:
        raise NotFoundError(f"Network {network_id} could not be found.")
    if len(networks) > 1:
        raise ConflictError("Multiple possible networks found, use a Network ID to be more specific.")
    wanted: dict[str, Any] = {"uuid": networks[0].id}
    if values.get("fixed_ips"):
        wanted["fixed_ip"] = values["fixed_ips"][0].get("ip_address")
    return wanted


@blueprint.delete("/v2.1/servers/<server_id>/os-interface/<port_id>")
def detach_interface(server_id: str, port_id: str) -> Reply:
    server = find_server(server_id)
    port = _interface(server, port_id)
    require_state(server, "detach_interface", "active", "paused", "stopped")
    cloud().agenda.add(cloud().now + 0.5, "interface-detached", port.id, server=server.id)
    return "", 202


@happening("interface-detached")
def interface_detached(cloud: Cloud, event: Event) -> None:
    port, server = cloud.table(Port).get(event.subject), cloud.table(Server).get(event.details["server"])
    if port is None or server is None or port.device_id != server.id:
        return
    if port.id in server.own_ports:
        remove_port(cloud, port)
    else:
        unbind(cloud, port)
