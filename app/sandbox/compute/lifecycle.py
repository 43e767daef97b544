"""A server's life: how it is built, what it goes through, how it ends. All but the first step happens by itself."""

from dataclasses import replace
from typing import Any

from .. import faults
from ..agenda import Event, happening
from ..cloud import Cloud
from ..errors import CloudError
from ..image import Image
from ..network import access
from ..network.models import Network, Port, SecurityGroup
from ..network.ports import add_port, bind, remove_port, unbind
from ..network.security_groups import default_group
from ..volume import volumes
from ..volume.models import DEFAULT_TYPE, Volume
from .models import Fault, Server

Json = dict[str, Any]

# When the steps of a build happen, as parts of the time to boot.
STEPS = (
    (0.05, "server-networking"),
    (0.20, "server-block-devices"),
    (0.40, "server-spawning"),
    (1.00, "server-active"),
)
SPAWNED = 0.40


def change(cloud: Cloud, server: Server, **values: Any) -> Server:
    return cloud.table(Server).put(replace(server, **values, updated_at=cloud.now))


def start_building(cloud: Cloud, server: Server) -> Server:
    boot_seconds = cloud.tuning.boot_seconds
    for part, action in STEPS:
        cloud.agenda.add(cloud.now + part * boot_seconds, action, server.id)
    return cloud.table(Server).put(server)


def building(cloud: Cloud, event: Event) -> Server | None:
    server = cloud.table(Server).get(event.subject)
    return server if server and server.vm_state == "building" and server.task_state != "deleting" else None


def fail(cloud: Cloud, server: Server, message: str, code: int = 500) -> None:
    """The server ends in ERROR; what it holds, it keeps until it is deleted."""
    cloud.agenda.clear(server.id)
    change(cloud, server, vm_state="error", task_state=None, power_state=0, fault=Fault(code, message, cloud.now))


@happening("server-networking")
def take_networks(cloud: Cloud, event: Event) -> None:
    server = building(cloud, event)
    if server is None:
        return
    own_ports = []
    try:
        requested = server.requested_networks
        for wanted in [] if isinstance(requested, str) else requested:
            port, is_own = connect(cloud, server, wanted)
            own_ports += [port.id] if is_own else []
    except CloudError as error:
        server = change(cloud, server, own_ports=own_ports)
        fail(cloud, server, f"Build of instance {server.id} aborted: {error.message}")
        return
    change(cloud, server, task_state="networking", own_ports=own_ports)


def connect(cloud: Cloud, server: Server, wanted: Json) -> tuple[Port, bool]:
    """Binds the requested port to the server, or one made for it; true when it was made. Raises CloudError."""
    status = "ACTIVE" if server.vm_state == "active" else "DOWN"
    port = cloud.table(Port).get(wanted["port"]) if "port" in wanted else None
    if port is not None:
        return bind(cloud, port, server.id, status), False
    network = cloud.table(Network).get(wanted.get("uuid", ""))
    if network is None:
        raise CloudError(f"Network {wanted.get('uuid')} could not be found.")
    access.check_quota(cloud, server.project_id, (Port, 1))
    values: Json = {"fixed_ips": [{"ip_address": wanted["fixed_ip"]}]} if "fixed_ip" in wanted else {}
    made = add_port(cloud, network, server.project_id, values, group_ids(cloud, server))
    return bind(cloud, made, server.id, status), True


def group_ids(cloud: Cloud, server: Server) -> list[str]:
    found = []
    for name in server.requested_groups or ["default"]:
        if name == "default":
            found.append(default_group(cloud, server.project_id).id)
            continue
        own = cloud.table(SecurityGroup).where(project_id=server.project_id)
        found += [group.id for group in own if name in {group.id, group.name}]
    return found


@happening("server-block-devices")
def take_block_devices(cloud: Cloud, event: Event) -> None:
    server = building(cloud, event)
    if server is None:
        return
    change(cloud, server, task_state="block_device_mapping")
    letters = iter("abcdefghijklmnopqrstuvwxyz" if server.image_id is None else "bcdefghijklmnopqrstuvwxyz")
    devices = sorted(server.requested_devices, key=lambda each: 0 if each.get("boot_index") == 0 else 1)
    try:
        for device in devices:
            if device.get("destination_type") == "volume" or device.get("source_type") == "volume":
                attach_device(cloud, server, device, f"/dev/vd{next(letters)}")
    except CloudError as error:
        fail(cloud, server, f"Build of instance {server.id} aborted: {error.message}")


