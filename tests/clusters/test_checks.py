"""A configuration held against template and cloud: flavors by tag, names, quotas and what the cluster holds already."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.cloud.resources import Flavor, Image, Quota, Resources
from app.clusters.checks import (
    check_against_cloud,
    check_quotas,
    flavor_reasons,
    root_volume_gb,
    shortages,
    takes,
)
from app.clusters.schemas import Instance, Parameters
from app.errors import Invalid
from app.settings import Settings
from app.terraform.templates import load_templates
from tests.clusters.bodies import named

TEMPLATE = load_templates(Settings().templates)["sandbox"]
SMALL, MIDDLE, LARGE = (Flavor(n, n, v, r, d) for n, v, r, d in [
    ("p1-1gb", 1, 1024, 20), ("p2-3gb", 2, 3072, 20), ("p4-6gb", 4, 6144, 20),
])  # fmt: skip
TINY_DISK = Flavor("c2-3gb", "c2-3gb", 2, 3072, 0)
FLAVORS = {flavor.name: flavor for flavor in (SMALL, MIDDLE, LARGE, TINY_DISK)}
PLENTY = {name: Quota(10_000_000, 0) for name in (
    "instances", "vcpus", "ram_mb", "volumes", "volume_gb", "ports", "floating_ips"
)}  # fmt: skip
CLOUD = Resources(
    images=(Image("1", "Rocky-9", 10, 512, "rocky", 1),),
    flavors=tuple(FLAVORS.values()),
    volume_types=("volumes-ssd",),
    networks=({"id": "n", "name": "Public", "external": True, "shared": False},),
    quotas=PLENTY,
)


def parameters(**changes: Any) -> Parameters:
    """The example's parameters with some changed."""
    return Parameters.model_validate(named("monday", **changes)["parameters"])


def with_nodes(count: int, **group: Any) -> Parameters:
    """The example with so many nodes."""
    found = named("monday")["parameters"]
    found["instances"]["node"] = {"type": "p2-3gb", "tags": ["node"], "count": count, **group}
    return Parameters.model_validate(found)


def held_by(nodes: int) -> dict[str, int]:
    """What the example with so many nodes holds, once it is built."""
    return takes(with_nodes(nodes), TEMPLATE, FLAVORS)


def with_quota(**quotas: Quota) -> Resources:
    """The cloud with some quotas set."""
    return replace(CLOUD, quotas={**PLENTY, **quotas})


@pytest.mark.parametrize(
    ("flavor", "cannot"),
    [(SMALL, {"mgmt", "login", "node"}), (MIDDLE, {"mgmt"}), (LARGE, set())],
)
def test_a_flavor_serves_the_tags_whose_minimum_it_has(flavor: Flavor, cannot: set[str]) -> None:
    assert set(flavor_reasons(flavor, TEMPLATE.tag_requirements)) == cannot


def test_the_reason_says_what_is_missing_and_what_is_there() -> None:
    reasons = flavor_reasons(SMALL, TEMPLATE.tag_requirements)
    assert reasons["mgmt"] == "mgmt needs 6 GB of RAM, it has 1 and 2 vCPU, it has 1."
    assert reasons["node"] == "node needs 2 GB of RAM, it has 1."


def refused(configuration: Parameters, cloud: Resources = CLOUD) -> dict[str, str]:
    """The messages by field with which the cloud's offer refuses it."""
    with pytest.raises(Invalid) as found:
        check_against_cloud(configuration, TEMPLATE, cloud)
    return {error.field.removeprefix("parameters."): error.message for error in found.value.errors}


def test_what_the_cloud_offers_passes() -> None:
    check_against_cloud(parameters(), TEMPLATE, CLOUD)
    check_against_cloud(parameters(os_ext_network="Public"), TEMPLATE, CLOUD)


def test_whatever_the_cloud_does_not_have_is_named_at_its_field() -> None:
    configuration = named("monday", image="Rocky-8", os_ext_network="private")["parameters"]
    configuration["instances"]["node"] |= {"type": "huge", "image": "Debian", "disk_type": "tape"}
    configuration["instances"]["mgmt"]["type"] = "p2-3gb"
    configuration["volumes"]["nfs"]["home"]["type"] = "tape"
    errors = refused(Parameters.model_validate(configuration))
    assert set(errors) == {
        *("image", "os_ext_network", "instances.node.type", "instances.node.image", "instances.node.disk_type"),
        *("instances.mgmt.type", "volumes.nfs.home.type"),
    }
    assert "huge" in errors["instances.node.type"]
    assert "6 GB" in errors["instances.mgmt.type"]


def test_what_could_not_be_asked_is_not_held_against_it() -> None:
    check_against_cloud(parameters(image="Any"), TEMPLATE, Resources())


