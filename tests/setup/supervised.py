"""A program of the tests: supervises the stand-ins described on its command line, as `mchub up` does the real ones.

python supervised.py '[{"name": ..., "code": <Python>, "log": ..., "ready": <file that says so>, "stop_seconds": ...}]'
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from app.setup.supervisor import GaveUpError, Program, Supervisor


def say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    programs = [
        Program(
            name=entry["name"],
            command=[sys.executable, "-c", entry["code"]],
            environment=dict(os.environ),
            log=Path(entry["log"]),
            is_ready=Path(entry["ready"]).exists,
            stop_seconds=entry["stop_seconds"],
        )
        for entry in json.loads(sys.argv[1])
    ]
    try:
        Supervisor(programs, say, lambda: say("READY")).run()
    except GaveUpError as error:
        sys.exit(str(error))
    say("ENDED")


if __name__ == "__main__":
    main()
