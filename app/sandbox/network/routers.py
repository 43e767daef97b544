"""Routers: their gateway to an external network, and their interfaces on subnets."""

import uuid
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

from ..cloud import Cloud
from ..errors import BadRequestError, ConflictError, NotFoundError
from ..identity.models import Caller
from .access import check_quota, find, find_own, text_of
from .models import ROUTER_GATEWAY, ROUTER_INTERFACE, FloatingIP, Network, Port, Router, Subnet
from .ports import add_port, remove_port

Json = dict[str, Any]


def create_router(cloud: Cloud, caller: Caller, values: Json) -> Router:
    check_quota(cloud, caller.project_id, (Router, 1))
    router = cloud.table(Router).put(
        Router(
            id=str(uuid.uuid4()),
            project_id=caller.project_id,
            name=text_of(values, "name"),
            description=text_of(values, "description"),
            created_at=cloud.now,
            updated_at=cloud.now,
            revision=1,
            admin_state_up=bool(values.get("admin_state_up", True)),
        )
    )
    if values.get("external_gateway_info"):
        router = _set_gateway(cloud, caller, router, values["external_gateway_info"])
    return router


def update_router(cloud: Cloud, caller: Caller, record: Router, values: Json) -> Router:
    router = find_own(cloud, caller, Router, record.id)
    if "external_gateway_info" in values:
        router = _set_gateway(cloud, caller, router, values["external_gateway_info"])
    return cloud.table(Router).put(
        replace(
            router,
            name=text_of(values, "name", router.name),
            description=text_of(values, "description", router.description),
            admin_state_up=bool(values.get("admin_state_up", router.admin_state_up)),
            routes=values.get("routes", router.routes) or [],
            updated_at=cloud.now,
            revision=router.revision + 1,
        )
    )


def _set_gateway(cloud: Cloud, caller: Caller, router: Router, wanted: object) -> Router:
    """Gives the router this gateway, another or (empty) none. Raises BadRequestError, NotFoundError, ConflictError."""
    network_id = wanted.get("network_id") if isinstance(wanted, dict) else None
    if network_id == router.gateway_network_id:
        return router
    network = find(cloud, caller, Network, network_id) if network_id else None
    if network is not None and not network.is_external:
        raise BadRequestError(f"Bad router request: Network {network.id} is not an external network.", "BadRequest")
    if router.gateway_network_id:
        _clear_gateway(cloud, router)
    router = cloud.table(Router).put(replace(router, gateway_network_id=network.id if network else None))
    if network is not None:
        values: Json = {"device_id": router.id, "device_owner": ROUTER_GATEWAY, "status": "ACTIVE"}
        if isinstance(wanted, dict) and wanted.get("external_fixed_ips"):
            values["fixed_ips"] = wanted["external_fixed_ips"]
        add_port(cloud, network, "", values, [])
    return router


def _clear_gateway(cloud: Cloud, router: Router) -> None:
    network_id = router.gateway_network_id
    if cloud.table(FloatingIP).where(router_id=router.id, floating_network_id=network_id):
        raise ConflictError(
            f"Gateway cannot be updated for router {router.id}, since a gateway to external network {network_id} is"
            " required by one or more floating IPs.",
            "RouterExternalGatewayInUseByFloatingIp",
        )
    for port in cloud.table(Port).where(device_id=router.id, device_owner=ROUTER_GATEWAY):
        remove_port(cloud, port)


def delete_router(cloud: Cloud, caller: Caller, record: Router) -> None:
    router = find_own(cloud, caller, Router, record.id)
    attached = ", ".join(port.id for port in interfaces(cloud, router))
    if attached:
        raise ConflictError(f"Router {router.id} has ports still attached: {attached}", "RouterInUse")
    _clear_gateway(cloud, router)
    cloud.table(Router).drop(router.id)


def interfaces(cloud: Cloud, router: Router) -> list[Port]:
    return cloud.table(Port).where(device_id=router.id, device_owner=ROUTER_INTERFACE)


