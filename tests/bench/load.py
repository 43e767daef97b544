"""Load on the hub: wrk flat out (a small client of our own where it can't be had), and browsers that poll."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.figures import percentile

_SCRIPT = """
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format("figures %d %d %d %d\\n", summary.requests, summary.duration, latency:percentile(95),
    errors.connect + errors.read + errors.write + errors.timeout + errors.status))
end
"""


@dataclass
class Load:
    """What a load met: seconds of each answer, or their 95th percentile alone; everything but a 200 is an error."""

    requests: int = 0
    errors: int = 0
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    p95: float = float("nan")
    by: str = "asyncio"

    @property
    def p95_ms(self) -> float:
        """Milliseconds within which 95 of 100 answers came."""
        return 1000 * (percentile(self.latencies, 0.95) if self.latencies else self.p95)

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds if self.seconds else 0.0


def flat_out(port: int, path: str, connections: int, seconds: int) -> Load:
    """As many requests as `connections` get answered."""
    wrk = find_wrk()
    if wrk is None:
        return asyncio.run(_flood(port, path, connections, seconds))
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "figures.lua"
        script.write_text(_SCRIPT)
        url = f"http://127.0.0.1:{port}{path}"
        command = [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), url]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (figures,) = (line.split()[1:] for line in said.splitlines() if line.startswith("figures "))
    requests, microseconds, p95, errors = map(int, figures)
    return Load(requests, errors, microseconds / 1e6, p95=p95 / 1e6, by="wrk")


def find_wrk() -> str | None:
    """wrk, from Debian where it is missing and may be installed."""
    if shutil.which("wrk") is None and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-y", "-q", "wrk"], capture_output=True, check=False)
    return shutil.which("wrk")


def poll(port: int, paths: Sequence[str], pollers: int, seconds: float) -> Load:
    """Browsers that ask once a second each, spread over the second; a slow answer is measured, not waited out."""
    return asyncio.run(_poll(port, paths, pollers, seconds))


async def _poll(port: int, paths: Sequence[str], pollers: int, seconds: float) -> Load:
    load = Load()
    began = time.monotonic()

    async def browser(number: int) -> None:
        connection = _Connection(port)
        due = began + number / pollers
        while due < began + seconds:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await connection.measure(paths[number % len(paths)], load, since=due)
            due += 1.0
        connection.close()

    await asyncio.gather(*(browser(number) for number in range(pollers)))
    load.seconds = time.monotonic() - began
    return load


async def _flood(port: int, path: str, connections: int, seconds: float) -> Load:
    load = Load()
    began = time.monotonic()

    async def client() -> None:
        connection = _Connection(port)
        while (since := time.monotonic()) < began + seconds:
            await connection.measure(path, load, since)
        connection.close()

    await asyncio.gather(*(client() for _ in range(connections)))
    load.seconds = time.monotonic() - began
    return load


class _Connection:
    """One kept-alive connection that speaks just enough HTTP to cost the machine little."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def measure(self, path: str, load: Load, since: float) -> None:
        """One request; notes how long its answer took since the moment when it was due."""
        try:
            code = await asyncio.wait_for(self._get(path), 30)
        except (OSError, EOFError, TimeoutError, ValueError):
            code = 0
            self.close()
        load.requests += 1
        load.errors += code != 200
        load.latencies.append(time.monotonic() - since)

    async def _get(self, path: str) -> int:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nAccept: */*\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        _, _, rest = head.partition(b"content-length:")
        await reader.readexactly(int(rest.split(b"\r\n", 1)[0]))
        if b"connection: close" in head:
            self.close()
        return int(head.split(b" ", 2)[1])

    def close(self) -> None:
        """Hang up; the next request calls again."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
