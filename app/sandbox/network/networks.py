"""Networks and subnets."""

import uuid
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

from ..cloud import Cloud
from ..errors import BadRequestError, ConflictError, ForbiddenError, NotFoundError
from ..identity.models import Caller
from .access import check_quota, find, find_own, text_of
from .addresses import default_pools
from .models import Network, Pool, Port, Subnet

Json = dict[str, Any]
ADMIN_ONLY = (
    "router:external",
    "shared",
    "provider:network_type",
    "provider:physical_network",
    "provider:segmentation_id",
)


def create_network(cloud: Cloud, caller: Caller, values: Json) -> Network:
    for name in ADMIN_ONLY:
        if values.get(name) and not caller.is_admin:
            raise ForbiddenError(f"((rule:create_network and rule:create_network:{name})) is disallowed by policy")
    check_quota(cloud, caller.project_id, (Network, 1))
    mtu = values.get("mtu", 0) or 1450
    if not isinstance(mtu, int) or not 68 <= mtu <= 1500:
        raise BadRequestError(
            f"Invalid input for operation: Requested MTU is too big, maximum is 1450: {mtu}.", "InvalidInput"
        )
    return cloud.table(Network).put(
        Network(
            id=str(uuid.uuid4()),
            project_id=caller.project_id,
            name=text_of(values, "name"),
            description=text_of(values, "description"),
            created_at=cloud.now,
            updated_at=cloud.now,
            revision=1,
            admin_state_up=bool(values.get("admin_state_up", True)),
            is_external=bool(values.get("router:external", False)),
            is_shared=bool(values.get("shared", False)),
            port_security_enabled=bool(values.get("port_security_enabled", True)),
            dns_domain=text_of(values, "dns_domain"),
            mtu=mtu,
        )
    )


def update_network(cloud: Cloud, caller: Caller, record: Network, values: Json) -> Network:
    if record.project_id != caller.project_id and not caller.is_admin:
        raise ForbiddenError("rule:update_network is disallowed by policy")
    return cloud.table(Network).put(
        replace(
            record,
            name=text_of(values, "name", record.name),
            description=text_of(values, "description", record.description),
            admin_state_up=bool(values.get("admin_state_up", record.admin_state_up)),
            port_security_enabled=bool(values.get("port_security_enabled", record.port_security_enabled)),
            dns_domain=text_of(values, "dns_domain", record.dns_domain),
            mtu=values.get("mtu", record.mtu),
            updated_at=cloud.now,
            revision=record.revision + 1,
        )
    )


def delete_network(cloud: Cloud, caller: Caller, record: Network) -> None:
    if record.project_id != caller.project_id and not caller.is_admin:
        raise ForbiddenError("rule:delete_network is disallowed by policy")
    ports = cloud.table(Port).where(network_id=record.id)
    if ports:
        raise ConflictError(
            f"Unable to complete operation on network {record.id}. There are one or more ports still in use on the"
            f" network, id for these ports is: {','.join(port.id for port in ports)}.",
            "NetworkInUse",
        )
    for subnet in cloud.table(Subnet).where(network_id=record.id):
        cloud.table(Subnet).drop(subnet.id)
    cloud.table(Network).drop(record.id)


def create_subnet(cloud: Cloud, caller: Caller, values: Json) -> Subnet:
    if not values.get("network_id"):
        raise BadRequestError("Failed to parse request. Required attribute 'network_id' not specified")
    network = find(cloud, caller, Network, values["network_id"])
    if network.project_id != caller.project_id and not caller.is_admin:
        raise NotFoundError(f"Network {network.id} could not be found.", "NetworkNotFound")
    version, cidr = values.get("ip_version"), values.get("cidr")
    if version not in {4, 6}:
        raise BadRequestError(f"Invalid input for ip_version. Reason: '{version}' is not in [4, 6].")
    if not isinstance(cidr, str):
        raise BadRequestError(
            "Bad subnets request: a subnetpool must be specified in the absence of a cidr.", "BadRequest"
        )
    cidr = _checked_cidr(cloud, network, cidr, version)
    gateway_ip = _gateway(cidr, values)
    check_quota(cloud, caller.project_id, (Subnet, 1))
    pools = _pools(cidr, gateway_ip, values.get("allocation_pools"))
    return cloud.table(Subnet).put(
        Subnet(
            id=str(uuid.uuid4()),
            project_id=caller.project_id,
            name=text_of(values, "name"),
            description=text_of(values, "description"),
            created_at=cloud.now,
            updated_at=cloud.now,
            network_id=network.id,
            cidr=cidr,
            ip_version=version,
            gateway_ip=gateway_ip,
            enable_dhcp=bool(values.get("enable_dhcp", True)),
            allocation_pools=pools,
            dns_nameservers=_name_servers(values.get("dns_nameservers")),
            host_routes=values.get("host_routes") or [],
            ipv6_ra_mode=values.get("ipv6_ra_mode"),
            ipv6_address_mode=values.get("ipv6_address_mode"),
        )
    )


def _checked_cidr(cloud: Cloud, network: Network, cidr: str, version: int) -> str:
    """The CIDR in its plain form. Raises BadRequestError: it is none, of the other version, or overlaps."""
    try:
        wanted = ip_network(cidr, strict=False)
    except ValueError as error:
        raise BadRequestError(f"Invalid input for cidr. Reason: '{cidr}' is not a valid IP subnet.") from error
    if "/" not in cidr:
        raise BadRequestError(
            f"Invalid input for cidr. Reason: '{cidr}' isn't a recognized IP subnet cidr, '{cidr}/32' is recommended."
        )
    if wanted.version != version:
        raise BadRequestError(
            f"Invalid input for operation: cidr '{cidr}' does not match the ip_version '{version}'.", "InvalidInput"
        )
    for subnet in cloud.table(Subnet).where(network_id=network.id, ip_version=version):
        if wanted.overlaps(ip_network(subnet.cidr)):
            raise BadRequestError(
                f"Invalid input for operation: Requested subnet with cidr: {wanted} for network: {network.id} overlaps"
                f" with another subnet.",
                "InvalidInput",
            )
    return str(wanted)


