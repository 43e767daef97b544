"""Ports: how a server, a router or a floating IP hangs on a network."""

import secrets
import uuid
from dataclasses import replace
from typing import Any

from ..cloud import Cloud
from ..errors import BadRequestError, ConflictError, ForbiddenError, NotFoundError
from ..identity.models import Caller
from .access import check_quota, find, find_own, text_of
from .addresses import allocate
from .models import FLOATING_IP, ROUTER_GATEWAY, ROUTER_INTERFACE, FixedIP, FloatingIP, Network, Port, SecurityGroup
from .security_groups import default_group

Json = dict[str, Any]


def new_mac() -> str:
    return "fa:16:3e:" + ":".join(f"{byte:02x}" for byte in secrets.token_bytes(3))


def create_port(cloud: Cloud, caller: Caller, values: Json) -> Port:
    if not values.get("network_id"):
        raise BadRequestError("Failed to parse request. Required attribute 'network_id' not specified")
    network = find(cloud, caller, Network, values["network_id"])
    if network.project_id != caller.project_id and not network.is_shared and not caller.is_admin:
        if values.get("fixed_ips"):
            raise ForbiddenError("(rule:create_port and (rule:create_port:fixed_ips)) is disallowed by policy")
        if not network.is_external:
            raise NotFoundError(f"Network {network.id} could not be found.", "NetworkNotFound")
    check_quota(cloud, caller.project_id, (Port, 1))
    return add_port(cloud, network, caller.project_id, values, _groups(cloud, caller, network, values))


def add_port(cloud: Cloud, network: Network, project_id: str, values: Json, security_groups: list[str]) -> Port:
    """A new port on the network, its addresses allocated. Raises as the allocation does."""
    mac = str(values.get("mac_address") or new_mac()).lower()
    if cloud.table(Port).where(network_id=network.id, mac_address=mac):
        raise ConflictError(
            f"Unable to complete operation for network {network.id}. The mac address {mac} is in use.",
            "MacAddressInUse",
        )
    return cloud.table(Port).put(
        Port(
            id=str(uuid.uuid4()),
            project_id=project_id,
            name=text_of(values, "name"),
            description=text_of(values, "description"),
            created_at=cloud.now,
            updated_at=cloud.now,
            revision=1,
            network_id=network.id,
            mac_address=mac,
            admin_state_up=bool(values.get("admin_state_up", True)),
            status=str(values.get("status", "DOWN")),
            device_id=text_of(values, "device_id"),
            device_owner=text_of(values, "device_owner"),
            fixed_ips=allocate(cloud, network, values.get("fixed_ips")),
            security_groups=security_groups,
            allowed_address_pairs=_pairs(values.get("allowed_address_pairs")),
            extra_dhcp_opts=values.get("extra_dhcp_opts") or [],
            port_security_enabled=bool(values.get("port_security_enabled", network.port_security_enabled)),
            vnic_type=str(values.get("binding:vnic_type", "normal")),
            dns_name=text_of(values, "dns_name"),
        )
    )


def _groups(cloud: Cloud, caller: Caller, network: Network, values: Json) -> list[str]:
    """The port's security groups: those named, else the project's default group. None without port security."""
    has_security = values.get("port_security_enabled", network.port_security_enabled)
    wanted = values.get("security_groups")
    if wanted is None:
        return [default_group(cloud, caller.project_id).id] if has_security else []
    if wanted and not has_security:
        raise ConflictError(
            "Port Security must be enabled in order to have allowed address pairs or security groups on a port.",
            "PortSecurityAndIPRequiredForSecurityGroups",
        )
    return [find(cloud, caller, SecurityGroup, each).id for each in dict.fromkeys(wanted)]


def _pairs(wanted: object) -> list[dict[str, str]]:
    pairs = wanted or []
    if not isinstance(pairs, list) or any(not isinstance(each, dict) or "ip_address" not in each for each in pairs):
        raise BadRequestError("AllowedAddressPair must contain ip_address", "AllowedAddressPairsMissingIP")
    kept = [{key: str(each[key]) for key in ("ip_address", "mac_address") if each.get(key)} for each in pairs]
    if len({tuple(sorted(each.items())) for each in kept}) != len(kept):
        raise BadRequestError("Request contains duplicate address pair", "DuplicateAddressPairInRequest")
    return kept


