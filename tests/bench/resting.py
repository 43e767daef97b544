"""What the hub takes of a machine: memory at rest, and time until it answers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from app.settings import ROOT
from tests.bench import rows
from tests.bench.building import plan_once
from tests.bench.client import Client
from tests.bench.figures import Figure
from tests.bench.place import Place, hub_at, settings_of
from tests.bench.report import Chapter
from tests.processes import Hub, wait_until

KEPT = 100
MIB_OF_KIB = 1024
ANSWER_PAUSE_SECONDS = 0.002
QUIET_SECONDS = 1.0
LEAST_CPU = 0.05


def memory(place: Place) -> Chapter:
    """All processes of the hub, at rest: as it starts, and after it has worked."""
    fresh = memory_of(place.hub)
    client = place.client()
    for _ in range(20):
        for path in ("/", "/create-cluster", "/api/clusters", "/api/available-resources"):
            client.get(path)
    plan_once(client)
    client.close()
    worked = memory_of(place.hub)
    return Chapter(
        "Memory",
        "All processes of the hub (gunicorn and its two workers, one of them the dispatcher): proportional set size "
        "(what is shared counted once), summed; resident set size, which counts it in each process, for comparison. "
        "After work: pages, the cloud's resources, and a plan, then at rest again.",
        [
            Figure("Memory at rest after work", worked[0], "MiB", at_most=250, original="377 MiB"),
            Figure("Memory at rest after start", fresh[0], "MiB", at_most=250),
            Figure("Memory after work, resident", worked[1], "MiB"),
            Figure("Memory after start, resident", fresh[1], "MiB"),
        ],
    )


def start(folder: Path, times: int) -> Chapter:
    """From the start of the process to its first answer, with 100 clusters in the database."""
    hub = hub_at(folder / "data")
    rows.add_clusters(settings_of(hub), KEPT, rows.resting)
    seconds = [_start_seconds(hub) for _ in range(times)]
    return Chapter(
        "Start",
        f"From the start of the process until `GET /api/clusters` is answered, {KEPT} clusters in the database; "
        f"median of {times}.",
        [
            Figure("Start to first answer", median(seconds), "s", at_most=3, original="23 to 30 s"),
            Figure("Start to first answer: slowest", max(seconds), "s"),
        ],
    )


def _start_seconds(hub: Hub) -> float:
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-c", "from app.cli import main; main()", "serve"],
        cwd=ROOT,
        env=hub.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        while not _answers(hub.port):
            assert process.poll() is None, "the hub ended"
            assert time.monotonic() - began < 60, "the hub never answered"
            time.sleep(ANSWER_PAUSE_SECONDS)
        return time.monotonic() - began
    finally:
        process.terminate()
        process.wait(20)


def _answers(port: int) -> bool:
    client = Client(port)
    try:
        return client.get("/api/clusters").status == 200
    except OSError:
        return False
    finally:
        client.close()


def memory_of(hub: Hub) -> tuple[float, float]:
    """Proportional and resident set size of a hub's processes, in MiB, once they rest."""
    assert hub.process is not None
    session = hub.process.pid
    wait_until(lambda: _cpu_share(session) < LEAST_CPU, "the hub rests", 30)
    proportional = resident = 0
    for process in _processes_of(session):
        sizes = _sizes(process)
        proportional += sizes["Pss"]
        resident += sizes["Rss"]
    return proportional / MIB_OF_KIB, resident / MIB_OF_KIB


def _processes_of(session: int) -> Iterator[Path]:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if os.getsid(int(entry.name)) == session:
                yield entry
        except ProcessLookupError:
            continue


def _sizes(process: Path) -> dict[str, int]:
    """Names and KiB of /proc/<pid>/smaps_rollup (proc(5))."""
    lines = (process / "smaps_rollup").read_text().splitlines()[1:]
    return {name: int(value.split()[0]) for name, _, value in (line.partition(":") for line in lines)}


def _cpu_share(session: int) -> float:
    """Cores that the processes of a session use, over a second."""
    before = _cpu_seconds(session)
    time.sleep(QUIET_SECONDS)
    return (_cpu_seconds(session) - before) / QUIET_SECONDS


def _cpu_seconds(session: int) -> float:
    ticks = 0
    for process in _processes_of(session):
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
