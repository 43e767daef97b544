"""What accepts and never answers: services of clusters, and a name server for a hub in a mount namespace of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SERVICE_PORT = 8443
"""Where the template `sandbox` looks for a cluster's services."""
SERVICES = "127.98.255.1"
NAME_SERVER = "127.98.255.53"


@contextmanager
def silent_services() -> Iterator[str]:
    """An address whose connections are accepted (by the kernel, up to the backlog) and never answered."""
    with socket.create_server((SERVICES, SERVICE_PORT), backlog=4096):
        yield SERVICES


@contextmanager
def silent_name_server(folder: Path) -> Iterator[list[str]]:
    """What to put before a command so that no name but localhost resolves for it, nor is said not to.

    Empty where that can't be done: it takes root, and `unshare`.
    """
    configuration = folder / "resolv.conf"
    configuration.write_text(f"nameserver {NAME_SERVER}\noptions timeout:30 attempts:3\n")
    script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
    before = ["unshare", "--mount", "sh", "-c", script, str(configuration)]
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        try:
            listener.bind((NAME_SERVER, 53))
        except OSError:
            yield []
            return
        can = os.geteuid() == 0 and shutil.which("unshare") is not None
        works = can and subprocess.run([*before, "true"], capture_output=True, check=False).returncode == 0
        yield before if works else []
