"""One probe against real servers on loopback: whatever they do is an answer, in words, within the time limit."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.clusters.probes import Answer, Target, _ask_all, ask
from tests.processes import free_port

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
LIMIT = 0.4


def says(content: bytes) -> Behaviour:
    """A server that reads the request, answers with these bytes and ends."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(content)
        await writer.drain()

    return behave


async def says_nothing(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """A server that accepts and is silent."""
    await asyncio.sleep(30)


async def drips(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that sends a byte now and then, and never a whole line."""
    while True:
        writer.write(b"H")
        await writer.drain()
        await asyncio.sleep(0.05)


async def floods(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that sends without end, and never a line."""
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


def target(url: str, address: str | None = "127.0.0.1", accepted: tuple[int, ...] = (200,)) -> Target:
    """What to ask."""
    return Target("jupyterhub", url, address, accepted, LIMIT)


@asynccontextmanager
async def serving(behave: Behaviour, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server on loopback whose connections are all closed at the end; its port."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(ConnectionError, asyncio.CancelledError, asyncio.IncompleteReadError):
            await behave(reader, writer)
        writer.close()
        with suppress(OSError, asyncio.CancelledError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    yield server.sockets[0].getsockname()[1]
    server.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def asked(behave: Behaviour, scheme: str = "http", tls: ssl.SSLContext | None = None, **more: object) -> Answer:
    """The answer of a server that behaves so; it comes in time."""

    async def run() -> Answer:
        async with serving(behave, tls) as port:
            url = f"{scheme}://jupyter.a.test:{port}/hub/login?x=1"
            return await ask(target(url, **more))  # type: ignore[arg-type]

    began = time.monotonic()
    answer = asyncio.run(run())
    assert time.monotonic() - began < LIMIT + 1.5
    return answer


@pytest.mark.parametrize("code", [200, 301, 302, 401, 404, 500, 502, 503])
def test_the_status_code_is_what_counts(code: int) -> None:
    answer = asked(says(f"HTTP/1.1 {code} Some Words\r\nLocation: http://elsewhere.test/\r\n\r\n".encode()))
    assert answer.ok == (code == 200)
    assert answer.last.startswith(f"{code} after ")


def test_a_template_may_accept_other_codes() -> None:
    assert asked(says(b"HTTP/1.1 302 Found\r\n\r\n"), accepted=(200, 302)).ok


@pytest.mark.parametrize("behave", [says_nothing, drips], ids=["silent", "dripping"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_never_answers_is_waited_for_no_longer_than_the_limit(behave: Behaviour, scheme: str) -> None:
    answer = asked(behave, scheme)
    assert not answer.ok
    assert answer.last.startswith(("no answer", "connection failed"))


def test_a_server_that_sends_without_end_is_not_listened_to() -> None:
    assert not asked(floods).ok


GARBAGE = [
    b"", b"\r\n", b"SSH-2.0-OpenSSH_9\r\n", b"HTTP/1.1\r\n", b"HTTP/1.1 OK\r\n", b"\x00" * 100, b"220 mail\r\n",
    "HTTP/1.1 \uff12\uff10\uff10 OK\r\n".encode(), b"HTTP/1.1 99999999999999999999999 x\r\n", b"HTTP/1.1 200",
]  # fmt: skip


@pytest.mark.parametrize("content", GARBAGE, ids=range(len(GARBAGE)))
def test_what_is_no_http_is_no_success(content: bytes) -> None:
    assert not asked(says(content)).ok or content == b"HTTP/1.1 200"


def test_a_refused_connection_is_said_to_be_one() -> None:
    answer = asyncio.run(ask(target(f"http://jupyter.a.test:{free_port()}/")))
    assert (answer.ok, answer.last.split(" after")[0]) == (False, "connection refused")


def test_without_an_address_nothing_is_asked() -> None:
    answer = asyncio.run(ask(target("http://jupyter.a.test/", None)))
    assert (answer.ok, answer.last) == (False, "no public address yet")


@pytest.mark.parametrize(
    "url", ["http://x:99999/", "https://" + "a" * 70 + ".test:1/", "http://[::1/", "https://.a:1/"]
)
def test_a_url_that_cannot_be_asked_is_an_answer(url: str) -> None:
    assert not asyncio.run(ask(target(url))).ok


def test_the_service_is_asked_under_its_own_name_at_the_clusters_address() -> None:
    seen: list[bytes] = []

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")

    asked(note)
    request, *headers = seen[0].decode().splitlines()
    assert request == "GET /hub/login?x=1 HTTP/1.1"
    assert any(header.startswith("Host: jupyter.a.test:") for header in headers)
    assert not any("authorization" in header.lower() or "cookie" in header.lower() for header in headers)


@pytest.fixture(scope="module")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """TLS with a certificate of another host, out of date, that nobody signed."""
    folder: Path = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "another.test")])
    past = datetime.now(UTC) - timedelta(days=10)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(past).not_valid_after(past + timedelta(days=1)).sign(key, hashes.SHA256())
    )  # fmt: skip
    pem, pkcs8, none = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "both.pem").write_bytes(key.private_bytes(pem, pkcs8, none) + certificate.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "both.pem")
    return context


def test_certificates_come_late_so_none_is_verified(self_signed: ssl.SSLContext) -> None:
    names: list[str | None] = []
    self_signed.sni_callback = lambda _socket, name, _context: names.append(name)
    assert asked(says(b"HTTP/1.1 200 OK\r\n\r\n"), "https", self_signed).ok
    assert names == ["jupyter.a.test"]


def test_plain_http_where_tls_is_expected_is_a_failed_connection() -> None:
    answer = asked(says(b"HTTP/1.1 200 OK\r\n\r\n"), "https")
    assert not answer.ok
    assert answer.last.startswith(("connection failed", "no answer"))


def test_many_silent_services_take_as_long_as_one() -> None:
    async def run() -> float:
        async with serving(says_nothing) as port:
            began = time.monotonic()
            answers = await _ask_all([target(f"http://a.test:{port}/") for _ in range(60)])
            assert not any(answer.ok for answer in answers)
            return time.monotonic() - began

    assert asyncio.run(run()) < 3 * LIMIT + 1
