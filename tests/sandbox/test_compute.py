import base64
from collections.abc import Callable

import pytest
from openstack.connection import Connection

from .cluster import boot, in_status, name, refusal, remove, server_body, volume_in_status
from .process import Sandbox, wait_until


def test_a_server_is_built_and_becomes_active(conn: Connection) -> None:
    server = conn.compute.create_server(**server_body(conn, metadata={"mchub_hostname": "a.test"}))
    first = conn.compute.get_server(server.id)
    assert (first.status, first.vm_state, first.power_state) == ("BUILD", "building", 0)
    assert first.launched_at is None

    active = in_status(conn, server.id, "ACTIVE")

    assert (active.vm_state, active.task_state, active.power_state) == ("active", None, 1)
    assert active.launched_at
    assert active.metadata == {"mchub_hostname": "a.test"}
    assert active.flavor.original_name == "p2-3gb"
    (address,) = active.addresses["demo-network"]
    assert address["OS-EXT-IPS:type"] == "fixed"
    (port,) = conn.network.ports(device_id=server.id)
    assert (port.status, port.device_owner) == ("ACTIVE", "compute:nova")
    remove(conn, server)
    assert not list(conn.network.ports(device_id=server.id))


def test_a_port_of_ones_own_outlives_the_server(conn: Connection) -> None:
    network = conn.network.find_network("demo-network")
    port = conn.network.create_port(network_id=network.id)
    server = boot(conn, networks=[{"port": port.id}])
    assert conn.network.get_port(port).device_id == server.id
    body = {"server": {"name": "x", "flavorRef": server.flavor["id"] or conn.compute.find_flavor("p2-3gb").id}}
    body["server"] |= {"imageRef": conn.image.find_image("Rocky-9").id, "networks": [{"port": port.id}]}
    body["server"]["flavorRef"] = conn.compute.find_flavor("p2-3gb").id
    status, message = refusal(conn.compute.post("/servers", json=body))
    assert (status, message) == (409, f"Port {port.id} is still in use.")

    remove(conn, server)

    left = conn.network.get_port(port)
    assert (left.device_id, left.status) == ("", "DOWN")
    conn.network.delete_port(port)


def test_booting_from_a_volume_takes_it_along_when_the_server_goes(conn: Connection) -> None:
    image = conn.image.find_image("Rocky-9")
    device = {
        "uuid": image.id,
        "source_type": "image",
        "destination_type": "volume",
        "volume_size": 30,
        "boot_index": 0,
        "delete_on_termination": True,
    }
    server = boot(conn, image_id=None, block_device_mapping=[device])
    assert not server.image
    (attachment,) = conn.compute.volume_attachments(server)
    volume = conn.block_storage.get_volume(attachment.volume_id)
    assert (volume.size, volume.status, volume.is_bootable) == (30, "in-use", True)
    assert volume.volume_image_metadata["image_name"] == "Rocky-9"
    assert conn.compute.delete(f"/servers/{server.id}/os-volume_attachments/{volume.id}").status_code == 400

    remove(conn, server)

    wait_until(lambda: conn.block_storage.find_volume(volume.id) is None, what="volume gone")


def test_a_volume_is_attached_and_detached(conn: Connection) -> None:
    server = boot(conn)
    volume = conn.block_storage.create_volume(size=1, name=name("volume"))
    volume_in_status(conn, volume.id, "available")
    attachment = conn.compute.create_volume_attachment(server, volume_id=volume.id)
    assert attachment.device == "/dev/vdb"
    attached = volume_in_status(conn, volume.id, "in-use")
    assert attached.attachments[0]["server_id"] == server.id
    status, message = refusal(
        conn.compute.post(
            f"/servers/{server.id}/os-volume_attachments", json={"volumeAttachment": {"volumeId": volume.id}}
        )
    )
    assert status == 400
    assert "already attached" in message
    assert conn.block_storage.delete(f"/volumes/{volume.id}").status_code == 400

    conn.compute.delete_volume_attachment(server, volume.id)

    assert conn.block_storage.get_volume(volume.id).status == "detaching"
    assert conn.compute.delete(f"/servers/{server.id}/os-volume_attachments/{volume.id}").status_code == 400
    volume_in_status(conn, volume.id, "available")
    assert conn.compute.delete(f"/servers/{server.id}/os-volume_attachments/{volume.id}").status_code == 404
    conn.block_storage.delete_volume(volume)
    remove(conn, server)


