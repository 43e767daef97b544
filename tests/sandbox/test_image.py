from collections.abc import Callable

from openstack.connection import Connection

from .process import Sandbox


def test_images_are_listed_page_by_page_and_found_by_name(conn: Connection) -> None:
    names = {image.name for image in conn.image.images(limit=2)}
    assert names == {"Rocky-8", "Rocky-9", "AlmaLinux-9", "Ubuntu-22.04", "Ubuntu-24.04", "Debian-12"}
    (rocky,) = conn.image.images(name="Rocky-9")
    assert (rocky.os_distro, rocky.min_disk, rocky.min_ram, rocky.status) == ("rocky", 10, 1024, "active")
    assert conn.image.get_image(rocky.id).name == "Rocky-9"


def test_images_are_sorted_as_asked(conn: Connection) -> None:
    listed = conn.image.get("/images?sort=name:asc").json()["images"]
    assert [image["name"] for image in listed] == sorted(image["name"] for image in listed)
    newest = conn.image.get("/images?limit=1").json()
    assert newest["images"][0]["name"] == "Debian-12"
    assert newest["next"].startswith("/v2/images?limit=1&marker=")


def test_images_are_for_reading(conn: Connection) -> None:
    assert conn.image.post("/images", json={"name": "x"}).status_code == 403
    assert conn.image.get("/images/none").status_code == 404


def test_a_big_cloud_is_listed_whole(fresh: Callable[..., Sandbox]) -> None:
    cloud = fresh()
    cloud.admin.offer(flavors=1100, images=120)
    with cloud.connect() as conn:
        assert len(list(conn.compute.flavors())) == 14 + 1100
        assert len(list(conn.image.images(limit=50))) == 6 + 120
