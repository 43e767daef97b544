"""Input that Magic Castle would refuse is refused here first, by name (rules: magic-castle.md, "Inputs"; clusters.md).

The hub of these tests has no cloud: what is wrong is said before a cloud is asked, what is right ends there (502).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from tests.clusters.bodies import ABSENT, changed
from tests.clusters.conftest import traces
from tests.conftest import PUBLIC_KEY

P = "parameters."


def post(client: FlaskClient, body: object) -> tuple[int, dict[str, str]]:
    """The status, and the messages by field."""
    answer = client.post("/api/clusters", json=body)
    document = answer.get_json()
    assert answer.mimetype == "application/problem+json"
    assert document["status"] == answer.status_code
    return answer.status_code, {error["field"]: error["message"] for error in document.get("errors", [])}


def assert_refused_at(hub: APIFlask, field: str, body: dict[str, Any]) -> str:
    """The body is refused at that field and no other, and leaves nothing; the message."""
    status, errors = post(hub.test_client(), body)
    assert status == 422
    assert list(errors) == [field]
    assert len(errors[field]) > 5
    assert traces(hub) == (0, 0, 0, 0)
    return errors[field]


def assert_accepted(client: FlaskClient, body: dict[str, Any]) -> None:
    """Nothing is wrong with the body: the cloud would be asked next."""
    status, errors = post(client, body)
    assert (status, errors) == (502, {})


def test_the_example_of_the_specification_is_right(hub_client: FlaskClient) -> None:
    assert_accepted(hub_client, changed())


def group(**values: Any) -> dict[str, Any]:
    """A group of instances."""
    return {"type": "p2-3gb", "tags": ["x"], **values}


def groups(**more: dict[str, Any]) -> dict[str, Any]:
    """The example's groups and more."""
    return {**changed()["parameters"]["instances"], **more}


def rule(**values: Any) -> dict[str, Any]:
    """One firewall rule."""
    return {"a rule": {"from_port": 80, "to_port": 80, "tag": "login", **values}}


RIGHT: list[tuple[str, object]] = [
    ("cluster_name", "ab"), ("cluster_name", "a" + "b" * 40), ("cluster_name", "a0-9z"),
    ("domain", "a"), ("domain", "a.b-c.example"), ("domain", "x" * 63 + ".example"),
    ("image", "Rocky Linux 9 (x86)"), ("image", "9"),
    ("nb_users", 0), ("nb_users", 1000), ("nb_users", ABSENT),
    ("guest_passwd", ""), ("guest_passwd", None), ("guest_passwd", "12345678"), ("guest_passwd", "${file(1)}%{x}"),
    ("guest_passwd", "pässwörd"), ("guest_passwd", ABSENT),
    ("volumes", {}), ("volumes", ABSENT), ("volumes", {"nfs": {}}), ("volumes.nfs.home.size", 1),
    ("volumes.nfs.home.size", 100_000), ("volumes.nfs.home.enable_resize", True), ("volumes.nfs.home.managed", False),
    ("instances.node.count", 0), ("instances.node.count", 1000), ("instances.node.count", ABSENT),
    ("instances.node.tags", ["my-own_tag9"]), ("instances.node.disk_size", 50),
    ("instances", groups(a=group())), ("instances", groups(**{"a" * 63: group()})),
    ("public_keys", [PUBLIC_KEY] * 200), ("public_keys", [" ".join(PUBLIC_KEY.split()[:2])]),
    ("sudoer_username", "_a-b_9"), ("sudoer_username", "x" * 32), ("instances.mgmt.count", ABSENT),
    ("hieradata", ABSENT), ("hieradata", "---"), ("hieradata", "a: '%{lookup(1)}'"),
    ("firewall_rules", {}), ("firewall_rules", None), ("firewall_rules", rule()),
    ("firewall_rules", rule(to_port=65535)), ("firewall_rules", rule(ethertype="IPv6", cidr="::/0", protocol="udp")),
    ("os_floating_ips", {}), ("os_floating_ips", {"login1": "192.0.2.1"}), ("os_ext_network", None),
    ("subnet_id", None),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), RIGHT)
def test_what_the_rules_allow_passes(hub_client: FlaskClient, field: str, value: object) -> None:
    assert_accepted(hub_client, changed(P + field, value))