def add_interface(cloud: Cloud, caller: Caller, router_id: str, values: Json) -> Json:
    """Carries out `add_router_interface`. Raises BadRequestError, NotFoundError, ConflictError."""
    router = find_own(cloud, caller, Router, router_id)
    subnet_id, port_id = values.get("subnet_id"), values.get("port_id")
    if not subnet_id and not port_id:
        raise BadRequestError("Bad router request: Either subnet_id or port_id must be specified.", "BadRequest")
    if subnet_id and port_id:
        raise BadRequestError("Bad router request: Cannot specify both subnet-id and port-id.", "BadRequest")
    if port_id:
        port = find_own(cloud, caller, Port, port_id)
        if port.device_id:
            raise ConflictError(
                f"Unable to complete operation on port {port.id} for network {port.network_id}. Port already has an"
                f" attached device {port.device_id}.",
                "PortInUse",
            )
        if not port.fixed_ips:
            raise BadRequestError("Bad router request: Router port must have at least one fixed IP.", "BadRequest")
        for each in port.fixed_ips:
            _refuse_overlap(cloud, router, find(cloud, caller, Subnet, each.subnet_id))
        port = cloud.table(Port).put(
            replace(port, device_id=router.id, device_owner=ROUTER_INTERFACE, status="ACTIVE", updated_at=cloud.now)
        )
    else:
        subnet = find(cloud, caller, Subnet, subnet_id)
        _refuse_overlap(cloud, router, subnet)
        if not subnet.gateway_ip:
            raise BadRequestError(
                "Bad router request: Subnet for router interface must have a gateway IP.", "BadRequest"
            )
        check_quota(cloud, router.project_id, (Port, 1))
        network = cloud.table(Network).get(subnet.network_id)
        assert network is not None
        wanted = {
            "fixed_ips": [{"subnet_id": subnet.id, "ip_address": subnet.gateway_ip}],
            "device_id": router.id,
            "device_owner": ROUTER_INTERFACE,
            "status": "ACTIVE",
        }
        port = add_port(cloud, network, router.project_id, wanted, [])
    return interface_document(router, port)


def interface_document(router: Router, port: Port) -> Json:
    return {
        "id": router.id,
        "tenant_id": router.project_id,
        "port_id": port.id,
        "network_id": port.network_id,
        "subnet_id": port.fixed_ips[-1].subnet_id,
        "subnet_ids": [each.subnet_id for each in port.fixed_ips],
    }


def _refuse_overlap(cloud: Cloud, router: Router, subnet: Subnet) -> None:
    for port in interfaces(cloud, router):
        for each in port.fixed_ips:
            if each.subnet_id == subnet.id:
                raise BadRequestError(
                    f"Bad router request: Router already has a port on subnet {subnet.id}.", "BadRequest"
                )
            other = cloud.table(Subnet).get(each.subnet_id)
            if other and ip_network(other.cidr).overlaps(ip_network(subnet.cidr)):
                raise BadRequestError(
                    f"Bad router request: Cidr {subnet.cidr} of subnet {subnet.id} overlaps with cidr {other.cidr} of"
                    f" subnet {other.id}.",
                    "BadRequest",
                )


def remove_interface(cloud: Cloud, caller: Caller, router_id: str, values: Json) -> Json:
    """Carries out `remove_router_interface`. Raises BadRequestError, NotFoundError, ConflictError."""
    router = find_own(cloud, caller, Router, router_id)
    subnet_id, port_id = values.get("subnet_id"), values.get("port_id")
    if not subnet_id and not port_id:
        raise BadRequestError("Invalid body: Either subnet_id or port_id must be specified.", "BadRequest")
    if port_id:
        port = cloud.table(Port).get(port_id)
        if port is None or port.device_id != router.id or port.device_owner != ROUTER_INTERFACE:
            raise NotFoundError(
                f"Router {router.id} does not have an interface with id {port_id}", "RouterInterfaceNotFound"
            )
        if subnet_id and subnet_id not in {each.subnet_id for each in port.fixed_ips}:
            raise ConflictError(f"Subnet {subnet_id} and port {port_id} do not match.", "SubnetMismatchForPort")
    else:
        find(cloud, caller, Subnet, subnet_id)
        on_subnet = [
            each for each in interfaces(cloud, router) if subnet_id in {fixed.subnet_id for fixed in each.fixed_ips}
        ]
        if not on_subnet:
            raise NotFoundError(
                f"Router {router.id} has no interface on subnet {subnet_id}", "RouterInterfaceNotFoundForSubnet"
            )
        port = on_subnet[0]
    _refuse_while_in_use(cloud, router, port)
    document = interface_document(router, port)
    remove_port(cloud, port)
    return document


def _refuse_while_in_use(cloud: Cloud, router: Router, port: Port) -> None:
    for fixed in port.fixed_ips:
        subnet = cloud.table(Subnet).get(fixed.subnet_id)
        network = ip_network(subnet.cidr) if subnet else None
        for floating in cloud.table(FloatingIP).where(router_id=router.id):
            target = cloud.table(Port).get(floating.port_id or "")
            if target and any(each.subnet_id == fixed.subnet_id for each in target.fixed_ips):
                raise ConflictError(
                    f"Router interface for subnet {fixed.subnet_id} on router {router.id} cannot be deleted, as it is"
                    " required by one or more floating IPs.",
                    "RouterInterfaceInUseByFloatingIP",
                )
        for route in router.routes:
            if network is not None and ip_address(route["nexthop"]) in network:
                raise ConflictError(
                    f"Router interface for subnet {fixed.subnet_id} on router {router.id} cannot be deleted, as it is"
                    " required by one or more routes.",
                    "RouterInterfaceInUseByRoute",
                )
