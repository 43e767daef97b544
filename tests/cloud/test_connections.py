"""Signing in: one connection a credential, and every failure in words that say what to do, in time."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from app.cloud.connections import Connections
from app.cloud.credential import flatten
from app.errors import CloudUnavailable
from tests.processes import free_port
from tests.sandbox.process import Sandbox


def refusal(credential: dict[str, str], timeout: float = 1) -> CloudUnavailable:
    """How signing in fails; within the time limit and a little."""
    began = time.monotonic()
    with pytest.raises(CloudUnavailable) as found:
        Connections(timeout).open(credential)
    assert time.monotonic() - began < timeout + 3
    assert found.value.status == 502
    assert "Traceback" not in found.value.detail
    for secret in (credential.get("OS_PASSWORD"), credential.get("OS_TOKEN")):
        assert not secret or secret not in found.value.detail
    return found.value


def test_a_password_signs_in_once(sandbox: Sandbox, credential: dict[str, str]) -> None:
    connections = Connections(5)
    cloud = connections.open(credential)
    assert connections.open(dict(credential)) is cloud
    assert cloud.identity.auth_url == credential["OS_AUTH_URL"]
    assert cloud.identity.region == "RegionOne"
    assert cloud.identity.project_id


def test_an_application_credential_signs_in(sandbox: Sandbox, credential: dict[str, str]) -> None:
    given = flatten({"OS_CLOUD": "sandbox-app", "OS_CLIENT_CONFIG_FILE": str(sandbox.clouds_yaml)})
    identity = Connections(5).open(given).identity
    assert identity == Connections(5).open(credential).identity


def test_a_token_signs_in(credential: dict[str, str]) -> None:
    token = Connections(5).open(credential).connection.session.get_token()
    given = {name: credential[name] for name in credential if "USER" not in name and name != "OS_PASSWORD"}
    assert Connections(5).open({**given, "OS_TOKEN": token}).identity.project_id


def test_domains_that_are_not_named_are_keystones_first(credential: dict[str, str]) -> None:
    given = {name: value for name, value in credential.items() if "DOMAIN" not in name}
    assert Connections(5).open(given).identity.project_id


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"OS_PASSWORD": "wrong-horse"}, "cloud-unauthorized"),
        ({"OS_USERNAME": "nobody"}, "cloud-unauthorized"),
        ({"OS_AUTH_URL": ""}, "cloud-credential"),
        ({"OS_PASSWORD": ""}, "cloud-credential"),
    ],
)
def test_a_credential_that_does_not_fit_is_named(credential: dict[str, str], change: dict[str, str], kind: str) -> None:
    assert refusal({**credential, **change}).kind == kind


@pytest.mark.parametrize(
    "url", ["not a url", "ftp://127.0.0.1/v3", "http://", "//x", "http://[::1/v3", "http://a b/v3"]
)
def test_an_auth_url_that_is_none_is_an_error_in_words(credential: dict[str, str], url: str) -> None:
    refusal({**credential, "OS_AUTH_URL": url})


def test_a_port_where_nobody_listens_is_said_to_be_unreachable(credential: dict[str, str]) -> None:
    error = refusal({**credential, "OS_AUTH_URL": f"http://127.0.0.1:{free_port()}/v3"})
    assert error.kind == "cloud-unreachable"
    assert "OS_AUTH_URL" in error.detail


def test_a_name_that_does_not_resolve_is_said_to_be_unreachable(credential: dict[str, str]) -> None:
    assert refusal({**credential, "OS_AUTH_URL": "http://cloud.invalid/v3"}, 5).kind == "cloud-unreachable"


def test_a_wrong_path_on_the_cloud_is_an_error(credential: dict[str, str]) -> None:
    refusal({**credential, "OS_AUTH_URL": credential["OS_AUTH_URL"].replace("/identity/v3", "/nothing")})


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that accepts and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield listener.getsockname()[1]


def test_a_cloud_that_accepts_and_never_answers_is_waited_for_no_longer_than_the_limit(
    credential: dict[str, str], silent: int
) -> None:
    assert refusal({**credential, "OS_AUTH_URL": f"http://127.0.0.1:{silent}/v3"}).kind == "cloud-timeout"
    assert refusal({**credential, "OS_AUTH_URL": f"https://127.0.0.1:{silent}/v3"}).kind.startswith("cloud-")


@pytest.fixture
def babbling() -> Iterator[int]:
    """A port that answers with something that is no HTTP."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)

        def babble() -> None:
            try:
                while True:
                    with listener.accept()[0] as connection:
                        connection.recv(100)
                        connection.sendall(b"\x15\x03\x01\x00\x02\x02\x0a whatever")
            except OSError:
                return

        thread = threading.Thread(target=babble, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_what_is_no_cloud_is_an_error_in_words(credential: dict[str, str], babbling: int, scheme: str) -> None:
    assert refusal({**credential, "OS_AUTH_URL": f"{scheme}://127.0.0.1:{babbling}/v3"}).kind.startswith("cloud-")


def test_a_failure_is_not_remembered(sandbox: Sandbox, credential: dict[str, str]) -> None:
    connections = Connections(1)
    sandbox.admin.fault("status", service="identity", status=503)
    try:
        with pytest.raises(CloudUnavailable):
            connections.open(credential)
    finally:
        sandbox.admin.clear_faults()
    assert connections.open(credential).identity.project_id