LINES = ["two\nlines", "a\x00b", "\x7f", "tab\there", "c1\x85control", "line\u2028separator", "paragraph\u2029"]
NAMES: list[object] = ["", *LINES, "x" * 256, 9, None, True, ["a"], {"a": 1}]
WRONG: list[tuple[str, list[object]]] = [
    ("cluster_name", ["", "a", "A1", "1a", "-a", "a_b", "a.b", "a b", "a" * 42, "ab\n", "é1", "../x", "a/b", "a${b}",
                      "<b>x", None, 5, ABSENT, "aa\x00", "\uff41\uff42", "a\u0301b"]),
    ("domain", ["", ".", "a.", ".a", "a..b", "A.b", "9.b", "a_b.c", "a b", "../..", "a/b", "a\n", "x" * 64, None, 9,
                ("x" * 50 + ".") * 4 + "com", "a.é", ABSENT]),
    ("image", [*NAMES, ABSENT]),
    ("nb_users", [-1, 1001, "10", 1.5, 1.0, True, None, 10**30, -(10**30), [], {}]),
    ("guest_passwd", ["1234567", "a", "two\nlines!!", "nul\x00inside", 12345678, [], True]),
    ("instances", [None, [], "x", ABSENT]),
    ("instances.node", [None, [], "x", 3]),
    ("instances.node.type", [*NAMES, ABSENT]),
    ("instances.node.tags", [None, [], "node", {}, ABSENT, ["x"] * 2, [f"t{i}" for i in range(33)]]),
    ("instances.node.tags.0", ["", "A", "a b", "9", "é", None, 1, "x" * 64, "a/b", "a\n"]),
    ("instances.node.count", [-1, 1001, "2", 1.5, None, True, 10**30]),
    ("instances.node.image", ["", 9, "x" * 256]),
    ("instances.node.disk_size", [0, -1, 100_001, "10", 1.5]),
    ("instances.node.disk_type", ["", 9]),
    ("instances.node.flavor", ["p2-3gb"]),
    ("volumes", [None, [], "x"]),
    ("volumes.nfs", [None, [], 3]),
    ("volumes.nfs.home", [None, [], 20]),
    ("volumes.nfs.home.size", [ABSENT, 0, -5, 100_001, "20", 20.5, None, True, 2**70]),
    ("volumes.nfs.home.type", ["", 3]),
    ("volumes.nfs.home.snapshot", ["", 3]),
    ("volumes.nfs.home.managed", ["yes", 1, None]),
    ("volumes.nfs.home.enable_resize", ["yes", 1, None]),
    ("volumes.nfs.home.colour", ["red"]),
    ("public_keys", [None, [], "x", {}, ABSENT, [PUBLIC_KEY] * 201]),
    ("public_keys.0", ["", "x", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-ed25519 !!!!", "ssh-dss AAAAB3NzaC1kc3M=", None,
                       PUBLIC_KEY.replace("ssh-ed25519", "ssh-rsa", 1), PUBLIC_KEY + "\nssh-rsa x", PUBLIC_KEY[:60],
                       "-----BEGIN OPENSSH PRIVATE KEY-----", PUBLIC_KEY.replace("AAAAC3", "ÀAAAC3")]),
    ("sudoer_username", ["", "Root", "9x", "a b", "x" * 33, "a\n", "é", None, 5]),
    ("hieradata", [None, [], 5, "a: [", "- a", "text", "a: 1\n---\nb: 2"]),
    ("os_ext_network", ["", 5]),
    ("subnet_id", ["", 5]),
    ("os_floating_ips", [[], "x", 5]),
    ("firewall_rules", [[], "x", 5]),
    ("nb_user", [5]),
    ("freeipa_passwd", ["12345678"]),
    ("generate_ssh_key", [True]),
    ("eyaml_key", ["x"]),
    ("config_version", ["15.6.1"]),
    ("software_stack", ["eessi"]),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in WRONG for value in values])
def test_what_the_rules_forbid_is_refused_at_its_field(hub: APIFlask, field: str, value: object) -> None:
    assert_refused_at(hub, P + field, changed(P + field, value))


