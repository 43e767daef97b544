"""Ending an operation's Terraform.

Its processes are recognised by what can't be recycled: their standard output or error is the operation's log. They are
signalled through a pidfd that is opened before that is checked, so that no other process can ever be hit
(pidfd_open(2)). Linux only.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app.terraform.execution import CANCEL, INTERRUPTED, LOG, is_running

INTERRUPT_WORDS = b"Interrupt received"
_PROC = Path("/proc")
_KILL_PATIENCE_SECONDS = 5.0
_INTERRUPT_PATIENCE_SECONDS = 2.0


@dataclass(frozen=True)
class _Process:
    number: int
    handle: int  # a pidfd
    is_runner: bool


def interrupt(folder: Path) -> bool:
    """Asks the operation to end gracefully: SIGINT to its Terraform, and no further command starts.

    False where none ran. A second interrupt would be an order to drop what is in flight, so none is ever sent, whoever
    sent the first: a hub that was killed since may have.
    """
    if _was_interrupted(folder):
        return True
    (folder / CANCEL).touch(mode=0o600)
    deadline = time.monotonic() + _INTERRUPT_PATIENCE_SECONDS
    while is_running(folder) and time.monotonic() < deadline:
        if _signal_terraform(folder, signal.SIGINT):
            (folder / INTERRUPTED).touch(mode=0o600)
            return True
        time.sleep(0.01)  # between two commands, or before the first
    return False


def _was_interrupted(folder: Path) -> bool:
    """Whether the signal was sent; Terraform's own words tell where a hub died before it could note that."""
    if (folder / INTERRUPTED).exists():
        return True
    try:
        return INTERRUPT_WORDS in (folder / LOG).read_bytes()
    except FileNotFoundError:
        return False


def kill(folder: Path) -> bool:
    """Ends runner, Terraform and its providers with SIGKILL; False where nothing ran.

    What was in flight is lost to the state: compare the cloud with it afterwards.
    """
    killed = False
    deadline = time.monotonic() + _KILL_PATIENCE_SECONDS
    while time.monotonic() < deadline:
        session = _session(folder)
        if not session and not is_running(folder):
            return killed
        killed = killed or bool(session)
        for number in session:
            _kill_member(number, session)
        time.sleep(0.01)  # a process that was killed holds the lock for an instant
    return killed


def terraform_pid(folder: Path) -> int | None:
    """The process number of the operation's Terraform, for people to read; never signal by it."""
    with _working(folder) as processes:
        return next((process.number for process in processes if not process.is_runner), None)


def _signal_terraform(folder: Path, number: signal.Signals) -> bool:
    with _working(folder) as processes:
        targets = [process for process in processes if not process.is_runner]
        for process in targets:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(process.handle, number)
        return bool(targets)


@contextlib.contextmanager
def _working(folder: Path) -> Iterator[list[_Process]]:
    """The operation's runner and Terraform, held by pidfd as long as the context lasts."""
    found: list[_Process] = []
    try:
        log = (folder / LOG).stat()
        for number in _process_numbers():
            if not _writes_to(number, log):
                continue
            with contextlib.suppress(ProcessLookupError):
                handle = os.pidfd_open(number)
                if _writes_to(number, log):
                    found.append(_Process(number, handle, _session_of(number) == number))
                else:
                    os.close(handle)
        yield found
    except FileNotFoundError:
        yield []
    finally:
        for process in found:
            os.close(process.handle)


def _session(folder: Path) -> dict[int, int]:
    """Process number -> session, of everything in the session of the operation's runner and Terraform."""
    with _working(folder) as processes:
        sessions = {_session_of(process.number) for process in processes} - {None}
    everything = {number: _session_of(number) for number in _process_numbers()} if sessions else {}
    return {number: session for number, session in everything.items() if session is not None and session in sessions}


def _kill_member(number: int, session: dict[int, int]) -> None:
    try:
        handle = os.pidfd_open(number)
    except ProcessLookupError:
        return
    try:
        if _session_of(number) == session[number]:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        os.close(handle)


def _process_numbers() -> Iterator[int]:
    return (int(entry.name) for entry in os.scandir(_PROC) if entry.name.isdigit())


def _writes_to(number: int, log: os.stat_result) -> bool:
    """Whether the process has the log as its standard output or error; False for processes of others, and gone ones."""
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):
            opened = (_PROC / str(number) / "fd" / str(descriptor)).stat()  # follows the link to the open file itself
            if (opened.st_dev, opened.st_ino) == (log.st_dev, log.st_ino):
                return True
    return False


def _session_of(number: int) -> int | None:
    try:
        return os.getsid(number)
    except (ProcessLookupError, PermissionError):
        return None
