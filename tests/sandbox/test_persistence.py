"""What was answered outlives a kill, and time goes on while the cloud is away."""

import threading
from collections.abc import Callable

from keystoneauth1.exceptions import ClientException
from openstack.connection import Connection

from .cluster import boot, in_status, server_body
from .process import Sandbox, wait_until


def test_nothing_that_was_answered_is_lost_by_a_kill(fresh: Callable[..., Sandbox]) -> None:
    cloud = fresh()
    answered: list[str] = []

    def create(conn: Connection) -> None:
        for at in range(200):
            answer = conn.network.post("/security-groups", json={"security_group": {"name": f"g{at}"}}, raise_exc=False)
            if answer.status_code == 201:
                answered.append(answer.json()["security_group"]["id"])

    cloud.admin.quotas(network={"security_group": -1, "security_group_rule": -1})
    with cloud.connect() as conn:
        conn.authorize()
        maker = threading.Thread(target=lambda: _ignoring_the_end(lambda: create(conn)))
        maker.start()
        wait_until(lambda: len(answered) > 50, what="groups made")
        cloud.kill()
        maker.join()
    again = cloud.restart()
    try:
        with again.connect() as conn:
            kept = {group.id for group in conn.network.security_groups()}
        assert set(answered) <= kept
    finally:
        again.stop()


def _ignoring_the_end(work: Callable[[], None]) -> None:
    """Runs until the cloud is gone."""
    try:
        work()
    except ClientException:
        return


def test_a_build_goes_on_while_the_cloud_is_down(fresh: Callable[..., Sandbox]) -> None:
    cloud = fresh(boot_seconds=1.0)
    with cloud.connect() as conn:
        server = conn.compute.create_server(**server_body(conn))
        created = conn.compute.get_server(server.id)
        assert created.status == "BUILD"
    cloud.kill()
    again = cloud.restart()
    try:
        with again.connect() as conn:
            active = in_status(conn, server.id, "ACTIVE")
            launched = active.launched_at
            (port,) = conn.network.ports(device_id=server.id)
        assert port.status == "ACTIVE"
        assert launched > created.created_at.rstrip("Z")
    finally:
        again.stop()


def test_a_token_and_a_running_server_outlive_a_restart(fresh: Callable[..., Sandbox]) -> None:
    cloud = fresh()
    with cloud.connect() as conn:
        server, token = boot(conn), conn.auth_token
        cloud.stop()
        again = cloud.restart()
        try:
            assert conn.compute.get_server(server.id).status == "ACTIVE"
            assert conn.auth_token == token
        finally:
            again.stop()


def test_sigterm_ends_it_within_two_seconds(fresh: Callable[..., Sandbox]) -> None:
    cloud = fresh()
    with cloud.connect() as conn:
        list(conn.compute.flavors())  # leaves an open connection
        cloud.process.terminate()
        assert cloud.process.wait(timeout=2) == 0
