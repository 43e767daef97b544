"""`./run.sh` keeps its programs running and leaves none behind: real processes, killed in every way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STEADY = """
import os, pathlib, signal, time
pathlib.Path({pids!r}).open("a").write(f"{{os.getpid()}}\\n")
pathlib.Path({ready!r}).touch()
while True: signal.pause()
"""
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)" + STEADY
WITH_CHILD = (
    """
import os, pathlib, socket, subprocess, sys
taken = socket.create_server(("127.0.0.1", {port}))
if os.fork() == 0:
    open({child!r}, "w").write(str(os.getpid()))
    import signal
    while True: signal.pause()
"""
    + STEADY
)
LEAVES_ORDER = (
    """
import signal, sys, pathlib
def end(*_):
    pathlib.Path({order!r}).open("a").write({name!r} + "\\n")
    sys.exit()
signal.signal(signal.SIGTERM, end)
"""
    + STEADY
)


class Room:
    """A folder with the stand-ins' files, and the supervisor that runs them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = folder / "output"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *programs: tuple[str, str], stop_seconds: float = 4, **values: object) -> None:
        entries = [
            {
                "name": name,
                "code": code.format(
                    name=name,
                    pids=str(self.folder / f"{name}.pids"),
                    ready=str(self.folder / f"{name}.ready"),
                    order=str(self.folder / "order"),
                    **values,
                ),
                "log": str(self.folder / f"{name}.log"),
                "ready": str(self.folder / f"{name}.ready"),
                "stop_seconds": stop_seconds,
            }
            for name, code in programs
        ]
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, Path(__file__).with_name("supervised.py"), json.dumps(entries)],
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def pids(self, name: str) -> list[int]:
        path = self.folder / f"{name}.pids"
        return [int(line) for line in path.read_text().splitlines()] if path.exists() else []

    def has_started(self, name: str, times: int) -> bool:
        return len(self.pids(name)) == times

    def says(self, words: str) -> bool:
        return words in self.output.read_text()

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        os.killpg(self.process.pid, number)
        return self.process.wait(20)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    room = Room(tmp_path)
    yield room
    if room.process is not None and room.process.poll() is None:
        room.process.kill()
        room.process.wait()


def until(condition: Callable[[], bool], seconds: float = 20) -> float:
    """Wait for a condition; how long it took, in seconds."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "did not happen in time"
        time.sleep(0.01)
    return time.monotonic() - began


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_programs_start_in_order_each_when_the_one_before_is_ready(room: Room) -> None:
    slow = STEADY.replace("pathlib.Path({ready!r}).touch()", "time.sleep(0.3); pathlib.Path({ready!r}).touch()")
    room.start(
        ("sandbox", slow), ("hub", "import os; assert os.path.exists({ready!r}.replace('hub', 'sandbox'))" + STEADY)
    )
    until(lambda: room.says("READY"))
    assert len(room.pids("hub")) == 1


def test_a_killed_hub_is_back_within_5_s_and_the_others_are_left_alone(room: Room) -> None:
    room.start(("sandbox", STEADY), ("nodes", STEADY), ("hub", STEADY))
    until(lambda: room.says("READY"))
    for times in (1, 2, 3):
        os.kill(room.pids("hub")[-1], signal.SIGKILL)
        assert until(partial(room.has_started, "hub", times + 1)) < 5
    assert len(room.pids("sandbox")) == len(room.pids("nodes")) == 1
    assert room.says("The hub ended (SIGKILL)")


@pytest.mark.parametrize("name", ["sandbox", "nodes"])
def test_a_dead_sandbox_or_nodes_are_started_again_too(room: Room, name: str) -> None:
    room.start(("sandbox", STEADY), ("nodes", STEADY), ("hub", STEADY))
    until(lambda: room.says("READY"))
    os.kill(room.pids(name)[0], signal.SIGTERM)
    until(lambda: len(room.pids(name)) == 2)
    assert len(room.pids("hub")) == 1


def test_what_a_dead_hub_left_behind_is_ended_before_it_starts_again(room: Room, free_port: int) -> None:
    room.start(("hub", WITH_CHILD), port=free_port, child=str(room.folder / "child"))
    until(lambda: room.says("READY") and bool((room.folder / "child").exists()))
    child = int((room.folder / "child").read_text())
    os.kill(room.pids("hub")[0], signal.SIGKILL)
    until(lambda: len(room.pids("hub")) == 2)
    assert not lives(child)
    until(lambda: (room.folder / "child").read_text() not in ("", str(child)))
    room.end()
    assert not lives(int((room.folder / "child").read_text()))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_group_ends_all(room: Room, number: signal.Signals) -> None:
    room.start(("sandbox", STEADY), ("nodes", STEADY), ("hub", STEADY))
    until(lambda: room.says("READY"))
    assert room.end(number) == 0
    assert room.says("ENDED")
    assert not any(lives(pid) for name in ("sandbox", "nodes", "hub") for pid in room.pids(name))


def test_the_hub_ends_before_the_cloud_it_talks_to(room: Room) -> None:
    room.start(("sandbox", LEAVES_ORDER), ("nodes", LEAVES_ORDER), ("hub", LEAVES_ORDER))
    until(lambda: room.says("READY"))
    room.end()
    assert (room.folder / "order").read_text().split() == ["hub", "nodes", "sandbox"]


def test_a_program_that_does_not_end_is_ended(room: Room) -> None:
    room.start(("sandbox", STUBBORN), ("hub", STUBBORN), stop_seconds=0.3)
    until(lambda: room.says("READY"))
    assert room.end() == 0
    assert not any(lives(pid) for name in ("sandbox", "hub") for pid in room.pids(name))


def test_a_killed_supervisor_takes_all_with_it(room: Room) -> None:
    room.start(("sandbox", STEADY), ("hub", STEADY))
    until(lambda: room.says("READY"))
    assert room.process is not None
    room.process.kill()
    room.process.wait()
    until(lambda: not any(lives(pid) for name in ("sandbox", "hub") for pid in room.pids(name)))


def test_a_program_that_never_comes_up_ends_all_with_its_last_words(room: Room) -> None:
    room.start(("sandbox", STEADY), ("hub", "raise SystemExit('the database is locked')"))
    assert room.process is not None
    assert room.process.wait(20) == 1
    assert room.says("The hub ended (exit code 1): the database is locked. Its log is")
    assert not lives(room.pids("sandbox")[0])


def test_a_stop_during_the_start_ends_all(room: Room) -> None:
    room.start(("sandbox", STEADY.replace("pathlib.Path({ready!r}).touch()", "")), ("hub", STEADY))
    until(lambda: bool(room.pids("sandbox")))
    assert room.end() == 0
    assert not room.says("READY")
    assert not lives(room.pids("sandbox")[0])
    assert room.pids("hub") == []


def test_one_that_goes_on_dying_is_told_of_three_times_and_tried_on(room: Room) -> None:
    dies = STEADY.replace("while True: signal.pause()", "raise SystemExit('no cloud')")
    room.start(("sandbox", STEADY), ("nodes", dies), ("hub", STEADY))
    until(lambda: len(room.pids("nodes")) == 5)
    assert room.output.read_text().count("The nodes ended (exit code 1): no cloud") == 3
    assert room.says("READY")
