from collections.abc import Callable, Iterator
from urllib.error import HTTPError

import pytest
import requests

from .cluster import name, server_body
from .process import Admin, Sandbox, wait_until


@pytest.fixture
def cloud(sandbox: Sandbox) -> Iterator[Sandbox]:
    """The shared cloud, whole again afterwards."""
    yield sandbox
    sandbox.admin.clear_faults()
    sandbox.admin.tune(latency_seconds=0)


def token(cloud: Sandbox) -> dict[str, str]:
    with cloud.connect() as conn:
        return {"X-Auth-Token": str(conn.auth_token)}


def test_the_admin_api_asks_for_its_token(cloud: Sandbox) -> None:
    with pytest.raises(HTTPError) as refused:
        Admin(cloud.url, "guess").overview()
    assert refused.value.code == 401
    refused.value.close()


def test_every_second_call_fails_with_the_status_asked_for(cloud: Sandbox) -> None:
    cloud.admin.fault("status", service="network", method="GET", path="*/ports*", nth=2, status=500, message="Boom")
    headers = token(cloud)
    url = f"{cloud.url}/network/v2.0/ports"
    answers = [requests.get(url, headers=headers, timeout=5) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 500, 200, 500]
    assert answers[1].json()["NeutronError"]["message"] == "Boom"
    assert requests.get(f"{cloud.url}/network/v2.0/networks", headers=headers, timeout=5).status_code == 200


def test_a_fault_strikes_as_often_as_it_says(cloud: Sandbox) -> None:
    cloud.admin.fault("status", service="compute", times=1)
    headers = token(cloud)
    answers = [requests.get(f"{cloud.url}/compute/v2.1/servers", headers=headers, timeout=5) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [503, 200]


def test_an_answer_is_lost_after_the_deed_was_done(cloud: Sandbox) -> None:
    headers, wanted = token(cloud), name("lost")
    cloud.admin.fault("lose-answer", service="network", method="POST", times=1)
    body = {"network": {"name": wanted}}
    with pytest.raises(requests.ConnectionError):
        requests.post(f"{cloud.url}/network/v2.0/networks", json=body, headers=headers, timeout=5)
    with cloud.connect() as conn:
        (network,) = conn.network.networks(name=wanted)
        conn.network.delete_network(network)


def test_a_cloud_that_is_down_refuses_all_and_does_nothing(cloud: Sandbox) -> None:
    headers, wanted = token(cloud), name("refused")
    cloud.admin.fault("refuse")
    body = {"network": {"name": wanted}}
    with pytest.raises(requests.ConnectionError):
        requests.post(f"{cloud.url}/network/v2.0/networks", json=body, headers=headers, timeout=5)
    cloud.admin.clear_faults()
    with cloud.connect() as conn:
        assert not list(conn.network.networks(name=wanted))


def test_a_cloud_that_hangs_leaves_the_others_alone(cloud: Sandbox) -> None:
    headers = token(cloud)
    cloud.admin.fault("hang", service="volume", seconds=2)
    with pytest.raises(requests.Timeout):
        requests.get(f"{cloud.url}/volume/v3/", timeout=0.3)
    assert requests.get(f"{cloud.url}/compute/v2.1/servers", headers=headers, timeout=5).status_code == 200


def test_latency_is_added_to_every_call(cloud: Sandbox) -> None:
    headers = token(cloud)
    cloud.admin.tune(latency_seconds=0.2)
    answer = requests.get(f"{cloud.url}/compute/v2.1/servers", headers=headers, timeout=5)
    assert answer.elapsed.total_seconds() >= 0.2


def test_a_server_of_that_name_ends_in_error_with_the_fault(cloud: Sandbox) -> None:
    cloud.admin.fault("server-error", path="doomed-*", message="No valid host was found.")
    with cloud.connect() as conn:
        server = conn.compute.create_server(**server_body(conn, name="doomed-1"))
        failed = wait_until(
            lambda: found if (found := conn.compute.get_server(server.id)).status == "ERROR" else None, what="ERROR"
        )
        assert failed.fault["message"] == "No valid host was found."
        assert failed.fault["code"] == 500
        conn.compute.delete_server(server)
        wait_until(lambda: conn.compute.find_server(server.id) is None, what="server gone")


def test_a_fault_that_makes_no_sense_is_refused(cloud: Sandbox) -> None:
    with pytest.raises(HTTPError) as refused:
        cloud.admin.fault("explode")
    assert refused.value.code == 400
    refused.value.close()


def test_faults_outlive_a_restart(fresh: Callable[..., Sandbox]) -> None:
    cloud = fresh()
    cloud.admin.fault("status", service="image", status=503)
    cloud.stop()
    again = cloud.restart()
    try:
        assert requests.get(f"{again.url}/image/", timeout=5).status_code == 503
    finally:
        again.stop()
