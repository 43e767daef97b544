"""A configuration held against its template and against the cloud, before anything is planned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from app.cloud.resources import UNLIMITED, Flavor, Resources
from app.clusters.schemas import Instance, Parameters, relations
from app.errors import FieldError, Invalid
from app.terraform.state import State
from app.terraform.templates import ClusterTemplate, TagRequirement

PATH = "parameters."
SMALLEST_ROOT_DISK_GB = 10
_WORDS = {
    "instances": "instances",
    "vcpus": "vCPU",
    "ram_mb": "MB of RAM",
    "volumes": "volumes",
    "volume_gb": "GB of volumes",
    "ports": "ports",
    "floating_ips": "floating IP addresses",
}
_FIELD = {"volumes": "volumes", "volume_gb": "volumes"}


@dataclass(frozen=True)
class Shortage:
    """A quota that a configuration would exceed."""

    resource: str
    limit: int
    used: int
    asked: int
    missing: int

    def as_json(self) -> dict[str, Any]:
        """As in the API's `preflight`."""
        return self.__dict__.copy()


def check_against_template(parameters: Parameters, template: ClusterTemplate) -> None:
    """Refuse inputs that the template does not have, and broken relations between inputs.

    Raises:
        Invalid: with every error at once.
    """
    known = {parameter.name for parameter in template.parameters}
    errors = [
        FieldError(PATH + name, f"The template {template.name} has no such parameter.")
        for name in parameters.model_fields_set
        if name not in known
    ]
    errors += [FieldError(PATH + path, message) for path, message in relations(parameters)]
    if errors:
        raise Invalid("The configuration has errors.", errors)


def flavor_reasons(flavor: Flavor, requirements: dict[str, TagRequirement]) -> dict[str, str]:
    """For each tag that the flavor cannot serve: why not (magic-castle.md, "Minimum flavor")."""
    reasons = {}
    for tag, least in requirements.items():
        missing = []
        if flavor.ram_mb < least.ram_mb:
            missing.append(f"{least.ram_mb / 1024:g} GB of RAM, it has {flavor.ram_mb / 1024:g}")
        if flavor.vcpus < least.vcpus:
            missing.append(f"{least.vcpus} vCPU, it has {flavor.vcpus}")
        if missing:
            reasons[tag] = f"{tag} needs " + " and ".join(missing) + "."
    return reasons


def check_against_cloud(parameters: Parameters, template: ClusterTemplate, resources: Resources) -> None:
    """Refuse images, flavors, types and networks that the cloud does not have.

    What could not be asked (its part is empty and an error stands beside it) is not held against the configuration.

    Raises:
        Invalid: with every error at once.
    """
    errors: list[FieldError] = []
    images = {image.name for image in resources.images}
    min_disks = {image.name: image.min_disk_gb for image in resources.images}
    flavors = {flavor.name: flavor for flavor in resources.flavors}
    types = set(resources.volume_types)

    def known(value: str | None, names: set[str], path: str, what: str) -> bool:
        if value is None or not names or value in names:
            return True
        errors.append(FieldError(PATH + path, f"The cloud has no {what} named “{value}”."))
        return False

    known(parameters.image, images, "image", "image")
    networks = {str(network["name"]) for network in resources.networks if network["external"]}
    known(parameters.os_ext_network, networks, "os_ext_network", "external network")
    for prefix, group in parameters.instances.items():
        path = f"instances.{prefix}"
        known(group.image, images, f"{path}.image", "image")
        smallest = min_disks.get(group.image or parameters.image, 0)
        if group.disk_size is not None and group.disk_size < smallest:
            errors.append(FieldError(f"{PATH}{path}.disk_size", f"The image needs at least {smallest} GB."))
        known(group.disk_type, types, f"{path}.disk_type", "volume type")
        if known(group.type, set(flavors), f"{path}.type", "flavor") and group.type in flavors:
            reasons = flavor_reasons(flavors[group.type], template.tag_requirements)
            errors += [FieldError(f"{PATH}{path}.type", reasons[tag]) for tag in group.tags if tag in reasons]
    for tag, volumes in parameters.volumes.items():
        for name, volume in volumes.items():
            known(volume.type, types, f"volumes.{tag}.{name}.type", "volume type")
    if errors:
        raise Invalid("The cloud does not offer all that the configuration names.", errors)


