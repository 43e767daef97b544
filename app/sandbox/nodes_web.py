"""A node's web services: JupyterHub and FreeIPA behind one HTTPS port, told apart by the host name.

They come up as a real node's do: at first nothing answers, then connections are refused, then the proxy says 502 for
what
is behind it, then all is well. The phases are counted from the server's launch, so a program that starts late joins in.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

from .nodes_certificate import server_context

log = logging.getLogger(__name__)

RETRY_SECONDS = 2.0  # between attempts to listen on an address that is taken
LARGEST_HEAD = 16 * 1024  # bytes of a request's head
PATIENCE = 10.0  # seconds for a client to send its request


Clock = Callable[[], float]  # seconds since the epoch


class Phase(StrEnum):
    SILENT = "silent"  # connections are accepted, nothing is said
    REFUSED = "refused"
    SERVING = "serving"


@dataclass(frozen=True)
class Timing:
    """How long each phase lasts, in seconds."""

    silent: float = 4.0
    refused: float = 4.0
    bad_gateway: float = 5.0
    freeipa_later: float = 4.0  # how much longer than JupyterHub FreeIPA is a bad gateway

    def phase(self, age: float) -> tuple[Phase, float | None]:
        """The phase at this age of the server, and the age at which it ends."""
        if age < self.silent:
            return Phase.SILENT, self.silent
        if age < self.silent + self.refused:
            return Phase.REFUSED, self.silent + self.refused
        return Phase.SERVING, None

    def is_up(self, service: str, age: float) -> bool:
        ready = self.silent + self.refused + self.bad_gateway
        return age >= ready + (self.freeipa_later if service == "ipa" else 0)


@dataclass(frozen=True)
class Answer:
    status: HTTPStatus
    text: str = ""
    location: str | None = None

    def as_bytes(self, without_body: bool = False) -> bytes:
        page = self.text or f"<html><head><title>{self.status} {self.status.phrase}</title></head></html>"
        content = page.encode()
        kind = "application/json" if page.startswith("{") else "text/html; charset=utf-8"
        lines = [
            f"HTTP/1.1 {self.status.value} {self.status.phrase}",
            f"Content-Type: {kind}",
            f"Content-Length: {len(content)}",
            "Connection: close",
            *([f"Location: {self.location}"] if self.location else []),
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if without_body else content)


def jupyterhub(path: str) -> Answer:
    if path in {"/", "/hub", "/hub/"}:
        target = "/hub/" if path == "/" else "/hub/login?next=%2Fhub%2F"
        return Answer(HTTPStatus.FOUND, location=target)
    if path == "/hub/login":
        return Answer(
            HTTPStatus.OK,
            "<!DOCTYPE html><html><head><title>JupyterHub</title></head><body><h1>Sign in</h1>"
            '<form action="/hub/login" method="post"><label>Username <input name="username"></label>'
            '<label>Password <input type="password" name="password"></label>'
            "<button>Sign in</button></form></body></html>",
        )
    if path in {"/hub/api", "/hub/api/"}:
        return Answer(HTTPStatus.OK, '{"version": "5.2.1"}')
    return Answer(HTTPStatus.NOT_FOUND)


def freeipa(path: str) -> Answer:
    if path in {"/", "/ipa", "/ipa/", "/ipa/ui"}:
        return Answer(HTTPStatus.MOVED_PERMANENTLY, location="/ipa/ui/")
    if path == "/ipa/ui/":
        return Answer(
            HTTPStatus.OK,
            "<!DOCTYPE html><html><head><title>Identity Management</title></head>"
            "<body><h1>FreeIPA</h1><p>Username, password</p></body></html>",
        )
    return Answer(HTTPStatus.NOT_FOUND)


SERVICES = {"jupyter": jupyterhub, "ipa": freeipa}


def service_of_host(host: str, hostname: str | None) -> str | None:
    """The service that this host name belongs to: `jupyter.<hostname>`; of any domain when the node has no hostname."""
    service, _, domain = host.lower().partition(":")[0].partition(".")
    if service not in SERVICES or not domain:
        return None
    return service if hostname is None or domain == hostname.lower() else None


@dataclass(frozen=True)
class WebService:
    """JupyterHub and FreeIPA on one address. `launched_at` is in seconds since the epoch."""

    address: str
    port: int
    hostname: str | None
    launched_at: float
    timing: Timing

    async def run(self, now: Clock) -> None:
        """Goes through the phases until it is cancelled; what it opened is closed then."""
        while True:
            phase, until = self.timing.phase(now() - self.launched_at)
            listening = None if phase is Phase.REFUSED else await self._listen(phase, now)
            try:
                await self._rest(until, now)
            finally:
                if listening is not None:
                    listening.close()
                    listening.close_clients()

    async def _rest(self, until: float | None, now: Clock) -> None:
        if until is None:
            await asyncio.Event().wait()
        else:
            await asyncio.sleep(max(0.0, self.launched_at + until - now()))

    async def _listen(self, phase: Phase, now: Clock) -> "Listener":
        context = None
        if phase is Phase.SERVING:
            names = [f"{service}.{self.hostname}" for service in SERVICES] if self.hostname else []
            context = server_context(self.address, names)
        while True:
            listener = Listener(self, now)
            try:
                await listener.open(context)
            except OSError as error:
                log.warning("node %s: cannot listen on %s:%d: %s", self.hostname, self.address, self.port, error)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return listener

    def answer(self, head: bytes, age: float) -> Answer:
        """What the request with this head (request line and headers) gets."""
        lines = head.decode("latin-1").split("\r\n")
        method, _, rest = lines[0].partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        if not path.startswith("/") or not method.isalpha():
            return Answer(HTTPStatus.BAD_REQUEST)
        headers = dict(line.lower().split(":", 1) for line in lines[1:] if ":" in line)
        service = service_of_host(headers.get("host", "").strip(), self.hostname)
        if service is None:
            return Answer(HTTPStatus.NOT_FOUND)
        if not self.timing.is_up(service, age):
            return Answer(HTTPStatus.BAD_GATEWAY)
        return SERVICES[service](path)


class Listener:
    """One open port, and the connections that came in through it."""

    def __init__(self, service: WebService, now: Clock) -> None:
        self.service = service
        self.now = now
        self._clients: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def open(self, context: ssl.SSLContext | None) -> None:
        """Listens: with a TLS context it answers, without one it takes connections and is silent. Raises OSError."""
        handle = self._silent if context is None else self._serve
        extra = {} if context is None else {"ssl_handshake_timeout": PATIENCE}
        self._server = await asyncio.start_server(
            handle, self.service.address, self.service.port, ssl=context, limit=LARGEST_HEAD, **extra
        )

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    def close_clients(self) -> None:
        for client in self._clients:
            client.transport.abort()

    async def _silent(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        try:
            while await reader.read(LARGEST_HEAD):
                pass
        except OSError:
            pass  # the client, or the end of the phase, cut the connection
        finally:
            self._clients.discard(writer)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        try:
            async with asyncio.timeout(PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
                answer = self.service.answer(head, self.now() - self.service.launched_at)
                writer.write(answer.as_bytes(without_body=head.startswith(b"HEAD ")))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a client that sends no request is owed no answer
        finally:
            self._clients.discard(writer)
            writer.close()
