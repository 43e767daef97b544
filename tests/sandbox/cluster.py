"""Makes what the tests need of a cloud, in few words."""

import uuid
from typing import Any

from openstack.connection import Connection

from .process import wait_until


def name(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def refusal(answer: Any) -> tuple[int, str]:
    """Status and message of a refusal in any service's words."""
    found = answer.json()
    inner = next(iter(found.values()))
    return answer.status_code, inner["message"]


def subnet_in_network(conn: Connection, cidr: str = "10.9.0.0/24") -> tuple[Any, Any]:
    network = conn.network.create_network(name=name("net"))
    subnet = conn.network.create_subnet(network_id=network.id, name=name("subnet"), ip_version=4, cidr=cidr)
    return network, subnet


def router_to_public(conn: Connection, subnet: Any) -> Any:
    public = conn.network.find_network("public")
    router = conn.network.create_router(name=name("router"), external_gateway_info={"network_id": public.id})
    conn.network.add_interface_to_router(router, subnet_id=subnet.id)
    return router


def server_body(conn: Connection, **values: Any) -> dict[str, Any]:
    flavor, image = conn.compute.find_flavor("p2-3gb"), conn.image.find_image("Rocky-9")
    network = conn.network.find_network("demo-network")
    return {
        "name": name("server"),
        "flavor_id": flavor.id,
        "image_id": image.id,
        "networks": [{"uuid": network.id}],
        **values,
    }


def boot(conn: Connection, **values: Any) -> Any:
    server = conn.compute.create_server(**server_body(conn, **values))
    return in_status(conn, server.id, "ACTIVE")


def in_status(conn: Connection, server_id: str, status: str) -> Any:
    def found() -> Any:
        server = conn.compute.get_server(server_id)
        assert server.status in {status, "BUILD", "RESIZE", "ACTIVE", "SHUTOFF", "HARD_REBOOT"}, server.fault
        return server if server.status == status else None

    return wait_until(found, what=f"server {status}")


def volume_in_status(conn: Connection, volume_id: str, status: str) -> Any:
    def found() -> Any:
        volume = conn.block_storage.get_volume(volume_id)
        return volume if volume.status == status else None

    return wait_until(found, what=f"volume {status}")


def remove(conn: Connection, server: Any) -> None:
    conn.compute.delete_server(server.id)
    wait_until(lambda: conn.compute.find_server(server.id) is None, what="server gone")