@pytest.mark.parametrize(
    ("field", "value", "refused_at"),
    [
        ("instances", groups(Node=group()), "instances.Node"),
        ("instances", groups(**{"9": group()}), "instances.9"),
        ("instances", groups(**{"a b": group()}), "instances.a b"),
        ("instances", groups(**{"": group()}), "instances."),
        ("instances", groups(**{"a" * 64: group()}), f"instances.{'a' * 64}"),
        ("instances", groups(**{"a" * 63: group(count=10)}), f"instances.{'a' * 63}"),
        ("instances", groups(**{"../x": group()}), "instances.../x"),
        ("instances", groups(n=group(count=11), n1=group(count=1)), "instances"),
        ("instances", groups(web=group(tags=["proxy"])), "instances.web.tags"),
        ("instances.login.count", 2, "instances.login.tags"),
        ("volumes", {"NFS": {"home": {"size": 1}}}, "volumes.NFS"),
        ("volumes", {"data": {"home": {"size": 1}}}, "volumes.data"),
        ("volumes", {"nfs": {"Home": {"size": 1}}}, "volumes.nfs.Home"),
        ("volumes", {"nfs": {"../x": {"size": 1}}}, "volumes.nfs.../x"),
        ("firewall_rules", rule(from_port=0), "firewall_rules.a rule.from_port"),
        ("firewall_rules", rule(to_port=65536), "firewall_rules.a rule.to_port"),
        ("firewall_rules", rule(to_port=79), "firewall_rules.a rule"),
        ("firewall_rules", rule(tag="A"), "firewall_rules.a rule.tag"),
        ("firewall_rules", rule(protocol="ip"), "firewall_rules.a rule.protocol"),
        ("firewall_rules", rule(ethertype="ipv4"), "firewall_rules.a rule.ethertype"),
        ("firewall_rules", rule(cidr="everywhere"), "firewall_rules.a rule.cidr"),
        ("firewall_rules", rule(cidr="10.0.0.1/33"), "firewall_rules.a rule.cidr"),
        ("firewall_rules", rule(cidr="::/0"), "firewall_rules.a rule"),
        ("os_floating_ips", {"login1": "one\ntwo"}, "os_floating_ips.login1"),
        ("os_floating_ips", {"login1": "not an address"}, "os_floating_ips.login1"),
    ],
)
def test_rules_about_names_and_between_fields(hub: APIFlask, field: str, value: object, refused_at: str) -> None:
    assert_refused_at(hub, P + refused_at, changed(P + field, value))


@pytest.mark.parametrize("none", [{}, {"a": group(count=0)}])
def test_a_cluster_has_at_least_one_instance(hub: APIFlask, none: dict[str, Any]) -> None:
    assert_refused_at(hub, P + "instances", changed(P + "instances", none, changed(P + "volumes", {})))


def test_a_group_of_count_zero_carries_no_volume(hub: APIFlask) -> None:
    assert_refused_at(hub, P + "volumes.nfs", changed(P + "instances.mgmt.count", 0))


def test_more_instances_than_any_cloud_are_refused_before_their_names_are_made(hub: APIFlask) -> None:
    many = {f"g{i}x": group(count=1000) for i in range(20_000)}
    assert_refused_at(hub, P + "instances", changed(P + "instances", many))


def test_a_name_and_a_domain_that_are_too_long_together(hub: APIFlask) -> None:
    domain = ".".join(["x" * 60] * 3)
    assert_accepted(hub.test_client(), changed(P + "domain", domain))
    body = changed(P + "domain", domain + ".abcdefghij")
    body["parameters"]["cluster_name"] = "a" * 41
    assert_refused_at(hub, P + "domain", body)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("template", ABSENT), ("template", "castle"), ("template", "../sandbox"), ("template", ""), ("template", 5),
        ("template", None), ("project", "other"), ("project", ""), ("project", None), ("project", 5),
        ("parameters", ABSENT), ("parameters", None), ("parameters", []), ("colour", "red"), ("hostname", "a.b"),
        ("expires_at", ""), ("expires_at", "soon"), ("expires_at", 5), ("expires_at", "2099-01-01"),
        ("expires_at", "2099-01-01T00:00:00"), ("expires_at", "2001-01-01T00:00:00Z"), ("expires_at", True),
        ("expires_at", "9999-12-31T23:59:59-23:59"), ("expires_at", "0001-01-01T00:00:00+23:59"),
    ],
)  # fmt: skip
def test_what_stands_beside_the_parameters(hub: APIFlask, field: str, value: object) -> None:
    assert_refused_at(hub, field, changed(field, value))


@pytest.mark.parametrize("given", [None, "2099-11-23T18:00:00Z", "2099-11-23T18:00:00+05:30", ABSENT])
def test_an_expiry_in_the_future_with_its_zone_passes(hub_client: FlaskClient, given: object) -> None:
    assert_accepted(hub_client, changed("expires_at", given))


def test_an_expiry_a_moment_ago_is_in_the_past(hub: APIFlask) -> None:
    assert_refused_at(hub, "expires_at", changed("expires_at", (datetime.now(UTC) - timedelta(seconds=1)).isoformat()))


def test_every_error_is_named_at_once(hub_client: FlaskClient) -> None:
    body = changed(P + "cluster_name", "A")
    body["parameters"]["nb_users"] = -1
    body["parameters"]["instances"]["node"]["count"] = -1
    body["colour"] = "red"
    status, errors = post(hub_client, body)
    assert status == 422
    assert set(errors) == {P + "cluster_name", P + "nb_users", P + "instances.node.count", "colour"}


def test_no_more_errors_are_named_than_a_person_can_read(hub_client: FlaskClient) -> None:
    status, errors = post(hub_client, changed(P + "public_keys", ["x"] * 200))
    assert (status, len(errors)) == (422, 100)
