"""What a cluster holds counts as free for it: what its last kept state lists, not what it once asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from pytest_mock import MockerFixture

from app.cloud.resources import Flavor, Image, Quota, Resources
from app.clusters.checks import holds, takes
from app.clusters.equipment import Equipment, equipment
from app.clusters.models import Cluster
from app.clusters.schemas import Parameters
from app.clusters.states import keep_state
from app.db import db
from app.terraform.state import read_state
from tests.clusters.bodies import named
from tests.clusters.rows import folder_of, keep_cluster

pytestmark = pytest.mark.usefixtures("session")
FLAVORS = (Flavor("id-of-2", "p2-3gb", 2, 3072, 20), Flavor("id-of-4", "p4-6gb", 4, 6144, 20))
LOGIN = {"flavor_name": "p2-3gb", "block_device": []}
MGMT = {"flavor_name": "p4-6gb", "block_device": []}
FROM_VOLUME = {"source_type": "image", "destination_type": "volume", "volume_size": 10}
BUILT = {
    "openstack_compute_instance_v2": [MGMT, LOGIN, LOGIN, LOGIN],
    "openstack_networking_port_v2": [{}] * 4,
    "openstack_blockstorage_volume_v3": [{"size": 20}] * 3,
    "openstack_networking_floatingip_v2": [{}],
}


def state(resources: dict[str, list[dict[str, Any]]]) -> bytes:
    """A state file that lists these."""
    listed = [
        {"mode": mode, "type": kind, "name": "x", "provider": 'provider["a/b/c"]',
         "instances": [{"index_key": index, "attributes": each} for index, each in enumerate(instances)]}
        for kind, instances in resources.items() for mode in ("managed", "data")
    ]  # fmt: skip
    return json.dumps({"version": 4, "serial": 1, "lineage": "l", "resources": listed}).encode()


def held(resources: dict[str, list[dict[str, Any]]]) -> dict[str, int]:
    """What a cluster with that state holds."""
    return holds(read_state(state(resources)), FLAVORS)


def test_a_cluster_without_a_state_holds_nothing() -> None:
    assert set(holds(None, FLAVORS).values()) == {0}
    assert set(held({}).values()) == {0}


def test_a_whole_cluster_holds_what_its_configuration_takes() -> None:
    template = equipment().template("sandbox")
    flavors = {flavor.name: flavor for flavor in FLAVORS}
    asked = takes(Parameters.model_validate(named("monday")["parameters"]), template, flavors)
    assert held(BUILT) == asked


def test_half_a_cluster_holds_half() -> None:
    found = held({"openstack_compute_instance_v2": [LOGIN], "openstack_networking_port_v2": [{}] * 4})
    assert (found["instances"], found["vcpus"], found["ram_mb"], found["ports"]) == (1, 2, 3072, 4)
    assert (found["volumes"], found["volume_gb"], found["floating_ips"]) == (0, 0, 0)


def test_volumes_that_servers_boot_from_are_held_and_those_attached_are_not_held_twice() -> None:
    attached = {"source_type": "volume", "destination_type": "volume", "volume_size": 99}
    local = {"source_type": "image", "destination_type": "local", "volume_size": 99}
    found = held({"openstack_compute_instance_v2": [{**LOGIN, "block_device": [FROM_VOLUME, attached, local]}]})
    assert (found["volumes"], found["volume_gb"]) == (1, 10)


def test_a_flavor_is_known_by_its_id_where_its_name_is_missing_and_one_that_is_gone_counts_as_a_server() -> None:
    found = held({"openstack_compute_instance_v2": [{"flavor_id": "id-of-4"}, {"flavor_name": "removed"}]})
    assert (found["instances"], found["vcpus"]) == (2, 4)


def kept(cluster: Cluster, resources: dict[str, list[dict[str, Any]]]) -> None:
    """The cluster's last kept state lists these."""
    (folder_of(cluster) / "terraform.tfstate").write_bytes(state(resources))
    keep_state(cluster, None)
    db.session.commit()


@pytest.fixture
def full(mocker: MockerFixture) -> None:
    """A cloud whose project has as many servers as it may."""
    cloud = Resources(
        images=(Image("1", "Rocky-9", 10, 512, "rocky", 1),), flavors=FLAVORS, quotas={"instances": Quota(4, 4)}
    )
    mocker.patch.object(Equipment, "available", return_value=cloud)


def built(name: str, resources: dict[str, list[dict[str, Any]]]) -> Cluster:
    """A cluster that was applied, and what came of it."""
    cluster = keep_cluster(name, "build_error", applied_parameters=named(name)["parameters"], applied_secrets=b"")
    kept(cluster, resources)
    return cluster


@pytest.mark.usefixtures("full")
def test_the_form_shows_as_free_what_the_cluster_really_holds(hub_client: FlaskClient) -> None:
    for name, resources, used in [("whole", BUILT, 0), ("none", {}, 4)]:
        cluster = built(name, resources)
        answer = hub_client.get("/api/available-resources", query_string={"hostname": cluster.hostname})
        assert answer.get_json()["quotas"]["instances"]["used"] == used


@pytest.mark.usefixtures("full")
def test_after_a_build_that_made_nothing_a_change_is_no_better_off_than_a_new_cluster(hub_client: FlaskClient) -> None:
    cluster = built("failed", {})
    answer = hub_client.put(
        f"/api/clusters/{cluster.hostname}", json={"version": 1, "parameters": named("failed")["parameters"]}
    )
    assert answer.status_code == 422
    assert answer.get_json()["preflight"] == [
        {"resource": "instances", "limit": 4, "used": 4, "asked": 4, "missing": 4}
    ]


@pytest.mark.usefixtures("full")
def test_a_change_that_asks_no_more_than_is_held_fits(hub_client: FlaskClient) -> None:
    cluster = built("fits", BUILT)
    answer = hub_client.put(
        f"/api/clusters/{cluster.hostname}", json={"version": 1, "parameters": named("fits")["parameters"]}
    )
    assert answer.status_code == 502  # all was checked, and this hub has no cloud
