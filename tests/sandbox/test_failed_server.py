"""A server that ended in ERROR never had a host: deleting it takes effect at once, as Nova does it."""

from __future__ import annotations

from tests.sandbox import process as sandbox_process


def test_a_server_that_never_ran_is_gone_as_soon_as_it_is_deleted(sandbox: sandbox_process.Sandbox) -> None:
    cloud = sandbox.connect()
    rule = sandbox.admin.fault("server-error", path="doomed", message="No valid host was found.")
    network = cloud.network.create_network(name="doomed-net")
    subnet = cloud.network.create_subnet(network_id=network.id, name="doomed-subnet", ip_version=4, cidr="10.9.0.0/24")
    port = cloud.network.create_port(network_id=network.id, name="doomed-port")
    image = next(iter(cloud.image.images(name="Rocky-9")))
    flavor = next(each for each in cloud.compute.flavors() if each.name == "p1-1.5gb")
    server = cloud.compute.create_server(
        name="doomed", image_id=image.id, flavor_id=flavor.id, networks=[{"port": port.id}]
    )
    sandbox_process.wait_until(lambda: cloud.compute.get_server(server.id).status == "ERROR")
    cloud.compute.delete_server(server.id)
    assert [each.id for each in cloud.compute.servers() if each.id == server.id] == []
    assert cloud.network.get_port(port.id).device_id == ""
    cloud.network.delete_port(port.id)
    cloud.network.delete_subnet(subnet.id)
    cloud.network.delete_network(network.id)
    sandbox.admin.call("DELETE", f"/faults/{rule}")
