"""What a project's cloud offers: images, flavors, volume types, networks, key pairs, zones, quotas.

All queries run in parallel through the project's one connection. A service that is missing or fails leaves its part
empty and a line in `errors`. Shapes: spec/clusters.md, "Available resources".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from app.cloud.connections import Cloud, asking
from app.cloud.flights import Flights
from app.db import now
from app.errors import CloudUnavailable

if TYPE_CHECKING:
    from openstack.connection import Connection

UNLIMITED = -1


@dataclass(frozen=True)
class Flavor:
    """A size of server; RAM in MB, disk in GB."""

    id: str
    name: str
    vcpus: int
    ram_mb: int
    disk_gb: int


@dataclass(frozen=True)
class Image:
    """An operating system image; minimum disk in GB, minimum RAM in MB."""

    id: str
    name: str
    min_disk_gb: int
    min_ram_mb: int
    distribution: str
    size_bytes: int


@dataclass(frozen=True)
class Quota:
    """How much of a resource the project may have, and has. A limit of -1 means unlimited."""

    limit: int
    used: int

    @property
    def free(self) -> int:
        """What is left; -1 when there is no limit."""
        return UNLIMITED if self.limit == UNLIMITED else max(0, self.limit - self.used)


@dataclass(frozen=True)
class Resources:
    """One answer of the cloud about what there is."""

    images: tuple[Image, ...] = ()
    flavors: tuple[Flavor, ...] = ()
    volume_types: tuple[str, ...] = ()
    networks: tuple[dict[str, Any], ...] = ()
    subnets: tuple[dict[str, Any], ...] = ()
    keypairs: tuple[dict[str, str], ...] = ()
    availability_zones: tuple[str, ...] = ()
    quotas: Mapping[str, Quota] = field(default_factory=dict)
    errors: tuple[str, ...] = ()
    at: datetime = field(default_factory=now)
    stale: bool = False


def _images(connection: Connection) -> tuple[Image, ...]:
    found = connection.image.images(status="active", sort_key="name", sort_dir="asc")
    return tuple(
        Image(
            each.id, each.name or each.id, each.min_disk or 0, each.min_ram or 0, each.os_distro or "", each.size or 0
        )
        for each in found
    )


def _flavors(connection: Connection) -> tuple[Flavor, ...]:
    found = [Flavor(each.id, each.name, each.vcpus, each.ram, each.disk) for each in connection.compute.flavors()]
    return tuple(sorted(found, key=lambda flavor: (flavor.vcpus, flavor.ram_mb, flavor.name)))


def _networks(connection: Connection) -> tuple[dict[str, Any], ...]:
    return tuple(
        {"id": each.id, "name": each.name, "external": bool(each.is_router_external), "shared": bool(each.is_shared)}
        for each in connection.network.networks()
    )


def _subnets(connection: Connection) -> tuple[dict[str, Any], ...]:
    return tuple(
        {
            "id": each.id,
            "name": each.name,
            "network_id": each.network_id,
            "cidr": each.cidr,
            "dhcp": bool(each.is_dhcp_enabled),
        }
        for each in connection.network.subnets()
    )


def _compute_quotas(connection: Connection) -> dict[str, Quota]:
    limits = connection.compute.get_limits().absolute
    return {
        "instances": Quota(limits.instances, limits.instances_used or 0),
        "vcpus": Quota(limits.total_cores, limits.total_cores_used or 0),
        "ram_mb": Quota(limits.total_ram, limits.total_ram_used or 0),
    }


def _volume_quotas(connection: Connection, project_id: str) -> dict[str, Quota]:
    quota = connection.block_storage.get_quota_set(project_id, usage=True)
    return {
        "volumes": Quota(quota.volumes, quota.usage["volumes"]),
        "volume_gb": Quota(quota.gigabytes, quota.usage["gigabytes"]),
    }


def _network_quotas(connection: Connection, project_id: str) -> dict[str, Quota]:
    quota = connection.network.get_quota(project_id, details=True)
    names = {
        "floating_ips": quota.floating_ips,
        "ports": quota.ports,
        "networks": quota.networks,
        "subnets": quota.subnets,
        "routers": quota.routers,
        "security_groups": quota.security_groups,
        "security_group_rules": quota.security_group_rules,
    }
    return {
        name: Quota(each["limit"], each["used"] + (each.get("reserved") or 0)) for name, each in names.items() if each
    }


def _names(found: Iterable[Any]) -> tuple[str, ...]:
    return tuple(sorted({each.name for each in found if each.name}))


def query(cloud: Cloud) -> Resources:
    """Ask everything at once; about ten calls, as long as the slowest of them.

    Raises:
        CloudUnavailable: the cloud cannot be signed in to, or no service of it answered.
    """
    connection, project = cloud.connection, cloud.identity.project_id
    asking("sign-in", lambda: connection.session.get_token())
    questions: dict[str, Callable[[], Any]] = {
        "images": lambda: _images(connection),
        "flavors": lambda: _flavors(connection),
        "volume_types": lambda: _names(connection.block_storage.types()),
        "networks": lambda: _networks(connection),
        "subnets": lambda: _subnets(connection),
        "keypairs": lambda: tuple({"name": k.name, "public_key": k.public_key} for k in connection.compute.keypairs()),
        "availability_zones": lambda: _names(connection.compute.availability_zones()),
        "compute quotas": lambda: _compute_quotas(connection),
        "volume quotas": lambda: _volume_quotas(connection, project),
        "network quotas": lambda: _network_quotas(connection, project),
    }
    answers: dict[str, Any] = {}
    errors: list[CloudUnavailable] = []
    with ThreadPoolExecutor(len(questions), "cloud") as pool:
        pending = {name: pool.submit(asking, name, question) for name, question in questions.items()}
        for name, future in pending.items():
            try:
                answers[name] = future.result()
            except CloudUnavailable as error:
                errors.append(error)
    if not answers:
        raise errors[0]
    quotas: dict[str, Quota] = {}
    for name in ("compute quotas", "volume quotas", "network quotas"):
        quotas |= answers.pop(name, {})
    return Resources(**answers, quotas=quotas, errors=tuple(error.detail for error in errors))


@dataclass
class ResourceCache:
    """Answers of clouds, used again for a while and shared by all who ask (`Flights`)."""

    ttl_seconds: float
    wait_seconds: float = 12
    failure_seconds: float = 3

    def __post_init__(self) -> None:
        self._flights = Flights[Resources](self.ttl_seconds, self.failure_seconds)

    def get(self, key: str, ask: Callable[[], Resources], token: str = "", *, anew: bool = False) -> Resources:
        """The answer under `key`, at most `ttl_seconds` old and from when `token` was the same.

        `token` names the last thing that is known to have changed the cloud; `anew` asks a cloud that failed a moment
        ago again. A cloud that fails now gives its last
        answer, marked stale.

        Raises:
            CloudUnavailable: it fails and never answered before.
        """
        try:
            return self._flights.get(key, ask, wait_seconds=self.wait_seconds, token=token, anew=anew)
        except CloudUnavailable as error:
            last = self._flights.last(key)
            if last is None:
                raise
            return replace(last, stale=True, errors=(*last.errors, error.detail))
