"""What a project may take, service by service. -1 is unlimited."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from .cloud import Cloud
from .errors import BadRequestError
from .store import Record

# What a project gets that nobody changed the quotas of: the services' own defaults (their configuration references).
DEFAULTS: dict[str, dict[str, int]] = {
    "compute": {
        "instances": 10,
        "cores": 20,
        "ram": 51200,
        "metadata_items": 128,
        "key_pairs": 100,
        "server_groups": 10,
        "server_group_members": 10,
        "injected_files": 5,
        "injected_file_content_bytes": 10240,
        "injected_file_path_bytes": 255,
        "fixed_ips": -1,
        "floating_ips": -1,
        "security_groups": -1,
        "security_group_rules": -1,
        "networks": -1,
    },
    "volume": {
        "volumes": 10,
        "gigabytes": 1000,
        "snapshots": 10,
        "per_volume_gigabytes": -1,
        "backups": 10,
        "backup_gigabytes": 1000,
        "groups": 10,
        "volumes___DEFAULT__": -1,
        "gigabytes___DEFAULT__": -1,
        "snapshots___DEFAULT__": -1,
    },
    "network": {
        "network": 100,
        "subnet": 100,
        "subnetpool": -1,
        "port": 500,
        "router": 10,
        "floatingip": 50,
        "security_group": 10,
        "security_group_rule": 100,
        "rbac_policy": 10,
    },
}


@dataclass(frozen=True, kw_only=True)
class Quota(Record):
    """A project's limits in one service; the id is `<service>/<project id>`."""

    limits: dict[str, int]


def limits(cloud: Cloud, service: str, project_id: str) -> dict[str, int]:
    quota = cloud.table(Quota).get(f"{service}/{project_id}")
    return {**DEFAULTS[service], **(quota.limits if quota else {})}


def change(cloud: Cloud, service: str, project_id: str, changes: Mapping[str, object]) -> None:
    """Sets limits by name. Raises BadRequestError for an unknown service or name, or what is no number from -1 up."""
    if service not in DEFAULTS:
        raise BadRequestError(f"No quotas of {service}: compute, network and volume have them")
    accepted: dict[str, int] = {}
    for name, limit in changes.items():
        if name not in DEFAULTS[service]:
            raise BadRequestError(f"No quota {name} in {service}")
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < -1:
            raise BadRequestError(f"Quota {name} must be a number from -1 up")
        accepted[name] = limit
    quota_id = f"{service}/{project_id}"
    known = cloud.table(Quota).get(quota_id) or Quota(id=quota_id, limits={})
    cloud.table(Quota).put(replace(known, limits={**known.limits, **accepted}))


def fits(limit: int, used: int, asked: int) -> bool:
    return limit < 0 or asked <= 0 or used + asked <= limit
