"""The runner: runs one operation's commands, one process per operation, outliving the hub that started it.

Started by file path with ``-I -S`` (see execution.launch), so it imports the standard library and python-terraform
only: it must be quick, and small enough to be trusted alone for hours. Its output is the operation's log, locked by
the hub; Terraform inherits it.
"""

import contextlib
import datetime
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

JOB = "job.json"
EXIT = "exit.json"
CANCEL = "cancel"  # exists once the hub asked the operation to stop
NICENESS = 5
CANNOT_START = 127


def write_json(path: Path, document: object) -> None:
    """Writes `document` (0600) so that a reader sees the old file or the new one, never half of it."""
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(document, file)
    new.replace(path)


def run_job(folder: Path) -> int:
    """Runs the commands of ``job.json`` in order until one fails; returns the first exit code that isn't zero.

    Each command is recorded in ``exit.json`` before it starts (exit code null) and when it has ended.
    """
    job = json.loads((folder / JOB).read_bytes())
    names = {command["name"] for command in job["commands"]}
    records = [record for record in _earlier(folder) if record["name"] not in names]
    result = 0
    for command in job["commands"]:
        if (folder / CANCEL).exists():
            return result
        if result != 0 and not command["after_failure"]:
            continue
        record: dict[str, Any] = {"name": command["name"], "started_at": _now(), "ended_at": None, "exit_code": None}
        records.append(record)
        write_json(folder / EXIT, {"commands": records, "complete": False})
        code = _run(job, command, folder)
        record.update(ended_at=_now(), exit_code=code)
        result = result or code
        write_json(folder / EXIT, {"commands": records, "complete": False})
    write_json(folder / EXIT, {"commands": records, "complete": True})
    return result


def _run(job: dict[str, Any], command: dict[str, Any], folder: Path) -> int:
    from python_terraform import Terraform  # after the fork: the hub waits for that alone

    # python-terraform reads the state after each command, and fails on a broken one: give it one that doesn't exist.
    terraform = Terraform(job["working_directory"], terraform_bin_path=job["engine"], state=".no-state")
    with contextlib.ExitStack() as stack:
        if command["capture"]:
            capture = os.open(folder / command["capture"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            stack.enter_context(contextlib.redirect_stdout(stack.enter_context(os.fdopen(capture, "w"))))
        try:
            code, _, _ = terraform.cmd(command["name"], *command["arguments"], capture_output=False)
        except OSError as error:
            _report(f"Terraform could not be started: {error}")
            return CANNOT_START
    return int(code)


def _report(summary: str) -> None:
    """A diagnostic in the form of Terraform's own, for the reader of the log."""
    diagnostic = {"severity": "error", "summary": summary, "detail": ""}
    line = {"@level": "error", "@message": f"Error: {summary}", "@module": "mchub.runner", "@timestamp": _now()}
    sys.stderr.write(json.dumps({**line, "diagnostic": diagnostic, "type": "diagnostic"}) + "\n")
    sys.stderr.flush()


def _earlier(folder: Path) -> list[dict[str, Any]]:
    try:
        return list(json.loads((folder / EXIT).read_bytes())["commands"])
    except (FileNotFoundError, ValueError, KeyError):
        return []


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat().replace("+00:00", "Z")


def _detach() -> None:
    """Leaves the hub: a child in a session of its own, no child of the hub's any more (so it never is its zombie)."""
    detached, ready = os.pipe()
    if os.fork() != 0:
        os.close(ready)
        os.read(detached, 1)  # returns when the child has closed its end: ready, or dead
        os._exit(0)
    os.setsid()
    os.umask(0o077)
    os.nice(NICENESS)
    # A handler, not SIG_IGN, which Terraform would inherit: an interrupt is for Terraform, the runner sees to the rest.
    signal.signal(signal.SIGINT, lambda *_: None)
    os.close(ready)


if __name__ == "__main__":
    _detach()
    sys.path.append(sys.argv[2])
    run_job(Path(sys.argv[1]))
    os._exit(0)  # at once: the hub waits for the lock, and nothing is left to be written
