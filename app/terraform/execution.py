"""Starting, following and ending one operation's Terraform, whoever started it.

An operation has a folder of its own with ``job.json`` (what to run; no secret in it), ``log`` (Terraform's
machine-readable output) and ``exit.json`` (each command's beginning, end and exit code, written by the runner).
The runner and Terraform share the log's open description, which is locked: as long as either lives, the lock is held.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from app.terraform import runner
from app.terraform.progress import Diagnostic, ProgressReader, Severity

LOG = "log"
JOB = runner.JOB
EXIT = runner.EXIT
CANCEL = runner.CANCEL
INTERRUPTED = "interrupted"  # exists once Terraform was sent SIGINT
_LOCK_PATIENCE_SECONDS = 2.0

_PASSED_ON = frozenset(
    {
        *("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "TF_CLI_CONFIG_FILE"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"),
        *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy"),
    }
)


class ExecutionError(Exception):
    """An operation can't be started."""


class AlreadyRunningError(ExecutionError):
    """Terraform or its runner still works in this operation's folder."""


@dataclass(frozen=True)
class Command:
    """One call of Terraform. With `capture`, its standard output goes to that file (0600) of the operation's folder."""

    name: str
    arguments: tuple[str, ...] = ()
    capture: str | None = None
    after_failure: bool = False  # runs even though a command before it failed


@dataclass(frozen=True)
class Launch:
    """What to run, where, with what. `environment` is given to the process and written nowhere."""

    folder: Path
    working_directory: Path
    engine: Path
    environment: Mapping[str, str]
    commands: Sequence[Command]


