"""Which address goes to whom."""

import random
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from ..cloud import Cloud
from ..errors import BadRequestError, ConflictError, NotFoundError
from .models import FixedIP, Network, Pool, Port, Subnet

Address = IPv4Address | IPv6Address
WINDOW = 100  # Neutron too draws at random, from the first addresses that are free


def default_pools(cidr: str, gateway_ip: str | None) -> list[Pool]:
    """All host addresses of the network but the gateway's."""
    network = ip_network(cidr)
    first, last = int(network.network_address), int(network.broadcast_address)
    if network.version == 4 and network.prefixlen < 31:
        first, last = first + 1, last - 1
    elif network.version == 6:
        first += 1
    make = type(network.network_address)
    gateway = int(ip_address(gateway_ip)) if gateway_ip else first - 1
    if not first <= gateway <= last:
        return [Pool(str(make(first)), str(make(last)))]
    parts = [(first, gateway - 1), (gateway + 1, last)]
    return [Pool(str(make(start)), str(make(end))) for start, end in parts if start <= end]


def taken(cloud: Cloud, subnet_id: str) -> set[str]:
    return {each.ip_address for port in cloud.table(Port) for each in port.fixed_ips if each.subnet_id == subnet_id}


def free(subnet: Subnet, used: set[str]) -> Iterator[str]:
    for pool in subnet.allocation_pools:
        start, end = ip_address(pool.start), ip_address(pool.end)
        for number in range(int(start), int(end) + 1):
            address = str(type(start)(number))
            if address not in used:
                yield address


def draw(cloud: Cloud, subnet: Subnet) -> str | None:
    """A free address of the subnet's pools, or None."""
    window = [address for address, _ in zip(free(subnet, taken(cloud, subnet.id)), range(WINDOW), strict=False)]
    return random.SystemRandom().choice(window) if window else None


def claim(cloud: Cloud, subnet: Subnet, address: str) -> FixedIP:
    """This very address. Raises BadRequestError, ConflictError."""
    try:
        wanted = ip_address(address)
    except ValueError as error:
        raise BadRequestError(f"Invalid input for fixed_ips. Reason: '{address}' is not a valid IP address.") from error
    if wanted not in ip_network(subnet.cidr):
        raise BadRequestError(
            f"Invalid IP address {address} for subnet {subnet.id} of network {subnet.network_id}.", "InvalidIpForSubnet"
        )
    if str(wanted) in taken(cloud, subnet.id):
        raise ConflictError(
            f"IP address {address} already allocated in subnet {subnet.id}", "IpAddressAlreadyAllocated"
        )
    return FixedIP(subnet.id, str(wanted))


def allocate(cloud: Cloud, network: Network, wanted: object) -> list[FixedIP]:
    """Fixed IPs of a port: those asked for, else one of each version, of the first subnet with a free address."""
    subnets = cloud.table(Subnet).where(network_id=network.id)
    if wanted is not None and not isinstance(wanted, list):
        raise BadRequestError("Invalid input for fixed_ips. Reason: Invalid data format for fixed IP.")
    if wanted is not None:
        return [_asked_for(cloud, network, subnets, each) for each in wanted]
    found = []
    for version in (4, 6):
        candidates = [subnet for subnet in subnets if subnet.ip_version == version]
        if candidates:
            found.append(_first_free(cloud, network, candidates))
    return found


def _asked_for(cloud: Cloud, network: Network, subnets: list[Subnet], wanted: object) -> FixedIP:
    if not isinstance(wanted, dict) or not (wanted.get("subnet_id") or wanted.get("ip_address")):
        raise BadRequestError("Invalid input for fixed_ips. Reason: Invalid data format for fixed IP.")
    subnet_id, address = wanted.get("subnet_id"), wanted.get("ip_address")
    if subnet_id:
        subnet = cloud.table(Subnet).get(subnet_id)
        if subnet is None:
            raise NotFoundError(f"Subnet {subnet_id} could not be found.", "SubnetNotFound")
        if subnet.network_id != network.id:
            raise BadRequestError(
                f"Invalid input for operation: Failed to create port on network {network.id}, because"
                " fixed_ips included"
                f" invalid subnet {subnet_id}.",
                "InvalidInput",
            )
        return claim(cloud, subnet, address) if address else _first_free(cloud, network, [subnet])
    for subnet in subnets:
        try:
            if ip_address(str(address)) in ip_network(subnet.cidr):
                return claim(cloud, subnet, str(address))
        except ValueError as error:
            raise BadRequestError(
                f"Invalid input for fixed_ips. Reason: '{address}' is not a valid IP address."
            ) from error
    raise BadRequestError(
        f"IP address {address} is not a valid IP for any of the subnets on the specified network.",
        "InvalidIpForNetwork",
    )


def _first_free(cloud: Cloud, network: Network, subnets: list[Subnet]) -> FixedIP:
    for subnet in subnets:
        address = draw(cloud, subnet)
        if address is not None:
            return FixedIP(subnet.id, address)
    raise ConflictError(f"No more IP addresses available on network {network.id}.", "IpAddressGenerationFailure")
