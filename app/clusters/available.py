"""`GET /api/available-resources`: what the cloud offers, with the tags that each flavor can serve."""

from __future__ import annotations

from typing import Any

from app.accounts import service as accounts
from app.cloud.resources import Quota, Resources
from app.clusters import checks, service
from app.clusters.equipment import equipment
from app.clusters.states import latest_state
from app.db import iso
from app.terraform.templates import ClusterTemplate


def available_resources_json(project_name: str, hostname: str | None, template_name: str | None) -> dict[str, Any]:
    """The answer; with a `hostname`, what that cluster holds counts as free for it.

    Raises:
        Invalid: no such project or template.
        NotFound: no such cluster.
        CloudUnavailable: the cloud refuses or does not answer.
    """
    room = equipment()
    cluster = service.get_cluster(hostname) if hostname else None
    project = accounts.project_of(cluster.project_id) if cluster else accounts.project_named(project_name)
    template = room.template(cluster.template) if cluster else room.template_asked_for(template_name or _first())
    resources = room.available(project)
    external = {network["id"] for network in resources.networks if network["external"]}
    credit = checks.holds(latest_state(cluster) if cluster else None, resources.flavors)
    return {
        "images": [image.__dict__ for image in resources.images],
        "flavors": [_flavor_json(flavor, template) for flavor in resources.flavors],
        "volume_types": list(resources.volume_types),
        "networks": list(resources.networks),
        "subnets": [subnet for subnet in resources.subnets if subnet["network_id"] not in external],
        "keypairs": list(resources.keypairs),
        "availability_zones": list(resources.availability_zones),
        "quotas": _quotas_json(resources, credit),
        "at": iso(resources.at),
        "stale": resources.stale,
        "errors": list(resources.errors),
    }


def _first() -> str:
    return next(iter(sorted(equipment().templates, key=lambda name: name != "sandbox")), "")


def _flavor_json(flavor: Any, template: ClusterTemplate) -> dict[str, Any]:
    reasons = checks.flavor_reasons(flavor, template.tag_requirements)
    return {
        "name": flavor.name,
        "vcpus": flavor.vcpus,
        "ram_mb": flavor.ram_mb,
        "disk_gb": flavor.disk_gb,
        "tags": [tag for tag in template.tag_requirements if tag not in reasons],
        "reasons": reasons,
    }


def _quotas_json(resources: Resources, credit: dict[str, int]) -> dict[str, dict[str, int]]:
    found = {}
    for name, quota in resources.quotas.items():
        credited = Quota(quota.limit, max(0, quota.used - credit.get(name, 0)))
        found[name] = {"limit": credited.limit, "used": credited.used, "free": credited.free}
    return found