def attach_device(cloud: Cloud, server: Server, device: Json, name: str) -> None:
    """Makes the volume that the device asks for, or takes the one it names. Raises CloudError."""
    if device["source_type"] == "volume":
        volume = cloud.table(Volume).get(device["uuid"])
        if volume is None:
            raise CloudError(f"Volume {device['uuid']} could not be found.")
    else:
        image = cloud.table(Image).get(device.get("uuid", "")) if device["source_type"] == "image" else None
        volume = volumes.add(
            cloud,
            server.project_id,
            server.user_id,
            device["volume_size"],
            image=image,
            name="",
            description="",
            volume_type=device.get("volume_type") or DEFAULT_TYPE,
        )
        cloud.agenda.clear(volume.id)
        volume = volumes.change(cloud, volume, status="available")
    attachment = volumes.reserve(
        cloud,
        volume,
        server.id,
        name,
        boot_index=device.get("boot_index"),
        delete_on_termination=bool(device.get("delete_on_termination", False)),
        tag=device.get("tag"),
    )
    volumes.complete_attaching(cloud, attachment.id)


@happening("server-spawning")
def spawn(cloud: Cloud, event: Event) -> None:
    server = building(cloud, event)
    if server is not None:
        change(cloud, server, task_state="spawning")


@happening("server-active")
def become_active(cloud: Cloud, event: Event) -> None:
    server = building(cloud, event)
    if server is None:
        return
    message = faults.fault_of_server(cloud, server.name)
    if message is not None:
        fail(cloud, server, message)
        return
    server = change(cloud, server, vm_state="active", task_state=None, power_state=1, launched_at=cloud.now)
    raise_ports(cloud, server)


def raise_ports(cloud: Cloud, server: Server) -> None:
    for port in cloud.table(Port).where(device_id=server.id):
        cloud.table(Port).put(replace(port, status="ACTIVE", updated_at=cloud.now, revision=port.revision + 1))


def later(cloud: Cloud, server: Server, seconds: float, task_state: str | None, **then: Any) -> Server:
    """The server does something for a while; then it is as `then` says."""
    server = change(cloud, server, task_state=task_state)
    cloud.agenda.add(cloud.now + seconds, "server-settled", server.id, **then)
    return server


@happening("server-settled")
def settle(cloud: Cloud, event: Event) -> None:
    server = cloud.table(Server).get(event.subject)
    if server is not None and server.task_state != "deleting":
        change(cloud, server, **{"task_state": None, **event.details})


@happening("server-resized")
def finish_resize(cloud: Cloud, event: Event) -> None:
    server = cloud.table(Server).get(event.subject)
    if server is not None and server.old_flavor is not None:
        change(cloud, server, vm_state="resized", task_state=None, launched_at=server.launched_at)


def start_deleting(cloud: Cloud, server: Server) -> None:
    if server.task_state == "deleting":
        return
    cloud.agenda.clear(server.id)
    if server.vm_state == "error" and server.launched_at is None:
        # It never had a host that would have to let go of it: Nova's API deletes it itself, at once.
        _remove(cloud, server)
        return
    change(cloud, server, task_state="deleting")
    cloud.agenda.add(cloud.now + cloud.tuning.delete_seconds, "server-gone", server.id)


@happening("server-gone")
def vanish(cloud: Cloud, event: Event) -> None:
    """A server that was being deleted is gone."""
    server = cloud.table(Server).get(event.subject)
    if server is not None:
        _remove(cloud, server)


def _remove(cloud: Cloud, server: Server) -> None:
    """The server's own ports go with it, others are free again; so are its volumes, or deleted if it was asked for."""
    for port in cloud.table(Port).where(device_id=server.id):
        if port.id in server.own_ports:
            remove_port(cloud, port)
        else:
            unbind(cloud, port)
    for attachment in volumes.attachments_of(cloud, server.id):
        volumes.detach(cloud, attachment)
        volume = cloud.table(Volume).get(attachment.volume_id)
        if volume is not None and attachment.delete_on_termination:
            volumes.start_deleting(cloud, volume)
    cloud.table(Server).drop(server.id)
