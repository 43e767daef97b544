from collections.abc import Callable, Iterator
from typing import Any

import pytest
from openstack.connection import Connection

from .cluster import name, router_to_public, subnet_in_network
from .process import Sandbox


def neutron(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["NeutronError"]["type"]


@pytest.fixture
def cloud(fresh: Callable[..., Sandbox]) -> Iterator[Connection]:
    with fresh().connect() as connection:
        yield connection


def test_a_network_in_use_is_kept(cloud: Connection) -> None:
    net, subnet = subnet_in_network(cloud)
    port = cloud.network.create_port(network_id=net.id)
    assert neutron(cloud.network.delete(f"/networks/{net.id}")) == (409, "NetworkInUse")
    assert neutron(cloud.network.delete(f"/subnets/{subnet.id}")) == (409, "SubnetInUse")
    cloud.network.delete_port(port)
    cloud.network.delete_network(net)
    assert neutron(cloud.network.get(f"/subnets/{subnet.id}")) == (404, "SubnetNotFound")


def test_a_router_in_use_is_kept(cloud: Connection) -> None:
    net, subnet = subnet_in_network(cloud)
    router = router_to_public(cloud, subnet)
    (interface,) = cloud.network.ports(device_id=router.id, device_owner="network:router_interface")
    assert interface.fixed_ips == [{"subnet_id": subnet.id, "ip_address": "10.9.0.1"}]
    assert neutron(cloud.network.delete(f"/routers/{router.id}")) == (409, "RouterInUse")
    assert neutron(cloud.network.delete(f"/ports/{interface.id}")) == (409, "ServicePortInUse")
    assert neutron(cloud.network.delete(f"/networks/{net.id}")) == (409, "NetworkInUse")
    again = cloud.network.put(f"/routers/{router.id}/add_router_interface", json={"subnet_id": subnet.id})
    assert neutron(again) == (400, "BadRequest")


def test_a_floating_ip_holds_its_router_and_interface(cloud: Connection) -> None:
    net, subnet = subnet_in_network(cloud)
    public = cloud.network.find_network("public")
    port = cloud.network.create_port(network_id=net.id)
    address = cloud.network.create_ip(floating_network_id=public.id)
    assert address.status == "DOWN"
    unreachable = cloud.network.put(f"/floatingips/{address.id}", json={"floatingip": {"port_id": port.id}})
    assert neutron(unreachable) == (404, "ExternalGatewayForFloatingIPNotFound")

    router = router_to_public(cloud, subnet)
    bound = cloud.network.update_ip(address, port_id=port.id)

    assert (bound.status, bound.router_id, bound.fixed_ip_address) == (
        "ACTIVE", router.id, port.fixed_ips[0]["ip_address"],
    )  # fmt: skip
    removal = cloud.network.put(f"/routers/{router.id}/remove_router_interface", json={"subnet_id": subnet.id})
    assert neutron(removal) == (409, "RouterInterfaceInUseByFloatingIP")
    cleared = cloud.network.put(f"/routers/{router.id}", json={"router": {"external_gateway_info": {}}})
    assert neutron(cleared) == (409, "RouterExternalGatewayInUseByFloatingIp")
    second = cloud.network.post(
        "/floatingips", json={"floatingip": {"floating_network_id": public.id, "port_id": port.id}}
    )
    assert neutron(second) == (409, "FloatingIPPortAlreadyAssociated")

    cloud.network.delete_port(port)

    left = cloud.network.get_ip(address)
    assert (left.status, left.port_id, left.fixed_ip_address) == ("DOWN", None, None)


def test_floating_ips_come_from_the_range(cloud: Connection, floating_range: str) -> None:
    public = cloud.network.find_network("public")
    address = cloud.network.create_ip(floating_network_id=public.id).floating_ip_address
    head, last = address.rsplit(".", 1)
    assert floating_range.startswith(head + ".")
    assert 10 <= int(last) <= 254


def test_more_floating_ips_than_the_quota_are_refused(cloud: Connection) -> None:
    public = cloud.network.find_network("public")
    for _ in range(20):
        cloud.network.create_ip(floating_network_id=public.id)
    answer = cloud.network.post("/floatingips", json={"floatingip": {"floating_network_id": public.id}})
    assert neutron(answer) == (409, "OverQuota")
    assert answer.json()["NeutronError"]["message"] == "Quota exceeded for resources: ['floatingip']."
    quota = cloud.network.get_quota(cloud.current_project_id, details=True)
    assert quota.floating_ips == {"limit": 20, "used": 20, "reserved": 0}


@pytest.mark.parametrize(
    ("values", "status", "kind"),
    [
        ({"cidr": "10.9.0.128/25"}, 400, "InvalidInput"),
        ({"cidr": "nonsense"}, 400, "HTTPBadRequest"),
        ({"cidr": "fd00::/64"}, 400, "InvalidInput"),
        ({"cidr": "10.8.0.0/24", "gateway_ip": "10.8.0.255"}, 400, "InvalidInput"),
        ({"cidr": "10.8.0.0/24", "allocation_pools": [{"start": "10.8.1.1", "end": "10.8.1.9"}]}, 400,
         "OutOfBoundsAllocationPool"),
        ({"cidr": "10.8.0.0/24", "allocation_pools": [{"start": "10.8.0.1", "end": "10.8.0.9"}]}, 409,
         "GatewayConflictWithAllocationPools"),
    ],
)  # fmt: skip
def test_a_wrong_subnet_is_refused(conn: Connection, values: dict[str, Any], status: int, kind: str) -> None:
    net, _ = subnet_in_network(conn)
    answer = conn.network.post("/subnets", json={"subnet": {"network_id": net.id, "ip_version": 4, **values}})
    conn.network.delete_network(net)
    assert neutron(answer) == (status, kind)


def test_addresses_are_given_once(cloud: Connection) -> None:
    net, subnet = subnet_in_network(cloud, "10.9.0.0/29")
    fixed = {"fixed_ips": [{"subnet_id": subnet.id, "ip_address": "10.9.0.4"}]}
    cloud.network.create_port(network_id=net.id, **fixed)
    assert neutron(cloud.network.post("/ports", json={"port": {"network_id": net.id, **fixed}})) == (
        409, "IpAddressAlreadyAllocated",
    )  # fmt: skip
    outside = {"fixed_ips": [{"subnet_id": subnet.id, "ip_address": "10.10.0.4"}]}
    assert neutron(cloud.network.post("/ports", json={"port": {"network_id": net.id, **outside}})) == (
        400, "InvalidIpForSubnet",
    )  # fmt: skip
    others = [cloud.network.create_port(network_id=net.id).fixed_ips[0]["ip_address"] for _ in range(4)]
    assert sorted(others) == ["10.9.0.2", "10.9.0.3", "10.9.0.5", "10.9.0.6"]
    assert neutron(cloud.network.post("/ports", json={"port": {"network_id": net.id}})) == (
        409, "IpAddressGenerationFailure",
    )  # fmt: skip


def test_security_groups_and_rules(cloud: Connection) -> None:
    group = cloud.network.create_security_group(name=name("group"))
    assert sorted((rule["direction"], rule["ethertype"]) for rule in group.security_group_rules) == [
        ("egress", "IPv4"), ("egress", "IPv6"),
    ]  # fmt: skip
    rule = {"security_group_id": group.id, "direction": "ingress", "protocol": "tcp", "port_range_min": 22,
            "port_range_max": 22}  # fmt: skip
    cloud.network.create_security_group_rule(**rule)
    assert neutron(cloud.network.post("/security-group-rules", json={"security_group_rule": rule})) == (
        409, "SecurityGroupRuleExists",
    )  # fmt: skip
    backwards = rule | {"port_range_min": 30}
    assert neutron(cloud.network.post("/security-group-rules", json={"security_group_rule": backwards})) == (
        400, "SecurityGroupInvalidPortRange",
    )  # fmt: skip
    net, _ = subnet_in_network(cloud)
    port = cloud.network.create_port(network_id=net.id, security_groups=[group.id])
    assert neutron(cloud.network.delete(f"/security-groups/{group.id}")) == (409, "SecurityGroupInUse")
    cloud.network.delete_port(port)
    cloud.network.delete_security_group(group)
    default = cloud.network.find_security_group("default")
    assert len(default.security_group_rules) == 4
    assert neutron(cloud.network.delete(f"/security-groups/{default.id}")) == (409, "SecurityGroupCannotRemoveDefault")


def test_what_belongs_to_administrators_is_forbidden(cloud: Connection) -> None:
    public = cloud.network.find_network("public")
    assert neutron(cloud.network.delete(f"/networks/{public.id}"))[0] == 403
    external = {"network": {"name": "x", "router:external": True}}
    assert neutron(cloud.network.post("/networks", json=external)) == (403, "PolicyNotAuthorized")


def test_lists_are_filtered_sorted_and_paged(cloud: Connection) -> None:
    net, _ = subnet_in_network(cloud)
    ports = [cloud.network.create_port(network_id=net.id, name=f"port{at}") for at in range(4)]
    cloud.network.set_tags(ports[2], ["red", "blue"])
    assert [each.id for each in cloud.network.ports(tags="red,blue")] == [ports[2].id]
    assert [each.id for each in cloud.network.ports(name="port1")] == [ports[1].id]
    assert [each.name for each in cloud.network.networks(is_router_external=True)] == ["public"]
    page = cloud.network.get(
        f"/ports?network_id={net.id}&sort_key=name&sort_dir=desc&limit=2&fields=id&fields=name"
    ).json()
    assert [each["name"] for each in page["ports"]] == ["port3", "port2"]
    assert set(page["ports"][0]) == {"id", "name"}
    assert "marker" in page["ports_links"][0]["href"]
    assert len(list(cloud.network.ports(network_id=net.id, limit=1))) == 4
    assert cloud.network.get("/ports?colour=red").status_code == 400


def test_an_attribute_that_does_not_exist_is_refused(cloud: Connection) -> None:
    answer = cloud.network.post("/networks", json={"network": {"name": "x", "colour": "red"}})
    assert answer.status_code == 400
    assert answer.json()["NeutronError"]["message"] == "Unrecognized attribute(s) 'colour'"