def update_port(cloud: Cloud, caller: Caller, record: Port, values: Json) -> Port:
    record = find_own(cloud, caller, Port, record.id)
    changes: Json = {}
    if "fixed_ips" in values:
        changes["fixed_ips"] = _moved_addresses(cloud, record, values["fixed_ips"])
    if "security_groups" in values:
        network = cloud.table(Network).get(record.network_id)
        assert network is not None
        changes["security_groups"] = _groups(
            cloud, caller, network, {"port_security_enabled": record.port_security_enabled, **values}
        )
    if "allowed_address_pairs" in values:
        changes["allowed_address_pairs"] = _pairs(values["allowed_address_pairs"])
    for name in ("admin_state_up", "port_security_enabled", "extra_dhcp_opts"):
        if name in values:
            changes[name] = values[name]
    if "binding:vnic_type" in values:
        changes["vnic_type"] = values["binding:vnic_type"]
    for name in ("name", "description", "device_id", "device_owner", "dns_name"):
        changes[name] = text_of(values, name, getattr(record, name))
    if changes.get("port_security_enabled") is False and changes.get("security_groups", record.security_groups):
        raise ConflictError(
            "Port has security group associated. Cannot disable port security or IP address until security group is"
            " removed.",
            "PortSecurityPortHasSecurityGroup",
        )
    return cloud.table(Port).put(replace(record, **changes, updated_at=cloud.now, revision=record.revision + 1))


def _moved_addresses(cloud: Cloud, record: Port, wanted: object) -> list[FixedIP]:
    """The port's new addresses; those that a floating IP leads to may not go."""
    network = cloud.table(Network).get(record.network_id)
    assert network is not None
    cloud.table(Port).put(replace(record, fixed_ips=[]))  # so that it may keep what it has
    kept = []
    for each in wanted if isinstance(wanted, list) else [wanted]:
        held = [
            own
            for own in record.fixed_ips
            if isinstance(each, dict) and own.subnet_id == each.get("subnet_id") and "ip_address" not in each
        ]
        kept.append({"subnet_id": held[0].subnet_id, "ip_address": held[0].ip_address} if held else each)
    found = allocate(cloud, network, kept)
    addresses = {each.ip_address for each in found}
    for floating in cloud.table(FloatingIP).where(port_id=record.id):
        if floating.fixed_ip_address not in addresses:
            raise BadRequestError(
                f"Cannot remove fixed IP {floating.fixed_ip_address} of port {record.id}: a floating IP leads to it.",
                "BadRequest",
            )
    return found


def delete_port(cloud: Cloud, caller: Caller, record: Port) -> None:
    record = find_own(cloud, caller, Port, record.id)
    if record.device_owner in {ROUTER_INTERFACE, ROUTER_GATEWAY, FLOATING_IP}:
        raise ConflictError(
            f"Port {record.id} cannot be deleted directly via the port API: has device owner {record.device_owner}.",
            "ServicePortInUse",
        )
    remove_port(cloud, record)


def remove_port(cloud: Cloud, record: Port) -> None:
    """Takes the port away; floating IPs that led to it are free again."""
    for floating in cloud.table(FloatingIP).where(port_id=record.id):
        cloud.table(FloatingIP).put(
            replace(
                floating,
                port_id=None,
                fixed_ip_address=None,
                router_id=None,
                status="DOWN",
                updated_at=cloud.now,
                revision=floating.revision + 1,
            )
        )
    cloud.table(Port).drop(record.id)


def bind(cloud: Cloud, port: Port, server_id: str, status: str) -> Port:
    """What Nova does to the port of a server."""
    return cloud.table(Port).put(
        replace(
            port,
            device_id=server_id,
            device_owner="compute:nova",
            host="compute-1",
            status=status,
            updated_at=cloud.now,
            revision=port.revision + 1,
        )
    )


def unbind(cloud: Cloud, port: Port) -> Port:
    return cloud.table(Port).put(
        replace(
            port,
            device_id="",
            device_owner="",
            host="",
            status="DOWN",
            updated_at=cloud.now,
            revision=port.revision + 1,
        )
    )
