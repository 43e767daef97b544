"""The sandbox cloud as a process: one port, one data folder."""

import ipaddress
import os
import signal
import threading
from pathlib import Path
from types import FrameType

import click
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from .application import create_application
from .cloud import Cloud, Options
from .identity.models import REGION
from .seed import Secrets, fill


class RequestHandler(WSGIRequestHandler):
    """Keeps connections open; says nothing of each request."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are sent apart: Nagle would hold the body back for 40 ms

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


def serve(data: Path, host: str, port: int, floating_range: str, boot_seconds: float) -> None:
    """Runs the cloud until SIGTERM or SIGINT. Port 0 takes a free one; the URL is printed.

    Raises ValueError, OSError.
    """
    check_floating_range(floating_range)
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    server = make_server(host, port, lambda environ, start: [], threaded=True, request_handler=RequestHandler)
    url = f"http://{host}:{server.server_port}"
    cloud = Cloud(Options(data=data, url=url, floating_range=floating_range, boot_seconds=boot_seconds))
    secrets = fill(cloud, public_key(data))
    write_access_files(data, url, secrets)
    server.app = create_application(cloud, secrets.admin_token)
    stop_on_signals(server)
    click.echo(f"Sandbox cloud on {url} (access: {data / 'clouds.yaml'})")
    try:
        server.serve_forever(poll_interval=0.1)
    finally:
        server.server_close()
        cloud.store.close()


def check_floating_range(floating_range: str) -> None:
    """Floating IPs are loopback addresses, so that nodes can answer on them without a network."""
    network = ipaddress.ip_network(floating_range)
    if network.version != 4 or network.prefixlen != 24 or not network.is_loopback:
        raise ValueError(f"{floating_range}: floating IPs need a /24 network inside 127.0.0.0/8")


def stop_on_signals(server: BaseWSGIServer) -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        # shutdown() waits for the loop that this very thread runs, so another thread must ask for it.
        threading.Thread(target=server.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


def public_key(data: Path) -> str:
    """The public half of `<data>/id_ed25519`, which is made once: a newcomer need not have a key to try the cloud."""
    path = data / "id_ed25519"
    if not path.exists():
        private = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        write_private(path, private.decode())
    key = serialization.load_ssh_private_key(path.read_bytes(), password=None)
    shown = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return f"{shown.decode()} sandbox"


def write_access_files(data: Path, url: str, secrets: Secrets) -> None:
    common = {"region_name": REGION, "interface": "public", "identity_api_version": 3}
    auth_url = f"{url}/identity/v3"
    by_password = {
        "auth_url": auth_url,
        "username": "demo",
        "password": secrets.password,
        "project_name": "demo",
        "user_domain_name": "Default",
        "project_domain_name": "Default",
    }
    by_credential = {
        "auth_url": auth_url,
        "application_credential_id": secrets.application_credential_id,
        "application_credential_secret": secrets.application_credential_secret,
    }
    clouds = {
        "sandbox": {"auth": by_password, **common},
        "sandbox-app": {"auth_type": "v3applicationcredential", "auth": by_credential, **common},
    }
    write_private(data / "clouds.yaml", yaml.safe_dump({"clouds": clouds}, sort_keys=False))
    write_private(data / "admin-token", secrets.admin_token + "\n")


def write_private(path: Path, text: str) -> None:
    """Writes the file at once or not at all, readable by its owner only."""
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    new.replace(path)