@pytest.mark.parametrize(
    ("flavor", "group", "size"),
    [
        (MIDDLE, {"tags": ["node"]}, 0),
        (TINY_DISK, {"tags": ["node"]}, 10),
        (TINY_DISK, {"tags": ["mgmt"]}, 20),
        (TINY_DISK, {"tags": ["node", "mgmt"]}, 20),
        (TINY_DISK, {"tags": ["own"]}, 10),
        (MIDDLE, {"tags": ["node"], "disk_size": 50}, 50),
        (MIDDLE, {"tags": ["node"], "disk_size": 20}, 20),
    ],
)
def test_where_the_flavors_disk_is_too_small_an_instance_boots_from_a_volume(
    flavor: Flavor, group: dict[str, Any], size: int
) -> None:
    assert root_volume_gb(Instance(type=flavor.name, **group), flavor, TEMPLATE) == size


def test_what_the_example_takes() -> None:
    assert takes(parameters(), TEMPLATE, FLAVORS) == {
        "instances": 4, "vcpus": 4 + 2 + 2 * 2, "ram_mb": 6144 + 3 * 3072, "volumes": 3, "volume_gb": 60, "ports": 4,
        "floating_ips": 1,
    }  # fmt: skip


def test_boot_volumes_count_and_volumes_of_others_do_not() -> None:
    found = takes(with_nodes(3, type="c2-3gb"), TEMPLATE, FLAVORS)
    assert (found["volumes"], found["volume_gb"]) == (3 + 3, 60 + 30)
    unmanaged = parameters(volumes={"nfs": {"home": {"size": 5, "managed": False}, "project": {"size": 7}}})
    found = takes(unmanaged, TEMPLATE, FLAVORS)
    assert (found["volumes"], found["volume_gb"]) == (1, 7)


def test_every_instance_with_the_tag_gets_its_volumes() -> None:
    found = takes(parameters(volumes={"node": {"scratch": {"size": 5}}}), TEMPLATE, FLAVORS)
    assert (found["volumes"], found["volume_gb"]) == (2, 10)


def test_a_public_address_that_one_owns_takes_none() -> None:
    assert takes(parameters(os_floating_ips={"login1": "192.0.2.1"}), TEMPLATE, FLAVORS)["floating_ips"] == 0


def test_what_fits_exactly_fits() -> None:
    assert shortages(parameters(), TEMPLATE, with_quota(instances=Quota(9, 5)), {}) == []


def test_a_shortage_says_limit_used_asked_and_missing() -> None:
    (short,) = shortages(parameters(), TEMPLATE, with_quota(instances=Quota(9, 6)), {})
    assert short.as_json() == {"resource": "instances", "limit": 9, "used": 6, "asked": 4, "missing": 1}


def test_minus_one_means_unlimited() -> None:
    assert shortages(with_nodes(1000), TEMPLATE, with_quota(instances=Quota(-1, 99)), {}) == []
    assert Quota(-1, 5).free == -1
    assert (Quota(5, 7).free, Quota(7, 5).free) == (0, 2)


def test_a_quota_that_could_not_be_asked_refuses_nothing() -> None:
    assert shortages(with_nodes(1000), TEMPLATE, replace(CLOUD, quotas={}), {}) == []


def test_what_the_cluster_holds_counts_as_free_for_it() -> None:
    cloud = with_quota(instances=Quota(5, 4))
    assert shortages(with_nodes(3), TEMPLATE, cloud, held_by(2)) == []
    (short,) = shortages(with_nodes(4), TEMPLATE, cloud, held_by(2))
    assert (short.used, short.asked, short.missing) == (0, 6, 1)


def test_a_smaller_cluster_always_fits() -> None:
    cloud = with_quota(instances=Quota(3, 12))  # lowered after it was built
    assert shortages(with_nodes(8), TEMPLATE, cloud, held_by(10)) == []
    assert shortages(with_nodes(10), TEMPLATE, cloud, held_by(10)) == []
    assert len(shortages(with_nodes(11), TEMPLATE, cloud, held_by(10))) == 1


def test_shortages_are_errors_at_fields_with_a_preflight() -> None:
    cloud = with_quota(vcpus=Quota(4, 0), volume_gb=Quota(100, 60), floating_ips=Quota(0, 0))
    with pytest.raises(Invalid) as found:
        check_quotas(parameters(), TEMPLATE, cloud)
    document = found.value.as_json()
    assert document["type"].endswith("/quota")
    assert {each["resource"] for each in document["preflight"]} == {"vcpus", "volume_gb", "floating_ips"}
    assert {each["field"] for each in document["errors"]} == {"parameters.instances", "parameters.volumes"}
    assert "40 of 100 are free: 20 too many" in " ".join(each["message"] for each in document["errors"])
