"""Keeps a few programs running: started in order, restarted when they die, ended together.

Each leads a process group of its own: what a dead one left behind is ended before it's started again (a port would
be taken else), and ending is in order, the hub before the cloud it talks to. Should the supervisor be killed, the
kernel ends them in its place (PR_SET_PDEATHSIG, prctl(2)).
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from app.processes import last_lines

PR_SET_PDEATHSIG = 1
POLL_SECONDS = 0.1
STEADY_SECONDS = 10
"""A program that lived so long is taken as healthy: its next death is the first again."""
LONGEST_PAUSE_SECONDS = 3
"""Between a death and the restart; a dead hub is back within 5 s."""
DEATHS_AT_START = 3
"""A program that dies so often before it was ready once is given up, and all with it."""
DEATHS_TOLD = 3
"""In a row; a program that goes on dying is told of in its log."""


class GaveUpError(RuntimeError):
    """A program that never came up, with its last words."""


@dataclass(frozen=True)
class Program:
    """A program to keep running.

    `is_ready` says whether it answers: the next program waits for that. `log` takes its standard error, and its
    standard output too unless `speaks` (then that's the person's). `stop_seconds` is how long it may take to end.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    is_ready: Callable[[], bool] = lambda: True
    speaks: bool = False
    stop_seconds: float = 4


@dataclass
class _Running:
    program: Program
    process: subprocess.Popen[bytes]
    started: float
    deaths: int = 0
    was_ready: bool = False
    restart_at: float | None = None


@dataclass
class Supervisor:
    """Runs programs until it is told to stop (SIGTERM, SIGINT, SIGHUP, or `stop`)."""

    programs: Sequence[Program]
    say: Callable[[str], None]
    on_ready: Callable[[], None] = lambda: None
    stopping: bool = False
    _running: list[_Running] = field(default_factory=list)

    def run(self) -> None:
        """Start all, keep them running until told to stop, end all. Raises GaveUpError when one never comes up."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._told_to_stop)
        try:
            for program in self.programs:
                self._running.append(_Running(program, _start(program), time.monotonic()))
                self._wait_until_ready(self._running[-1])
            if not self.stopping:
                self.on_ready()
            while not self.stopping:
                self._tend()
                time.sleep(POLL_SECONDS)
        finally:
            self._end_all()

    def stop(self) -> None:
        """Ask for the end; `run` returns soon after."""
        self.stopping = True

    def _told_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stop()

    def _wait_until_ready(self, running: _Running) -> None:
        while not self.stopping and not running.was_ready:
            self._tend()
            if running.restart_at is None and running.process.poll() is None and running.program.is_ready():
                running.was_ready = True
            else:
                time.sleep(POLL_SECONDS)

    def _tend(self) -> None:
        """See who died, and restart whose pause is over."""
        now = time.monotonic()
        for running in self._running:
            if running.restart_at is not None:
                if now >= running.restart_at:
                    running.process, running.started, running.restart_at = _start(running.program), now, None
                    if running.deaths <= DEATHS_TOLD:
                        self.say(f"Started again: {running.program.name}")
            elif running.process.poll() is not None:
                self._mourn(running, now)

    def _mourn(self, running: _Running, now: float) -> None:
        program, code = running.program, running.process.returncode
        _end_group(running.process)
        running.deaths = 1 if now - running.started >= STEADY_SECONDS else running.deaths + 1
        words = f"The {program.name} ended ({_how(code)}): {last_lines(program.log)}. Its log is {program.log}"
        if not running.was_ready and running.deaths >= DEATHS_AT_START:
            raise GaveUpError(words)
        running.restart_at = now + min(0.25 * 2**running.deaths, LONGEST_PAUSE_SECONDS)
        if running.deaths <= DEATHS_TOLD:
            more = "" if running.deaths < DEATHS_TOLD else " (it is tried again and again; nothing more is said of it)"
            self.say(words + more)

    def _end_all(self) -> None:
        """Last started, first ended; the hub has its time before the cloud goes."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for running in reversed(self._running):
            if running.restart_at is None:
                with suppress(ProcessLookupError):
                    running.process.send_signal(signal.SIGTERM)
                with suppress(subprocess.TimeoutExpired):
                    running.process.wait(running.program.stop_seconds)
            _end_group(running.process)


def _start(program: Program) -> subprocess.Popen[bytes]:
    program.log.parent.mkdir(parents=True, exist_ok=True)
    with program.log.open("ab") as log:
        return subprocess.Popen(
            program.command,
            env=program.environment,
            stdin=subprocess.DEVNULL,
            stdout=None if program.speaks else log,
            stderr=log,
            process_group=0,
            preexec_fn=_end_with_parent,
        )


def _end_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _how(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