def root_volume_gb(group: Instance, flavor: Flavor, template: ClusterTemplate) -> int:
    """The size of the volume that an instance boots from: what is asked for, else 0 where the flavor's disk does."""
    if group.disk_size is not None:
        return group.disk_size
    needs = [template.tag_requirements[tag].root_disk_gb for tag in group.tags if tag in template.tag_requirements]
    least = max([SMALLEST_ROOT_DISK_GB, *needs])
    return least if flavor.disk_gb < least else 0


def takes(parameters: Parameters, template: ClusterTemplate, flavors: dict[str, Flavor]) -> dict[str, int]:
    """What a configuration takes of each quota."""
    total = dict.fromkeys(_WORDS, 0)
    owned = parameters.os_floating_ips or {}
    for prefix, group in parameters.instances.items():
        flavor = flavors.get(group.type)
        total["instances"] += group.count
        total["ports"] += group.count
        if "public" in group.tags:
            total["floating_ips"] += sum(f"{prefix}{i}" not in owned for i in range(1, group.count + 1))
        if flavor is not None:
            total["vcpus"] += group.count * flavor.vcpus
            total["ram_mb"] += group.count * flavor.ram_mb
            root = root_volume_gb(group, flavor, template)
            total["volumes"] += group.count if root else 0
            total["volume_gb"] += group.count * root
        for tag in set(group.tags):
            for volume in parameters.volumes.get(tag, {}).values():
                total["volumes"] += group.count if volume.managed else 0
                total["volume_gb"] += group.count * volume.size if volume.managed else 0
    return total


def holds(state: State | None, flavors: Iterable[Flavor]) -> dict[str, int]:
    """What a cluster has of each quota, by its kept state: not what was asked for, of which a build may have failed."""
    total = dict.fromkeys(_WORDS, 0)
    if state is None:
        return total
    known: dict[Any, Flavor] = {key: flavor for flavor in flavors for key in (flavor.id, flavor.name)}
    total["ports"] = len(state.instances_of("openstack_networking_port_v2"))
    total["floating_ips"] = len(state.instances_of("openstack_networking_floatingip_v2"))
    sizes = [volume.attributes.get("size") for volume in state.instances_of("openstack_blockstorage_volume_v3")]
    for server in state.instances_of("openstack_compute_instance_v2"):
        total["instances"] += 1
        flavor = known.get(server.attributes.get("flavor_name")) or known.get(server.attributes.get("flavor_id"))
        if flavor is not None:
            total["vcpus"] += flavor.vcpus
            total["ram_mb"] += flavor.ram_mb
        # A device made of an existing volume is that volume.
        devices = server.attributes.get("block_device") or []
        made = [each for each in devices if each.get("destination_type") == "volume"]
        sizes += [each.get("volume_size") for each in made if each.get("source_type") != "volume"]
    total["volumes"] = len(sizes)
    total["volume_gb"] = sum(size or 0 for size in sizes)
    return total


def shortages(
    parameters: Parameters, template: ClusterTemplate, resources: Resources, held: Mapping[str, int]
) -> list[Shortage]:
    """The quotas that would be exceeded; what is `held` by the cluster already counts as free for it."""
    asked = takes(parameters, template, {flavor.name: flavor for flavor in resources.flavors})
    found = []
    for resource, amount in asked.items():
        quota = resources.quotas.get(resource)
        if quota is None or quota.limit == UNLIMITED:
            continue
        used = max(0, quota.used - held.get(resource, 0))
        missing = used + amount - quota.limit
        # What does not grow always fits, even where the quota was lowered below it.
        if missing > 0 and amount > held.get(resource, 0):
            found.append(Shortage(resource, quota.limit, used, amount, missing))
    return found


def check_quotas(
    parameters: Parameters, template: ClusterTemplate, resources: Resources, state: State | None = None
) -> None:
    """Refuse what would not fit into the project's quotas, before any plan; `state`: what the cluster has of them.

    Raises:
        Invalid: with `preflight`.
    """
    found = shortages(parameters, template, resources, holds(state, resources.flavors))
    if found:
        raise Invalid(
            "The project's quotas do not allow this cluster.",
            [
                FieldError(
                    PATH + _FIELD.get(short.resource, "instances"),
                    f"Takes {short.asked} {_WORDS[short.resource]}; {max(0, short.limit - short.used)} of "
                    f"{short.limit} are free: {short.missing} too many.",
                )
                for short in found
            ],
            extra={"preflight": [short.as_json() for short in found]},
            kind="quota",
        )
