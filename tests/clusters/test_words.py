"""A plan in cluster words: what a person who knows no Terraform reads above it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.clusters.review import review_of
from app.clusters.words import changes_instances, loses_data, summarise
from app.terraform.plan import Plan, read_plan

SERVER = "openstack_compute_instance_v2"
VOLUME = "openstack_blockstorage_volume_v3"
ADDRESS = "openstack_networking_floatingip_v2"
ACTIONS = {
    "create": ["create"], "update": ["update"], "replace": ["delete", "create"], "delete": ["delete"],
    "read": ["read"], "no-op": ["no-op"],
}  # fmt: skip


def change(action: str, kind: str, key: str | None, before: Any = None, after: Any = None) -> dict[str, Any]:
    """One entry of `resource_changes`."""
    filled = {"create": (None, after or {}), "delete": (before or {}, None)}.get(action, (before or {}, after or {}))
    mode = "data" if action == "read" else "managed"
    entry = {
        "address": f"{kind}.x" + (f'["{key}"]' if key else ""), "mode": mode, "type": kind, "name": "x",
        "change": {"actions": ACTIONS[action], "before": filled[0], "after": filled[1], "after_unknown": {}},
    }  # fmt: skip
    return entry | ({"index": key} if key else {})


def plan(*changes: dict[str, Any]) -> Plan:
    """A plan as `terraform show -json` prints it."""
    return read_plan(json.dumps({"format_version": "1.2", "resource_changes": changes}).encode())


def said(*changes: dict[str, Any]) -> list[str]:
    """The sentences."""
    return [sentence.text for sentence in summarise(plan(*changes))]


def test_a_plan_that_changes_nothing_says_so() -> None:
    nothing = ["changes nothing: all is as it should be"]
    assert said() == nothing
    assert said(change("no-op", SERVER, "node1"), change("read", "openstack_images_image_v2", None)) == nothing


def test_nodes_are_added_and_removed_by_name() -> None:
    assert said(change("create", SERVER, "node3"), change("create", SERVER, "node4")) == ["adds 2 nodes: node3, node4"]
    assert said(change("delete", SERVER, "node2")) == ["removes 1 node: node2"]


def test_many_nodes_are_counted_and_not_named() -> None:
    assert said(*(change("create", SERVER, f"node{i}") for i in range(9))) == ["adds 9 nodes"]


def test_a_replaced_node_is_away_for_a_while() -> None:
    assert said(change("replace", SERVER, "login1")) == ["replaces login1: about 5 minutes without access"]


@pytest.mark.parametrize("action", ["delete", "replace"])
def test_a_volume_that_goes_loses_its_data_and_says_so(action: str) -> None:
    found = plan(change(action, VOLUME, "mgmt1-nfs-home", {"size": 100}, {"size": 100}))
    (sentence,) = summarise(found)
    assert sentence.text == f"{action}s volume nfs/home, 100 GB: its data is lost"
    assert sentence.data_loss
    assert loses_data(found)


def test_a_volume_that_comes_or_grows_loses_nothing() -> None:
    found = plan(
        change("create", VOLUME, "mgmt1-nfs-home", None, {"size": 20}),
        change("update", VOLUME, "mgmt1-nfs-project", {"size": 20}, {"size": 50}),
    )
    assert [sentence.text for sentence in summarise(found)] == [
        "adds 1 volume: nfs/home (20 GB)",
        "changes 1 volume: nfs/project (50 GB)",
    ]
    assert not any(sentence.data_loss for sentence in summarise(found))
    assert not loses_data(found)


def test_a_new_flavor_restarts_the_node() -> None:
    resized = change("update", SERVER, "login1", {"flavor_name": "p2-3gb"}, {"flavor_name": "p4-6gb"})
    assert said(resized) == ["changes login1 to flavor p4-6gb: it restarts"]
    by_id = change("update", SERVER, "login1", {"flavor_id": "1"}, {"flavor_id": "2"})
    assert said(by_id) == ["changes login1 to another flavor: it restarts"]


def test_other_changes_of_a_node_are_named() -> None:
    assert said(change("update", SERVER, "login1", {"tags": None}, {"tags": ["x"]})) == ["changes login1 (tags)"]


def test_public_addresses_and_the_rest_are_counted() -> None:
    assert said(
        change("create", ADDRESS, "login1"),
        change("create", "openstack_networking_port_v2", "login1"),
        change("create", "openstack_networking_port_v2", "node1"),
        change("create", "tls_private_key", None),
        change("create", "openstack_networking_secgroup_v2", None),
        change("create", "openstack_networking_secgroup_rule_v2", "ssh"),
        change("create", "acme_certificate", None),
    ) == [
        "adds 1 public address: login1", "adds 2 network ports", "adds 1 key", "adds 1 security group",
        "adds 1 firewall rule", "adds 1 other resource",
    ]  # fmt: skip


def test_the_ssh_step_that_runs_again_does_not_look_like_a_loss() -> None:
    (sentence,) = summarise(plan(change("replace", "terraform_data", "deploy")))
    assert (sentence.kind, sentence.text, sentence.data_loss) == ("changes", "runs again 1 configuration step", False)


def test_a_name_without_a_key_is_the_resources_own() -> None:
    assert said(change("create", SERVER, None, None, {"name": "monday-login1"})) == ["adds 1 node: monday-login1"]
    assert said(change("delete", VOLUME, None, {"size": None})) == [
        "deletes volume openstack_blockstorage_volume_v3.x: its data is lost"
    ]


@pytest.mark.parametrize(("kind", "action", "changes"), [(SERVER, "update", True), (VOLUME, "create", False)])
def test_whether_what_runs_on_the_nodes_goes_on(kind: str, action: str, changes: bool) -> None:
    assert changes_instances(plan(change(action, kind, "a"))) is changes


def test_the_review_has_counts_words_and_resources() -> None:
    found = review_of(plan(change("create", SERVER, "node1", None, {"name": "x"}), change("no-op", VOLUME, "y")))
    assert found["actions"] == {"create": 1, "update": 0, "replace": 0, "delete": 0}
    assert found["summary"] == [{"kind": "adds", "text": "adds 1 node: node1", "data_loss": False}]
    (resource,) = found["resources"]
    assert (resource["address"], resource["type"], resource["action"]) == (f'{SERVER}.x["node1"]', SERVER, "create")
    assert json.dumps(found)
