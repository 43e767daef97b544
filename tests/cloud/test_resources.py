"""What a cloud offers, asked in parallel; a part that fails is empty and said so; answers are shared and used again."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.cloud.connections import Cloud, Connections
from app.cloud.resources import Quota, ResourceCache, Resources, query
from app.cloud.servers import console, list_servers
from app.errors import CloudUnavailable
from tests.sandbox.process import Sandbox, wait_until


@pytest.fixture
def faults(sandbox: Sandbox) -> Iterator[Sandbox]:
    """The cloud, whose faults are cleared at the end."""
    yield sandbox
    sandbox.admin.clear_faults()


def test_every_part_is_there(cloud: Cloud) -> None:
    found = query(cloud)
    assert (found.errors, found.stale) == ((), False)
    assert "Rocky-9" in {image.name for image in found.images}
    assert [(f.vcpus, f.ram_mb) for f in found.flavors] == sorted((f.vcpus, f.ram_mb) for f in found.flavors)
    sizes = {flavor.name: (flavor.vcpus, flavor.ram_mb) for flavor in found.flavors}
    assert sizes["p4-6gb"] == (4, 6144)
    assert any(network["external"] for network in found.networks)
    assert found.availability_zones
    assert found.volume_types
    assert found.at.tzinfo is not None


def test_quotas_are_those_of_the_project_with_what_is_used(sandbox: Sandbox, cloud: Cloud) -> None:
    sandbox.admin.quotas(compute={"instances": 7, "cores": -1}, volume={"gigabytes": 123}, network={"port": 9})
    quotas = query(cloud).quotas
    assert quotas["instances"] == Quota(7, 0)
    assert (quotas["vcpus"].limit, quotas["vcpus"].free) == (-1, -1)
    assert quotas["volume_gb"].limit == 123
    assert quotas["ports"].limit == 9
    assert {"ram_mb", "volumes", "floating_ips", "security_groups", "security_group_rules"} <= set(quotas)


@pytest.mark.parametrize(
    ("service", "empty"),
    [("image", "images"), ("network", "networks"), ("volume", "volume_types"), ("compute", "flavors")],
)
def test_a_service_that_fails_leaves_its_part_empty_and_a_line(
    faults: Sandbox, credential: dict[str, str], service: str, empty: str
) -> None:
    cloud = Connections(1).open(credential)
    faults.admin.fault("status", service=service, status=500, message="out of order")
    found = query(cloud)
    assert getattr(found, empty) == ()
    assert found.errors
    other = "images" if empty != "images" else "flavors"
    assert getattr(found, other)


def test_a_service_that_never_answers_is_not_waited_for_longer_than_the_others_allow(
    faults: Sandbox, credential: dict[str, str]
) -> None:
    cloud = Connections(1).open(credential)
    faults.admin.fault("hang", service="image", seconds=20)
    began = time.monotonic()
    found = query(cloud)
    assert time.monotonic() - began < 5
    assert found.images == ()
    assert found.flavors
    assert any("images" in line for line in found.errors)


FAULTS = [{"effect": "hang", "seconds": 20}, {"effect": "refuse"}, {"effect": "status", "status": 404}]


@pytest.mark.parametrize("service", ["image", "compute", "network", "volume"])
@pytest.mark.parametrize("fault", FAULTS, ids=["hang", "refuse", "404"])
def test_a_service_that_comes_back_is_asked_again(
    faults: Sandbox, credential: dict[str, str], fault: dict[str, Any], service: str
) -> None:
    cloud = Connections(0.5).open(credential)
    faults.admin.fault(service=service, **fault)
    assert query(cloud).errors
    faults.admin.clear_faults()
    assert query(cloud).errors == ()


def test_a_cloud_of_which_nothing_answers_is_an_error(faults: Sandbox, credential: dict[str, str]) -> None:
    cloud = Connections(1).open(credential)
    faults.admin.fault("status", status=503, message="down for maintenance")
    with pytest.raises(CloudUnavailable):
        query(cloud)


def test_a_token_that_was_revoked_is_renewed(sandbox: Sandbox, cloud: Cloud) -> None:
    query(cloud)
    sandbox.admin.revoke_tokens()
    assert query(cloud).errors == ()


def test_the_questions_are_asked_at_once(faults: Sandbox, cloud: Cloud) -> None:
    query(cloud)  # versions of the services are discovered once
    faults.admin.tune(latency_seconds=0.3)
    try:
        began = time.monotonic()
        assert query(cloud).flavors
        assert time.monotonic() - began < 10 * 0.3
    finally:
        faults.admin.tune(latency_seconds=0)


def test_many_who_ask_at_once_share_one_answer() -> None:
    asked: list[int] = []
    go_on = threading.Event()

    def slowly() -> Resources:
        asked.append(1)
        go_on.wait(10)
        return Resources(volume_types=("a",))

    cache = ResourceCache(ttl_seconds=60)
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(cache.get, "p", slowly) for _ in range(8)]
        go_on.set()
        assert {id(answer.result(10)) for answer in answers} == {id(answers[0].result())}
    assert len(asked) == 1


def test_one_project_does_not_wait_for_another() -> None:
    cache, go_on, began = ResourceCache(ttl_seconds=60), threading.Event(), threading.Event()

    def slowly() -> Resources:
        began.set()
        go_on.wait(10)
        return Resources()

    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(cache.get, "slow", slowly)
        began.wait(10)
        assert cache.get("quick", Resources).volume_types == ()
        go_on.set()
        slow.result(10)


def failing() -> Resources:
    """A cloud that is away."""
    raise CloudUnavailable("away")


def test_an_answer_is_used_again_for_a_while_and_then_asked_anew() -> None:
    cache = ResourceCache(ttl_seconds=60)
    first = cache.get("p", Resources)
    assert cache.get("p", failing) is first
    assert ResourceCache(ttl_seconds=0).get("p", Resources) is not first
    with pytest.raises(CloudUnavailable):
        cache.get("other", failing)


def test_a_cloud_that_fails_now_gives_its_last_answer_marked_stale() -> None:
    cache = ResourceCache(ttl_seconds=0, failure_seconds=0)
    cache.get("p", lambda: Resources(volume_types=("a",)))
    stale = cache.get("p", failing)
    assert (stale.volume_types, stale.stale, stale.errors) == (("a",), True, ("away",))
    assert not cache.get("p", Resources).stale


def test_what_was_asked_before_a_change_is_not_used_after_it() -> None:
    cache = ResourceCache(ttl_seconds=60)
    cache.get("p", lambda: Resources(volume_types=("before",)), "first operation")
    after = cache.get("p", lambda: Resources(volume_types=("after",)), "second operation")
    assert after.volume_types == ("after",)
    assert cache.get("p", failing, "second operation") is after


@pytest.fixture(scope="module")
def a_server(sandbox: Sandbox) -> str:
    """A server that runs, with an address; its name."""
    sandbox.admin.quotas(compute={"instances": 50, "cores": 200}, network={"port": 500})
    connection = sandbox.connect()
    network = connection.network.create_network(name="net")
    connection.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.9.0.0/24")
    flavor = connection.compute.find_flavor("p2-3gb")
    image = connection.image.find_image("Rocky-9")
    server = connection.compute.create_server(
        name="mine-login1", flavor_id=flavor.id, image_id=image.id, networks=[{"uuid": network.id}]
    )
    wait_until(lambda: connection.compute.get_server(server.id).status == "ACTIVE")
    return str(server.id)


def test_servers_are_listed_as_the_cloud_sees_them(cloud: Cloud, a_server: str) -> None:
    (server,) = list_servers(cloud, lambda name: name.startswith("mine-"))
    assert (server.id, server.name, server.status, server.fault) == (a_server, "mine-login1", "ACTIVE", None)
    assert server.flavor == "p2-3gb"
    assert server.addresses[0].startswith("10.9.0.")
    assert server.floating_addresses == ()
    assert list_servers(cloud, lambda _: False) == []


def test_a_console_gives_its_last_lines(cloud: Cloud, a_server: str) -> None:
    text = console(cloud, a_server, 2)
    assert isinstance(text, str)
    assert len(text.splitlines()) <= 2


def test_a_console_of_no_server_is_an_error_in_words(cloud: Cloud) -> None:
    with pytest.raises(CloudUnavailable, match="console"):
        console(cloud, "00000000-0000-0000-0000-000000000000", 5)


def test_servers_of_a_cloud_that_is_away_are_an_error(faults: Sandbox, cloud: Cloud, a_server: str) -> None:
    list_servers(cloud, lambda _: True)
    faults.admin.fault("status", service="compute", status=500)
    with pytest.raises(CloudUnavailable, match="servers"):
        list_servers(cloud, lambda _: True)