def test_more_than_the_quota_is_refused_naming_what_is_short(fresh: Callable[..., Sandbox]) -> None:
    cloud = fresh()
    cloud.admin.quotas(compute={"instances": 1, "cores": 3})
    with cloud.connect() as conn:
        boot(conn)
        body = server_body(conn)
        wanted = {
            "name": "x",
            "flavorRef": body["flavor_id"],
            "imageRef": body["image_id"],
            "networks": body["networks"],
        }
        answer = conn.compute.post("/servers", json={"server": wanted})
        limits = conn.compute.get("/limits").json()["limits"]["absolute"]
        detail = conn.compute.get_quota_set(conn.current_project_id, usage=True)
    assert answer.status_code == 403
    assert answer.json()["forbidden"]["message"] == (
        "Quota exceeded for cores, instances: Requested 2, 1, but already used 2, 1 of 3, 1 cores, instances"
    )
    assert (limits["totalInstancesUsed"], limits["maxTotalInstances"], limits["totalCoresUsed"]) == (1, 1, 2)
    assert (detail.usage["instances"], detail.usage["cores"]) == (1, 2)


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"flavorRef": "none"}, 400, "Flavor none could not be found."),
        ({"imageRef": "00000000-0000-0000-0000-000000000000"}, 400, "Can not find requested image"),
        ({"imageRef": ""}, 400, "Invalid imageRef provided."),
        ({"key_name": "none"}, 400, "Invalid key_name provided."),
        ({"name": ""}, 400, "is too short"),
        ({"name": "x" * 256}, 400, "is too long"),
        ({"user_data": "%%%"}, 400, "user_data"),
        ({"networks": [{"port": "00000000-0000-0000-0000-000000000000"}]}, 400, "could not be found"),
        ({"networks": [{"uuid": "00000000-0000-0000-0000-000000000000"}]}, 400, "could not be found"),
        ({"security_groups": [{"name": "none"}]}, 400, "Security group none not found"),
        ({"availability_zone": "mars"}, 400, "availability zone is not available"),
        ({"metadata": {"a": 1}}, 400, "field/attribute a. Value: 1."),
    ],
)  # fmt: skip
def test_a_wrong_request_is_refused_at_once(conn: Connection, change: dict, status: int, words: str) -> None:  # type: ignore[type-arg]
    body = server_body(conn)
    wanted = {"name": "x", "flavorRef": body["flavor_id"], "imageRef": body["image_id"], "networks": body["networks"]}
    answer = conn.compute.post("/servers", json={"server": wanted | change})
    assert answer.status_code == status
    assert words in answer.json()["badRequest"]["message"]


def test_an_unknown_server_is_not_found_in_novas_words(conn: Connection) -> None:
    assert refusal(conn.compute.get("/servers/none")) == (404, "Instance none could not be found.")


def test_microversions_are_negotiated_and_answered(conn: Connection) -> None:
    version = {"X-OpenStack-Nova-API-Version": "2.60"}
    assert conn.compute.get("/servers", headers=version).headers["OpenStack-API-Version"] == "compute 2.60"
    too_new = conn.compute.get("/servers", headers={"OpenStack-API-Version": "compute 2.999"})
    assert too_new.status_code == 406
    wrong = conn.compute.get("/servers", headers={"OpenStack-API-Version": "compute two"})
    assert wrong.status_code == 400
    assert conn.compute.get("/servers/x/tags", microversion="2.1").status_code == 404


