"""Floating IPs: addresses of an external network that lead to ports."""

import uuid
from dataclasses import replace
from typing import Any

from ..cloud import Cloud
from ..errors import BadRequestError, ConflictError, NotFoundError
from ..identity.models import Caller
from .access import check_quota, find, find_own, text_of
from .models import FLOATING_IP, FloatingIP, Network, Port, Router, Subnet
from .ports import add_port
from .routers import interfaces

Json = dict[str, Any]


def create_floating_ip(cloud: Cloud, caller: Caller, values: Json) -> FloatingIP:
    if not values.get("floating_network_id"):
        raise BadRequestError("Failed to parse request. Required attribute 'floating_network_id' not specified")
    network = find(cloud, caller, Network, values["floating_network_id"])
    if not network.is_external:
        raise BadRequestError(
            f"Bad floatingip request: Network {network.id} is not a valid external network.", "BadRequest"
        )
    check_quota(cloud, caller.project_id, (FloatingIP, 1))
    floating_id = str(uuid.uuid4())
    wanted: Json = {"device_id": floating_id, "device_owner": FLOATING_IP, "status": "N/A"}
    address = values.get("floating_ip_address")
    if address:
        wanted["fixed_ips"] = [{"ip_address": address}]
    elif values.get("subnet_id"):
        wanted["fixed_ips"] = [{"subnet_id": values["subnet_id"]}]
    own_port = add_port(cloud, network, "", wanted, [])
    if not own_port.fixed_ips:
        raise ConflictError(
            f"The external network {network.id} does not have any subnet with an address to give.",
            "ExternalIpAddressExhausted",
        )
    record = cloud.table(FloatingIP).put(
        FloatingIP(
            id=floating_id,
            project_id=caller.project_id,
            description=text_of(values, "description"),
            created_at=cloud.now,
            updated_at=cloud.now,
            floating_network_id=network.id,
            floating_ip_address=own_port.fixed_ips[0].ip_address,
            own_port_id=own_port.id,
        )
    )
    if values.get("port_id"):
        record = _associate(cloud, caller, record, values["port_id"], values.get("fixed_ip_address"))
    return record


def update_floating_ip(cloud: Cloud, caller: Caller, record: FloatingIP, values: Json) -> FloatingIP:
    record = find_own(cloud, caller, FloatingIP, record.id)
    if "description" in values:
        record = cloud.table(FloatingIP).put(replace(record, description=text_of(values, "description")))
    if values.get("port_id"):
        return _associate(cloud, caller, record, values["port_id"], values.get("fixed_ip_address"))
    if values.get("fixed_ip_address"):
        raise BadRequestError(
            "Bad floatingip request: fixed_ip_address cannot be specified without a port_id.", "BadRequest"
        )
    # Only a port_id of null takes it off its port: an update that doesn't name the port leaves it.
    return _disassociate(cloud, record) if "port_id" in values else record


def _disassociate(cloud: Cloud, record: FloatingIP) -> FloatingIP:
    return cloud.table(FloatingIP).put(
        replace(
            record,
            port_id=None,
            fixed_ip_address=None,
            router_id=None,
            status="DOWN",
            updated_at=cloud.now,
            revision=record.revision + 1,
        )
    )


def _associate(cloud: Cloud, caller: Caller, record: FloatingIP, port_id: str, address: str | None) -> FloatingIP:
    port = find_own(cloud, caller, Port, port_id)
    fixed = [each for each in port.fixed_ips if address in {None, each.ip_address} and ":" not in each.ip_address]
    if not port.fixed_ips or (not fixed and address is None):
        raise BadRequestError(
            f"Bad floatingip request: Cannot add floating IP to port {port.id} that has no fixed IPv4 addresses.",
            "BadRequest",
        )
    if not fixed:
        raise BadRequestError(f"Bad floatingip request: Port {port.id} does not have fixed ip {address}.", "BadRequest")
    if len(fixed) > 1:
        raise BadRequestError(
            f"Bad floatingip request: Port {port.id} has multiple fixed IPv4 addresses.  Must provide a specific IPv4"
            " address when assigning a floating IP.",
            "BadRequest",
        )
    router = _router_between(cloud, record.floating_network_id, fixed[0].subnet_id)
    if router is None:
        raise NotFoundError(
            f"External network {record.floating_network_id} is not reachable from subnet {fixed[0].subnet_id}. "
            f"Therefore, cannot associate Port {port.id} with a Floating IP.",
            "ExternalGatewayForFloatingIPNotFound",
        )
    for other in cloud.table(FloatingIP).where(port_id=port.id, fixed_ip_address=fixed[0].ip_address):
        if other.id != record.id and other.floating_network_id == record.floating_network_id:
            raise ConflictError(
                f"Cannot associate floating IP {record.floating_ip_address} ({record.id}) with port"
                f" {port.id} using fixed"
                f" IP {fixed[0].ip_address}, as that fixed IP already has a floating IP on external network"
                f" {record.floating_network_id}.",
                "FloatingIPPortAlreadyAssociated",
            )
    return cloud.table(FloatingIP).put(
        replace(
            record,
            port_id=port.id,
            fixed_ip_address=fixed[0].ip_address,
            router_id=router.id,
            status="ACTIVE",
            updated_at=cloud.now,
            revision=record.revision + 1,
        )
    )


def _router_between(cloud: Cloud, network_id: str, subnet_id: str) -> Router | None:
    """The router from the network to the subnet; the one at the subnet's gateway first."""
    subnet = cloud.table(Subnet).get(subnet_id)
    found = None
    for router in cloud.table(Router).where(gateway_network_id=network_id):
        for port in interfaces(cloud, router):
            for each in port.fixed_ips:
                if each.subnet_id == subnet_id:
                    found = found or router
                    if subnet and each.ip_address == subnet.gateway_ip:
                        return router
    return found


def delete_floating_ip(cloud: Cloud, caller: Caller, record: FloatingIP) -> None:
    record = find_own(cloud, caller, FloatingIP, record.id)
    cloud.table(FloatingIP).drop(record.id)
    cloud.table(Port).drop(record.own_port_id)
