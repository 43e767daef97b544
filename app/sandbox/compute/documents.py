"""Servers and flavors as Nova writes them, in the microversion that is spoken."""

import hashlib
from typing import Any

from .. import stamps
from ..cloud import Cloud
from ..network.models import FloatingIP, Network, Port, SecurityGroup
from ..volume.volumes import attachments_of
from .microversion import speaks
from .models import Flavor, Server

Json = dict[str, Any]


def links(cloud: Cloud, kind: str, record_id: str) -> list[Json]:
    return [
        {"rel": "self", "href": f"{cloud.options.url}/compute/v2.1/{kind}/{record_id}"},
        bookmark(cloud, kind, record_id),
    ]


def bookmark(cloud: Cloud, kind: str, record_id: str) -> Json:
    return {"rel": "bookmark", "href": f"{cloud.options.url}/compute/{kind}/{record_id}"}


def flavor(cloud: Cloud, record: Flavor) -> Json:
    found: Json = {
        "id": record.id,
        "name": record.name,
        "ram": record.ram,
        "disk": record.disk,
        "swap": record.swap if speaks(75) or record.swap else "",
        "OS-FLV-EXT-DATA:ephemeral": record.ephemeral,
        "OS-FLV-DISABLED:disabled": False,
        "vcpus": record.vcpus,
        "os-flavor-access:is_public": True,
        "rxtx_factor": 1.0,
        "links": links(cloud, "flavors", record.id),
    }
    if speaks(55):
        found["description"] = record.description
    if speaks(61):
        found["extra_specs"] = record.extra_specs
    return found


def ports_of(cloud: Cloud, server: Server) -> list[Port]:
    return cloud.table(Port).where(device_id=server.id)


def addresses(cloud: Cloud, ports: list[Port]) -> Json:
    """Per network its fixed addresses, then the floating ones."""
    found: dict[str, list[Json]] = {}
    for port in ports:
        network = cloud.table(Network).get(port.network_id)
        listed = found.setdefault(network.name if network else "", [])
        floating = {each.fixed_ip_address: each for each in cloud.table(FloatingIP).where(port_id=port.id)}
        for fixed in port.fixed_ips:
            listed.append(_address(port, fixed.ip_address, "fixed"))
            if fixed.ip_address in floating:
                listed.append(_address(port, floating[fixed.ip_address].floating_ip_address, "floating"))
    return found


def _address(port: Port, address: str, kind: str) -> Json:
    return {
        "version": 6 if ":" in address else 4,
        "addr": address,
        "OS-EXT-IPS:type": kind,
        "OS-EXT-IPS-MAC:mac_addr": port.mac_address,
    }


def server(cloud: Cloud, record: Server) -> Json:
    """The whole of a server, as `GET /servers/<id>` and `/servers/detail` give it."""
    ports = ports_of(cloud, record)
    host_id = hashlib.sha224(f"{record.project_id}compute-1".encode()).hexdigest()
    is_placed = record.task_state != "scheduling" and record.launched_at is not None
    found: Json = {
        "id": record.id,
        "name": record.name,
        "status": record.status,
        "tenant_id": record.project_id,
        "user_id": record.user_id,
        "metadata": record.metadata,
        "hostId": host_id if is_placed else "",
        "image": {"id": record.image_id, "links": [bookmark(cloud, "images", record.image_id)]}
        if record.image_id
        else "",
        "flavor": _embedded_flavor(cloud, record.flavor),
        "created": stamps.with_z(record.created_at),
        "updated": stamps.with_z(record.updated_at),
        "addresses": addresses(cloud, ports),
        "accessIPv4": "",
        "accessIPv6": "",
        "links": links(cloud, "servers", record.id),
        "OS-DCF:diskConfig": record.disk_config,
        "OS-EXT-AZ:availability_zone": record.availability_zone if is_placed else record.requested_zone or "",
        "config_drive": "True" if record.config_drive else "",
        "key_name": record.key_name,
        "OS-SRV-USG:launched_at": stamps.with_microseconds(record.launched_at),
        "OS-SRV-USG:terminated_at": None,
        "OS-EXT-STS:task_state": record.task_state,
        "OS-EXT-STS:vm_state": record.vm_state,
        "OS-EXT-STS:power_state": record.power_state,
        "os-extended-volumes:volumes_attached": [
            {"id": each.volume_id, **({"delete_on_termination": each.delete_on_termination} if speaks(3) else {})}
            for each in attachments_of(cloud, record.id)
        ],
    }
    groups = _security_groups(cloud, record, ports)
    if groups:
        found["security_groups"] = groups
    if record.status in {"BUILD", "ACTIVE", "RESIZE", "VERIFY_RESIZE", "REBOOT", "HARD_REBOOT"}:
        found["progress"] = 0
    if record.fault is not None and record.vm_state == "error":
        found["fault"] = {
            "code": record.fault.code,
            "created": stamps.with_z(record.fault.created_at),
            "message": record.fault.message,
        }
    return found | _later_fields(record)


def _later_fields(record: Server) -> Json:
    found: Json = {}
    if speaks(9):
        found["locked"] = False
    if speaks(19):
        found["description"] = record.description
    if speaks(26):
        found["tags"] = record.tags
    if speaks(63):
        found["trusted_image_certificates"] = None
    if speaks(71):
        found["server_groups"] = []
    if speaks(73):
        found["locked_reason"] = None
    if speaks(90):
        found["OS-EXT-SRV-ATTR:hostname"] = record.name.lower()
    if speaks(96):
        found["pinned_availability_zone"] = record.requested_zone
    return found


def _embedded_flavor(cloud: Cloud, record: Flavor) -> Json:
    if not speaks(47):
        return {"id": record.id, "links": [bookmark(cloud, "flavors", record.id)]}
    return {
        "vcpus": record.vcpus,
        "ram": record.ram,
        "disk": record.disk,
        "ephemeral": record.ephemeral,
        "swap": record.swap,
        "original_name": record.name,
        "extra_specs": record.extra_specs,
    }


def _security_groups(cloud: Cloud, record: Server, ports: list[Port]) -> list[Json]:
    ids = dict.fromkeys(group for port in ports for group in port.security_groups)
    names = [group.name for group in map(cloud.table(SecurityGroup).get, ids) if group]
    if not ports:
        names = record.requested_groups
    return [{"name": name} for name in dict.fromkeys(names)]


def quota_words(over: list[tuple[str, int, int, int]]) -> str:
    """(resource, asked, used, limit) of all that would not fit, in Nova's words."""
    columns = [", ".join(str(part) for part in column) for column in zip(*over, strict=True)]
    names, asked, used, limits = columns
    return f"Quota exceeded for {names}: Requested {asked}, but already used {used} of {limits} {names}"
