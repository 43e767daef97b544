from collections.abc import Callable

from openstack.connection import Connection

from .cluster import boot, name, refusal, remove, volume_in_status
from .process import Sandbox


def test_a_volume_is_created_extended_and_deleted(conn: Connection) -> None:
    volume = conn.block_storage.create_volume(size=2, name=name("volume"), metadata={"a": "b"})
    assert volume.status == "creating"
    volume_in_status(conn, volume.id, "available")
    conn.block_storage.extend_volume(volume, 3)
    assert conn.block_storage.get_volume(volume.id).status == "extending"
    bigger = volume_in_status(conn, volume.id, "available")
    assert (bigger.size, bigger.metadata, bigger.volume_type) == (3, {"a": "b"}, "__DEFAULT__")
    shrink = conn.block_storage.post(f"/volumes/{volume.id}/action", json={"os-extend": {"new_size": 1}})
    assert shrink.status_code == 400
    conn.block_storage.delete_volume(volume)


def test_an_attached_volume_grows_from_microversion_3_42_on(conn: Connection) -> None:
    server = boot(conn)
    volume = conn.block_storage.create_volume(size=1)
    volume_in_status(conn, volume.id, "available")
    conn.compute.create_volume_attachment(server, volume_id=volume.id)
    volume_in_status(conn, volume.id, "in-use")
    extend, path = {"os-extend": {"new_size": 2}}, f"/volumes/{volume.id}/action"
    assert conn.block_storage.post(path, json=extend, microversion="3.0").status_code == 400
    assert conn.block_storage.post(path, json=extend, microversion="3.42").status_code == 202
    assert volume_in_status(conn, volume.id, "in-use").size == 2
    remove(conn, server)
    volume_in_status(conn, volume.id, "available")
    conn.block_storage.delete_volume(volume)


def test_more_than_the_quota_is_413_in_cinders_words(fresh: Callable[..., Sandbox]) -> None:
    cloud = fresh()
    cloud.admin.quotas(volume={"volumes": 2, "gigabytes": 100})
    with cloud.connect() as conn:
        conn.block_storage.create_volume(size=60)
        too_big = conn.block_storage.post("/volumes", json={"volume": {"size": 41}})
        conn.block_storage.create_volume(size=1)
        too_many = conn.block_storage.post("/volumes", json={"volume": {"size": 1}})
        quota = conn.block_storage.get_quota_set(conn.current_project_id, usage=True)
    assert refusal(too_big) == (
        413,
        "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes quota. Requested 41G,"
        " quota is 100G and 60G has been consumed.",
    )
    assert refusal(too_many) == (
        413, "VolumeLimitExceeded: Maximum number of volumes allowed (2) exceeded for quota 'volumes'.",
    )  # fmt: skip
    assert too_many.headers["Retry-After"] == "0"
    assert (quota.usage["volumes"], quota.usage["gigabytes"], quota.gigabytes) == (2, 61, 100)


def test_a_boot_volume_over_quota_ends_the_server_in_error(fresh: Callable[..., Sandbox]) -> None:
    cloud = fresh()
    cloud.admin.quotas(volume={"gigabytes": 10})
    with cloud.connect() as conn:
        image, flavor = conn.image.find_image("Rocky-9"), conn.compute.find_flavor("p2-3gb")
        device = {"uuid": image.id, "source_type": "image", "destination_type": "volume", "volume_size": 20,
                  "boot_index": 0}  # fmt: skip
        server = conn.compute.create_server(
            name="x", flavor_id=flavor.id, block_device_mapping=[device], networks="auto"
        )
        conn.compute.wait_for_server(server, status="ERROR", failures=["ACTIVE"], interval=0.1, wait=10)
        fault = conn.compute.get_server(server).fault
    assert "exceeds allowed gigabytes quota" in fault["message"]
