"""Where a benchmark takes place: a hub with its default settings, a sandbox cloud, and folders of their own."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.cloud.credential import flatten
from app.settings import Settings
from tests.bench.client import Client
from tests.processes import Hub, clean_environment, free_port
from tests.sandbox import process as sandbox_process

FLOATING_RANGE = "127.98.0.0/24"
BOOT_SECONDS = 0.5
_names = itertools.count(1)


def cache() -> Path:
    """The mirror of the providers that `make setup` made."""
    return cache_home() / "providers"


def cache_home() -> Path:
    """Where `make setup` keeps what it makes."""
    given = os.environ.get("MCHUB_CACHE")
    return Path(given or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "mchub").expanduser()


def fresh_name() -> str:
    """A cluster name that this run has not used."""
    return f"bench{next(_names)}"


def hub_at(data: Path, clouds_yaml: Path | None = None) -> Hub:
    """A hub with the product's default settings, not started; without a cloud if none is given."""
    port = free_port()
    cloud = {} if clouds_yaml is None else {"OS_CLIENT_CONFIG_FILE": str(clouds_yaml), "OS_CLOUD": "sandbox"}
    return Hub(data, port, clean_environment(MCHUB_DATA=str(data), MCHUB_PORT=str(port), **cloud))


def settings_of(hub: Hub) -> Settings:
    """The hub's settings, for a bench that writes rows into its database."""
    return Settings(data=hub.data, port=hub.port, cache=cache_home())


@dataclass
class Place:
    """A hub and its cloud."""

    hub: Hub
    sandbox: sandbox_process.Sandbox
    folder: Path

    def client(self) -> Client:
        """A connection of one's own to the hub."""
        return Client(self.hub.port)

    def credential(self) -> dict[str, str]:
        """The hub's cloud credential as plain `OS_*` variables."""
        return flatten({"OS_CLIENT_CONFIG_FILE": str(self.sandbox.clouds_yaml), "OS_CLOUD": "sandbox"})


@contextmanager
def open_place(folder: Path) -> Iterator[Place]:
    """Start hub and cloud; end them."""
    folder.mkdir(parents=True)
    cloud = sandbox_process.start(folder / "sandbox", floating_range=FLOATING_RANGE, boot_seconds=BOOT_SECONDS)
    try:
        without_quotas(cloud)
        hub = hub_at(folder / "data", cloud.clouds_yaml).start()
        try:
            yield Place(hub, cloud, folder)
        finally:
            hub.stop()
    finally:
        cloud.stop()


def without_quotas(cloud: sandbox_process.Sandbox) -> None:
    """No quota: the clusters of a whole run stand side by side."""
    cloud.admin.quotas(**{name: dict.fromkeys(limits, -1) for name, limits in QUOTAS.items()})


QUOTAS = {
    "compute": ("instances", "cores", "ram"),
    "volume": ("volumes", "gigabytes"),
    "network": ("floatingip", "port", "security_group", "security_group_rule", "network", "subnet", "router"),
}