def test_user_data_tags_and_key_are_kept(conn: Connection) -> None:
    key = conn.compute.create_keypair(name=name("key"))
    assert key.private_key
    assert conn.compute.post("/os-keypairs", json={"keypair": {"name": key.name}}).status_code == 409
    data = base64.b64encode(b"#cloud-config").decode()
    server = boot(conn, key_name=key.name, user_data=data, tags=["one", "two"], has_config_drive=True)
    assert server.key_name == key.name
    assert sorted(server.tags) == ["one", "two"]
    assert server.has_config_drive
    remove(conn, server)
    conn.compute.delete_keypair(key)
    assert conn.compute.find_keypair(key.name) is None


def test_what_is_no_public_key_is_refused(conn: Connection) -> None:
    body = {"keypair": {"name": name("key"), "public_key": "ssh-rsa nonsense"}}
    assert conn.compute.post("/os-keypairs", json=body).status_code == 400


def test_servers_are_listed_page_by_page_newest_first(fresh: Callable[..., Sandbox]) -> None:
    cloud = fresh()
    with cloud.connect() as conn:
        made = [conn.compute.create_server(**server_body(conn, name=f"s{at}")).id for at in range(5)]
        page = conn.compute.get("/servers?limit=2").json()
        assert len(page["servers"]) == 2
        assert page["servers_links"][0]["rel"] == "next"
        assert [server.id for server in conn.compute.servers(details=False, limit=2)] == made[::-1]
        assert conn.compute.get("/servers?marker=none").status_code == 400
        assert [server.name for server in conn.compute.servers(name="s3")] == ["s3"]
        assert len(list(conn.compute.servers(status="BUILD"))) + len(list(conn.compute.servers(status="ACTIVE"))) == 5


def test_a_server_is_stopped_started_and_rebooted(conn: Connection) -> None:
    server = boot(conn)
    conn.compute.stop_server(server)
    stopped = in_status(conn, server.id, "SHUTOFF")
    assert stopped.power_state == 4
    assert conn.compute.post(f"/servers/{server.id}/action", json={"os-stop": None}).status_code == 409
    conn.compute.start_server(server)
    in_status(conn, server.id, "ACTIVE")
    conn.compute.reboot_server(server, "HARD")
    in_status(conn, server.id, "ACTIVE")
    assert conn.compute.post(f"/servers/{server.id}/action", json={"os-fly": None}).status_code == 400
    remove(conn, server)


def test_a_resize_waits_to_be_confirmed(conn: Connection) -> None:
    server, bigger = boot(conn), conn.compute.find_flavor("p4-6gb")
    conn.compute.resize_server(server, bigger)
    in_status(conn, server.id, "VERIFY_RESIZE")
    conn.compute.confirm_server_resize(server)
    resized = in_status(conn, server.id, "ACTIVE")
    assert resized.flavor.original_name == "p4-6gb"
    remove(conn, server)


def test_interfaces_come_and_go(conn: Connection) -> None:
    server, network = boot(conn), conn.network.find_network("demo-network")
    added = conn.compute.create_server_interface(server, net_id=network.id)
    assert len(list(conn.compute.server_interfaces(server))) == 2
    conn.compute.delete_server_interface(added, server=server)
    wait_until(lambda: len(list(conn.compute.server_interfaces(server))) == 1, what="interface gone")
    remove(conn, server)


def test_the_console_grows_and_names_the_server(conn: Connection) -> None:
    server = boot(conn)

    def console() -> str:
        return str(conn.compute.get_server_console_output(server)["output"])

    early = console()
    assert "Booting" in early
    wait_until(lambda: f"Hostname set to <{server.name}>" in console(), what="the host's name on the console")
    assert len(console()) > len(early)
    assert console().startswith(early)
    assert len(conn.compute.get_server_console_output(server, length=2)["output"].splitlines()) == 2
    remove(conn, server)


def test_a_server_is_deleted_while_it_is_built(conn: Connection) -> None:
    server = conn.compute.create_server(**server_body(conn))
    remove(conn, server)
    assert server.id not in {each.id for each in conn.compute.servers()}
