import asyncio
import contextlib
import json
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from openstack.connection import Connection

from app.sandbox.nodes import Node, NodesOptions, Watcher
from app.sandbox.nodes_web import Phase, Timing, WebService, service_of_host

from .cluster import boot, remove, router_to_public, subnet_in_network
from .process import ROOT, Sandbox, wait_until

TIMING = Timing(silent=4, refused=4, bad_gateway=5, freeipa_later=4)


@pytest.mark.parametrize(
    ("age", "phase"),
    [(0, Phase.SILENT), (3.9, Phase.SILENT), (4, Phase.REFUSED), (7.9, Phase.REFUSED), (8, Phase.SERVING)],
)
def test_phases_follow_the_servers_age(age: float, phase: Phase) -> None:
    assert TIMING.phase(age)[0] is phase


def test_freeipa_is_up_later_than_jupyterhub() -> None:
    assert [TIMING.is_up("jupyter", age) for age in (12.9, 13, 17)] == [False, True, True]
    assert [TIMING.is_up("ipa", age) for age in (13, 16.9, 17)] == [False, False, True]


@pytest.mark.parametrize(
    ("host", "hostname", "service"),
    [
        ("jupyter.a.test", "a.test", "jupyter"),
        ("IPA.A.test:8443", "a.test", "ipa"),
        ("jupyter.b.test", "a.test", None),
        ("jupyter.anything.org", None, "jupyter"),
        ("www.a.test", "a.test", None),
        ("a.test", "a.test", None),
        ("", None, None),
    ],
)
def test_a_service_is_told_by_its_host_name(host: str, hostname: str | None, service: str | None) -> None:
    assert service_of_host(host, hostname) == service


def web(hostname: str | None = "a.test") -> WebService:
    return WebService("127.0.0.1", 8443, hostname, 0.0, TIMING)


@pytest.mark.parametrize(
    ("request_line", "host", "age", "status"),
    [
        ("GET / HTTP/1.1", "jupyter.a.test", 10, 502),
        ("GET / HTTP/1.1", "jupyter.a.test", 14, 302),
        ("GET /hub/login?next=x HTTP/1.1", "jupyter.a.test", 14, 200),
        ("GET /ipa/ui/ HTTP/1.1", "ipa.a.test", 14, 502),
        ("GET /ipa/ui/ HTTP/1.1", "ipa.a.test", 18, 200),
        ("GET /hub/login HTTP/1.1", "ipa.a.test", 18, 404),
        ("GET / HTTP/1.1", "jupyter.b.test", 18, 404),
        ("nonsense", "jupyter.a.test", 18, 400),
    ],
)
def test_what_a_node_answers(request_line: str, host: str, age: float, status: int) -> None:
    answer = web().answer(f"{request_line}\r\nHost: {host}\r\n\r\n".encode(), age)
    assert answer.status == status


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def status_of(address: str, port: int, host: str, path: str) -> int | str:
    """The status that the service answers with; `refused`, or `silent` when nothing is said for half a second."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((address, port), timeout=0.5) as plain,
            context.wrap_socket(plain, server_hostname=host) as secure,
        ):
            secure.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            return int(secure.recv(100).split()[1])
    except TimeoutError:
        return "silent"
    except ConnectionRefusedError:
        return "refused"
    except OSError:
        return "cut"


def reachable_server(conn: Connection, hostname: str) -> tuple[Any, str]:
    network, subnet = subnet_in_network(conn)
    router_to_public(conn, subnet)
    port = conn.network.create_port(network_id=network.id)
    public = conn.network.find_network("public")
    address = conn.network.create_ip(floating_network_id=public.id, port_id=port.id).floating_ip_address
    return boot(conn, networks=[{"port": port.id}], metadata={"mchub_hostname": hostname}), address


@contextlib.contextmanager
def nodes_of(cloud: Sandbox, port: int, *timing: float) -> Iterator["subprocess.Popen[str]"]:
    silent, refused, bad_gateway, freeipa_later = map(str, timing)
    process = subprocess.Popen(
        [sys.executable, "-m", "app.sandbox", "nodes", "--port", str(port), "--poll-seconds", "0.1",
         "--silent", silent, "--refused", refused, "--bad-gateway", bad_gateway, "--freeipa-later", freeipa_later],
        cwd=ROOT, env=cloud.environment, text=True, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    while "watching the cloud" not in process.stderr.readline():
        assert process.poll() is None
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=10)
        assert process.returncode == 0


def test_a_node_comes_up_in_phases_and_goes_with_its_server(fresh: Callable[..., Sandbox], port: int) -> None:
    cloud = fresh()
    seen: list[int | str] = []
    with nodes_of(cloud, port, 4, 3, 3, 2), cloud.connect() as conn:
        server, address = reachable_server(conn, "a.test")

        def look() -> bool:
            status = status_of(address, port, "jupyter.a.test", "/hub/login")
            if not seen or seen[-1] != status:
                seen.append(status)
            return status == 200

        wait_until(look, 30, "JupyterHub")
        assert [each for each in seen if each != "cut"][-4:] == ["silent", "refused", 502, 200]
        wait_until(lambda: status_of(address, port, "ipa.a.test", "/ipa/ui/") == 200, what="FreeIPA")
        assert status_of(address, port, "jupyter.b.test", "/") == 404

        remove(conn, server)

        wait_until(lambda: status_of(address, port, "jupyter.a.test", "/") == "refused", what="node gone")


def test_nodes_outlive_their_cloud_and_start_where_they_were(fresh: Callable[..., Sandbox], port: int) -> None:
    cloud = fresh()
    with cloud.connect() as conn:
        _, address = reachable_server(conn, "a.test")

    def is_up() -> bool:
        return status_of(address, port, "jupyter.a.test", "/hub/login") == 200

    with nodes_of(cloud, port, 0, 0, 0, 0) as nodes:
        wait_until(is_up, what="node")
        cloud.kill()
        assert is_up()
        assert nodes.poll() is None
        again = cloud.restart()
        try:
            rule = again.admin.fault("status", service="compute", status=200, message="nonsense")
            assert is_up()
            again.admin.call("DELETE", f"/faults/{rule}")
            with again.connect() as conn:
                for server in conn.compute.servers():
                    remove(conn, server)
            wait_until(lambda: not is_up(), what="node gone")
        finally:
            again.stop()


def test_hundreds_of_nodes_live_in_one_process(port: int) -> None:
    nodes = [Node(str(at), f"n{at}", f"127.82.{at // 200}.{at % 200 + 1}", "a.test", 0.0) for at in range(300)]

    async def scenario() -> list[int | str]:
        watcher = Watcher(NodesOptions(web_port=port, timing=Timing(0, 0, 0, 0)))
        await watcher.have(nodes)
        found: list[int | str] = []
        for node in (nodes[0], nodes[150], nodes[299]):
            while (status := await asyncio.to_thread(status_of, node.address, port, "ipa.a.test", "/ipa/ui/")) != 200:
                assert status == "refused"
            found.append(status)
        await watcher.have([])
        found.append(await asyncio.to_thread(status_of, nodes[0].address, port, "ipa.a.test", "/ipa/ui/"))
        return found

    assert asyncio.run(scenario()) == [200, 200, 200, "refused"]


def test_the_login_page_is_jupyterhubs() -> None:
    head = b"GET /hub/api HTTP/1.1\r\nHost: jupyter.a.test\r\n\r\n"
    answer = web().answer(head, 20).as_bytes()
    assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["version"]