def _gateway(cidr: str, values: Json) -> str | None:
    """The gateway: what is asked for (null means none), else the network's first address."""
    network = ip_network(cidr)
    if "gateway_ip" not in values or values["gateway_ip"] == "":
        return str(network.network_address + 1)
    if values["gateway_ip"] is None:
        return None
    try:
        gateway = ip_address(values["gateway_ip"])
    except ValueError as error:
        raise BadRequestError(
            f"Invalid input for gateway_ip. Reason: '{values['gateway_ip']}' is not a valid IP address."
        ) from error
    if gateway in {network.network_address, network.broadcast_address} and network.prefixlen < 31:
        raise BadRequestError("Invalid input for operation: Gateway is not valid on subnet.", "InvalidInput")
    return str(gateway)


def _pools(cidr: str, gateway_ip: str | None, wanted: object) -> list[Pool]:
    if not wanted:
        return default_pools(cidr, gateway_ip)
    if not isinstance(wanted, list):
        raise BadRequestError(
            f"Invalid input for allocation_pools. Reason: Invalid data format for IP pool: '{wanted}'."
        )
    network = ip_network(cidr)
    pools: list[Pool] = []
    for each in wanted:
        try:
            start, end = ip_address(each["start"]), ip_address(each["end"])
        except (KeyError, TypeError, ValueError) as error:
            raise BadRequestError(
                f"Invalid input for allocation_pools. Reason: Invalid data format for IP pool: '{each}'."
            ) from error
        name = f"{start}-{end}"
        if int(start) > int(end):
            raise BadRequestError(f"The allocation pool {name} is not valid.", "InvalidAllocationPool")
        if start not in network or end not in network:
            raise BadRequestError(
                f"The allocation pool {name} spans beyond the subnet cidr {cidr}.", "OutOfBoundsAllocationPool"
            )
        for other in pools:
            if int(ip_address(other.start)) <= int(end) and int(start) <= int(ip_address(other.end)):
                raise ConflictError(
                    f"Found overlapping allocation pools: {other.start}-{other.end} {name} for subnet {cidr}.",
                    "OverlappingAllocationPools",
                )
        if gateway_ip and int(start) <= int(ip_address(gateway_ip)) <= int(end):
            raise ConflictError(
                f"Gateway ip {gateway_ip} conflicts with allocation pool {name}.",
                "GatewayConflictWithAllocationPools",
            )
        pools.append(Pool(str(start), str(end)))
    return pools


def _name_servers(wanted: object) -> list[str]:
    servers = wanted or []
    if not isinstance(servers, list) or len(set(servers)) != len(servers):
        raise BadRequestError(f"Invalid input for dns_nameservers. Reason: Duplicate nameserver in '{wanted}'.")
    if len(servers) > 5:
        raise BadRequestError(
            "Unable to complete operation for subnet. The number of DNS nameservers exceeds the limit 5.",
            "DNSNameServersExhausted",
        )
    for each in servers:
        try:
            ip_address(each)
        except ValueError as error:
            raise BadRequestError(
                f"Invalid input for dns_nameservers. Reason: '{each}' is not a valid nameserver."
            ) from error
    return servers


def update_subnet(cloud: Cloud, caller: Caller, record: Subnet, values: Json) -> Subnet:
    record = find_own(cloud, caller, Subnet, record.id)
    for name in ("cidr", "ip_version", "network_id"):
        if name in values:
            raise BadRequestError(f"Cannot update read-only attribute {name}")
    gateway_ip = _gateway(record.cidr, values) if "gateway_ip" in values else record.gateway_ip
    pools = record.allocation_pools
    if "allocation_pools" in values:
        pools = _pools(record.cidr, gateway_ip, values["allocation_pools"])
    elif gateway_ip and gateway_ip != record.gateway_ip:
        in_pool = [
            p for p in pools if int(ip_address(p.start)) <= int(ip_address(gateway_ip)) <= int(ip_address(p.end))
        ]
        if in_pool:
            raise ConflictError(
                f"Gateway ip {gateway_ip} conflicts with allocation pool {in_pool[0].start}-{in_pool[0].end}.",
                "GatewayConflictWithAllocationPools",
            )
    servers = values.get("dns_nameservers")
    return cloud.table(Subnet).put(
        replace(
            record,
            name=text_of(values, "name", record.name),
            description=text_of(values, "description", record.description),
            gateway_ip=gateway_ip,
            allocation_pools=pools,
            enable_dhcp=bool(values.get("enable_dhcp", record.enable_dhcp)),
            dns_nameservers=record.dns_nameservers if servers is None else _name_servers(servers),
            host_routes=values.get("host_routes", record.host_routes) or [],
            updated_at=cloud.now,
            revision=record.revision + 1,
        )
    )


def delete_subnet(cloud: Cloud, caller: Caller, record: Subnet) -> None:
    record = find_own(cloud, caller, Subnet, record.id)
    holders = [port for port in cloud.table(Port) if any(each.subnet_id == record.id for each in port.fixed_ips)]
    if holders:
        raise ConflictError(
            f"Unable to complete operation on subnet {record.id}: One or more ports have an IP"
            " allocation from this subnet.",
            "SubnetInUse",
        )
    cloud.table(Subnet).drop(record.id)
