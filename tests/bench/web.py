"""What browsers feel: the status that 200 of them ask for each second, and the list of 1,000 clusters."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from tests.bench import load, rows, silence
from tests.bench.client import Client
from tests.bench.figures import Figure, percentile
from tests.bench.load import Load
from tests.bench.place import hub_at, settings_of
from tests.bench.report import Chapter
from tests.processes import Hub, clean_environment, wait_until

POLLERS = 200
CONNECTIONS = 32
PROVISIONED = 50
LISTED = 1000
KB = 1000
LOST_CLOUD = {
    "OS_AUTH_URL": "http://cloud.mchub.test/identity/v3",
    "OS_USERNAME": "nobody",
    "OS_PASSWORD": "nothing",
    "OS_PROJECT_NAME": "nowhere",
}
WAITING = 20


def status(folder: Path, seconds: int) -> Chapter:
    """The status of clusters at rest: 200 browsers, and as fast as it goes."""
    hub = hub_at(folder / "data")
    hostnames = rows.add_clusters(settings_of(hub), PROVISIONED, rows.resting)
    hub.start()
    try:
        size = len(hub.get(_path(hostnames[0])).body)
        polled, flat = _both(hub, hostnames, seconds)
    finally:
        hub.stop()
    return Chapter(
        "Status",
        f"`GET .../status` ({size / KB:.1f} KB, {rows.RESOURCES} resources): {POLLERS} pollers once a second for "
        f"{seconds} s, each on a connection of its own, timed from the moment when each was due; then {CONNECTIONS} "
        f"connections flat out ({flat.by}).",
        [
            Figure(f"Status, {POLLERS} pollers: p95", polled.p95_ms, "ms", at_most=50),
            Figure(f"Status, {POLLERS} pollers: errors", polled.errors, at_most=0, note=f"of {polled.requests:,}"),
            Figure(
                f"Status, {CONNECTIONS} connections flat out", flat.per_second, "/s", at_least=1200, original="562/s"
            ),
            Figure(f"Status, {CONNECTIONS} connections: p95", flat.p95_ms, "ms", at_most=50, original="319 ms"),
            Figure(f"Status, {CONNECTIONS} connections: errors", flat.errors, at_most=0),
        ],
    )


def status_amid_silence(folder: Path, seconds: int) -> Chapter:
    """The same while services of 50 clusters and the cloud's name server never answer."""
    with silence.silent_services() as address, silence.silent_name_server(folder) as before:
        hub = hub_at(folder / "data")
        hub.environment = clean_environment(**hub.environment, **LOST_CLOUD)
        hub.before = tuple(before)
        hostnames = rows.add_clusters(settings_of(hub), PROVISIONED, rows.provisioning, address=address)
        hub.start()
        try:
            _probed(hub, hostnames)
            with _waiting(hub, WAITING if before else 0):
                polled, flat = _both(hub, hostnames, seconds)
        finally:
            hub.stop()
    names = (
        f"the name server never answers either, and {WAITING} requests for the cloud's resources wait for it"
        if before
        else "a silent name server needs root and unshare: not tried"
    )
    return Chapter(
        "Status amid silence",
        f"The same while {PROVISIONED} clusters are `provisioning_running` whose services accept and never answer; "
        f"{names}.",
        [
            Figure(f"Silence, {POLLERS} pollers: p95", polled.p95_ms, "ms", at_most=50, original="10 s"),
            Figure(f"Silence, {POLLERS} pollers: errors", polled.errors, at_most=0, note=f"of {polled.requests:,}"),
            Figure(f"Silence, {CONNECTIONS} connections flat out", flat.per_second, "/s", at_least=1200),
            Figure(f"Silence, {CONNECTIONS} connections: p95", flat.p95_ms, "ms", at_most=50, original="10 s"),
            Figure(f"Silence, {CONNECTIONS} connections: errors", flat.errors, at_most=0),
        ],
    )


def listing(folder: Path, times: int) -> Chapter:
    """The first page of 1,000 clusters, as JSON and as HTML."""
    hub = hub_at(folder / "data")
    rows.add_clusters(settings_of(hub), LISTED, rows.resting)
    hub.start()
    figures: list[Figure] = []
    try:
        client = Client(hub.port)
        for name, path, original in (("API", "/api/clusters", ("", "")), ("page", "/", ("133 ms", "730 KB"))):
            seconds, size = _timed(client, path, times)
            figures += [
                Figure(f"List of {LISTED:,}, {name}: median", 1000 * median(seconds), "ms", 50, original=original[0]),
                Figure(f"List of {LISTED:,}, {name}: p95", 1000 * percentile(seconds, 0.95), "ms"),
                Figure(f"List of {LISTED:,}, {name}: size", size / KB, "KB", 60, original=original[1]),
            ]
        client.close()
    finally:
        hub.stop()
    return Chapter(
        "List",
        f"The first page of {LISTED:,} clusters, {times} times one after another on one connection; sizes are "
        "uncompressed.",
        figures,
    )


def _both(hub: Hub, hostnames: list[str], seconds: int) -> tuple[Load, Load]:
    paths = [_path(hostname) for hostname in hostnames]
    load.poll(hub.port, paths, POLLERS, 2)  # warm
    polled = load.poll(hub.port, paths, POLLERS, seconds)
    return polled, load.flat_out(hub.port, paths[0], CONNECTIONS, max(3, seconds // 2))


def _path(hostname: str) -> str:
    return f"/api/clusters/{hostname}/status"


def _probed(hub: Hub, hostnames: list[str]) -> None:
    """Wait until the services of all were asked at least once."""
    wait_until(lambda: all(hub.status(each)["probes"] for each in hostnames), "all services were asked", 120)


@contextmanager
def _waiting(hub: Hub, count: int) -> Iterator[None]:
    """Requests that wait for the name server as long as this lasts."""
    clients = [Client(hub.port) for _ in range(count)]

    def ask(client: Client) -> None:
        try:
            client.get("/api/available-resources")
        except OSError:
            return  # the hub ended first

    for client in clients:
        threading.Thread(target=ask, args=(client,), daemon=True).start()
    yield


def _timed(client: Client, path: str, times: int) -> tuple[list[float], int]:
    seconds, size = [], 0
    for number in range(times + 1):
        began = time.monotonic()
        answer = client.get(path)
        if number:  # the first is the hub's very first
            seconds.append(time.monotonic() - began)
        assert answer.status == 200, answer.body
        size = len(answer.body)
    return seconds, size