class OutcomeState(StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Outcome:
    """How an operation's Terraform ended. `exit_code` is None where no runner lived to record it."""

    state: OutcomeState
    exit_code: int | None
    last_command: str | None
    diagnostics: tuple[Diagnostic, ...] = ()
    needs_init: bool = False


def environment(base: Mapping[str, str], cloud: Mapping[str, str]) -> dict[str, str]:
    """The environment of a child process: an allow-list of `base`, and the credential's ``OS_*`` of `cloud`."""
    passed = {name: value for name, value in base.items() if name in _PASSED_ON}
    credential = {name: value for name, value in cloud.items() if name.startswith("OS_")}
    return {**passed, **credential, "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}


def launch(work: Launch) -> None:
    """Starts the runner, detached; returns when it holds the lock. Raises AlreadyRunningError, ExecutionError.

    Launching again in the same folder (commands that remained) appends to the log.
    """
    work.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = os.open(work.folder / LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock(log, work.folder)
        for note in (CANCEL, INTERRUPTED):
            (work.folder / note).unlink(missing_ok=True)
        job = {
            "working_directory": str(work.working_directory),
            "engine": str(work.engine),
            "commands": [asdict(command) for command in work.commands],
        }
        runner.write_json(work.folder / JOB, job)
        # -I: neither PYTHON* variables nor the folder of the script decide what the runner imports. -S: nor does what
        # site-packages adds to each start (half of the time that a start takes).
        started = subprocess.run(
            [sys.executable, "-I", "-S", runner.__file__, str(work.folder), _packages()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=dict(work.environment),
            check=False,
        )
    except OSError as error:
        raise ExecutionError(f"the runner could not be started: {error}") from error
    finally:
        os.close(log)
    if started.returncode != 0:
        raise ExecutionError(f"the runner ended with exit code {started.returncode}, see {work.folder / LOG}")


@cache
def _packages() -> str:
    """The folder in which python-terraform is installed."""
    found = find_spec("python_terraform")
    if found is None or found.origin is None:
        raise ExecutionError("the python-terraform package is not installed; run ./run.sh again")
    return str(Path(found.origin).parent.parent)


def _lock(log: int, folder: Path) -> None:
    """Takes the lock. A reader that only asks whether it is held may hold it for an instant, hence the patience."""
    deadline = time.monotonic() + _LOCK_PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise AlreadyRunningError(f"Terraform still runs in {folder}") from None
            time.sleep(0.005)
        else:
            return


def is_running(folder: Path) -> bool:
    """Whether the runner or its Terraform lives: the lock says so, not a process number."""
    try:
        log = os.open(folder / LOG, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(log, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(log)
    return False


def outcome(folder: Path, cancelled: bool = False) -> Outcome:
    """How the operation ended; call it when it no longer runs. `cancelled`: whether the hub asked it to stop.

    The exit file if it is complete; else the log: a final summary of an apply means succeeded, an error failed, and
    neither interrupted. A plan's summary counts only without an error, since a failed plan prints one too.
    """
    progress, text = _read_log(folder)
    records = _records(folder)
    last = records[-1] if records else None
    diagnostics = tuple(progress.diagnostics)
    state, code = _judge(records, progress, _applies(folder), cancelled or (folder / CANCEL).exists())
    if state is not OutcomeState.SUCCEEDED and text and not progress.has_error:
        diagnostics += (Diagnostic(Severity.ERROR, "Terraform ended without a diagnostic", text),)
    needs_init = state is OutcomeState.FAILED and any(_asks_for_init(each) for each in diagnostics)
    return Outcome(state, code, last.name if last else None, diagnostics, needs_init)


def _judge(
    records: list[_Record], progress: ProgressReader, applies: bool, cancelled: bool
) -> tuple[OutcomeState, int | None]:
    ended = [record for record in records if record.exit_code is not None]
    failed = next((record for record in ended if record.exit_code != 0), None)
    if failed is not None:
        killed = failed.exit_code is not None and failed.exit_code < 0
        fate = OutcomeState.INTERRUPTED if killed else OutcomeState.FAILED
        return (OutcomeState.CANCELLED if cancelled else fate), failed.exit_code
    if records and len(ended) == len(records) and records[-1].is_last:
        return OutcomeState.SUCCEEDED, 0
    summary = progress.change_summary
    if summary is not None and not progress.has_error:
        # An apply that was done is done, asked to stop or not; a plan that was asked to stop is not wanted.
        done = summary.operation != "plan" if applies else not cancelled
        if done:
            return OutcomeState.SUCCEEDED, None
    if cancelled:
        return OutcomeState.CANCELLED, None
    return (OutcomeState.FAILED if progress.has_error else OutcomeState.INTERRUPTED), None


def _applies(folder: Path) -> bool:
    try:
        return any(command.name == "apply" for command in _commands(folder))
    except FileNotFoundError:
        return False


def remaining_commands(folder: Path) -> tuple[Command, ...]:
    """What the runner did not come to, and Terraform alone can't have done: to be launched again in the same folder.

    A command that had begun when the runner died counts as done if the log holds its summary without an error. An
    apply that had begun is never repeated: its plan is spent, and the outcome says what became of it.
    """
    commands = _commands(folder)
    records = {record.name: record for record in _records(folder)}
    remaining: list[Command] = []
    for command in commands:
        record = records.get(command.name)
        if record is None:
            remaining.append(command)
        elif record.exit_code is None and command.name != "apply":
            progress, _ = _read_log(folder)
            if command.name != "plan" or not progress.outcome_seen:
                remaining.append(command)
    return tuple(remaining)


@dataclass(frozen=True)
class _Record:
    name: str
    exit_code: int | None
    is_last: bool


def _records(folder: Path) -> list[_Record]:
    """What the runner recorded; nothing where the file is missing or was cut short by a crash of the machine."""
    try:
        document = json.loads((folder / EXIT).read_bytes())
        complete = bool(document["complete"])
        commands = document["commands"]
        return [
            _Record(str(each["name"]), each["exit_code"], complete and number == len(commands))
            for number, each in enumerate(commands, start=1)
        ]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return []


def _commands(folder: Path) -> list[Command]:
    job = json.loads((folder / JOB).read_bytes())
    return [
        Command(each["name"], tuple(each["arguments"]), each["capture"], each["after_failure"])
        for each in job["commands"]
    ]


def _read_log(folder: Path) -> tuple[ProgressReader, str]:
    """The log's events, and the last of its lines that aren't events (an old Terraform's init, a crash)."""
    reader = ProgressReader()
    try:
        reader.feed((folder / LOG).read_bytes() + b"\n")
    except FileNotFoundError:
        return reader, ""
    return reader, "\n".join(reader.plain_lines)


_INIT_WORDS = (
    "terraform init",
    "Module not installed",
    "Required plugins are not installed",
    "Inconsistent dependency lock file",
    "Backend initialization required",
)


def _asks_for_init(diagnostic: Diagnostic) -> bool:
    text = f"{diagnostic.summary}\n{diagnostic.detail}"
    return diagnostic.severity is Severity.ERROR and any(words in text for words in _INIT_WORDS)
