"""Programs that the set-up runs: output in a log, nothing of them left behind, one maker of a thing at a time."""

from __future__ import annotations

import fcntl
import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

TAIL_BYTES = 4000
"""How much of a failed program's output is looked at for its last lines."""


class ProcessError(RuntimeError):
    """A program could not be started, ended with an error, or took too long. The message has its last lines."""


def run_logged(command: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path, seconds: float) -> None:
    """Run a program with its output appended to `log`; it and its children end if this call is interrupted.

    Raises ProcessError.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        output.write(f"$ {shlex.join(command)}\n".encode())
        output.flush()
        start = output.tell()
        try:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        except OSError as error:
            raise ProcessError(f"{command[0]} could not be started: {error}") from error
    try:
        code = process.wait(seconds)
    except BaseException as error:
        end_group(process)
        if isinstance(error, subprocess.TimeoutExpired):
            raise ProcessError(f"{Path(command[0]).name} was ended: it took more than {seconds:.0f} s") from error
        raise
    if code != 0:
        raise ProcessError(f"{Path(command[0]).name} ended with code {code}: {last_lines(log, start)}")


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that leads its own group, and all of the group, and wait for it."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        process.wait()


def last_lines(log: Path, start: int = 0, lines: int = 3) -> str:
    """The last lines with something on them that were written to a log after byte `start`, as one line."""
    with log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(start, size - TAIL_BYTES))
        text = file.read().decode(errors="replace")
    kept = [line.strip() for line in text.splitlines() if line.strip(" ^~")][-lines:]
    return " | ".join(kept) or "it printed nothing"


@contextmanager
def exclusive(lock: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold a lock file; `on_wait` is called once if someone else holds it. It's free as soon as its holder is gone."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
