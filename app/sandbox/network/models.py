"""What the network service holds. An empty project id marks what is Neutron's own (a router's gateway port)."""

from dataclasses import dataclass, field

from ..store import Record


@dataclass(frozen=True)
class FixedIP:
    subnet_id: str
    ip_address: str


@dataclass(frozen=True)
class Pool:
    """A range of addresses, both ends included."""

    start: str
    end: str


@dataclass(frozen=True, kw_only=True)
class NetworkRecord(Record):
    """What every resource of Neutron has."""

    project_id: str
    name: str = ""
    description: str = ""
    tags: list[str] = field(default_factory=list)
    created_at: float
    updated_at: float
    revision: int = 0


@dataclass(frozen=True, kw_only=True)
class Network(NetworkRecord):
    admin_state_up: bool = True
    is_external: bool = False
    is_shared: bool = False
    mtu: int = 1450
    port_security_enabled: bool = True
    dns_domain: str = ""


@dataclass(frozen=True, kw_only=True)
class Subnet(NetworkRecord):
    network_id: str
    cidr: str
    ip_version: int = 4
    gateway_ip: str | None = None
    enable_dhcp: bool = True
    allocation_pools: list[Pool]
    dns_nameservers: list[str] = field(default_factory=list)
    host_routes: list[dict[str, str]] = field(default_factory=list)
    ipv6_ra_mode: str | None = None
    ipv6_address_mode: str | None = None


@dataclass(frozen=True, kw_only=True)
class Port(NetworkRecord):
    network_id: str
    mac_address: str
    admin_state_up: bool = True
    status: str = "DOWN"
    device_id: str = ""
    device_owner: str = ""
    fixed_ips: list[FixedIP] = field(default_factory=list)
    security_groups: list[str] = field(default_factory=list)
    allowed_address_pairs: list[dict[str, str]] = field(default_factory=list)
    extra_dhcp_opts: list[dict[str, str]] = field(default_factory=list)
    port_security_enabled: bool = True
    vnic_type: str = "normal"
    profile: dict[str, str] = field(default_factory=dict)
    dns_name: str = ""
    host: str = ""


@dataclass(frozen=True, kw_only=True)
class Router(NetworkRecord):
    admin_state_up: bool = True
    gateway_network_id: str | None = None
    routes: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class SecurityGroup(NetworkRecord):
    stateful: bool = True


@dataclass(frozen=True, kw_only=True)
class Rule(NetworkRecord):
    security_group_id: str
    direction: str
    ethertype: str = "IPv4"
    protocol: str | None = None
    port_range_min: int | None = None
    port_range_max: int | None = None
    remote_ip_prefix: str | None = None
    remote_group_id: str | None = None
    remote_address_group_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class FloatingIP(NetworkRecord):
    floating_network_id: str
    floating_ip_address: str
    own_port_id: str  # Neutron's own port, which holds the address
    port_id: str | None = None
    fixed_ip_address: str | None = None
    router_id: str | None = None
    status: str = "DOWN"


ROUTER_INTERFACE = "network:router_interface"
ROUTER_GATEWAY = "network:router_gateway"
FLOATING_IP = "network:floatingip"
