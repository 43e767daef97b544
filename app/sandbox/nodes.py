"""The nodes: a program that watches a cloud, sandbox or real, and answers on its servers' floating IPs.

It learns all from the cloud's API: which servers are ACTIVE, their floating IP, when they were launched, and the
cluster's
host name from the metadata key `mchub_hostname`. So it may be restarted at any time, and a cloud that is down for a
while
changes nothing for the nodes that are up.
"""

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import openstack

from . import stamps
from .nodes_web import Timing, WebService

log = logging.getLogger(__name__)

HOSTNAME_KEY = "mchub_hostname"
API_TIMEOUT = 10.0  # seconds for the cloud to answer


@dataclass(frozen=True)
class NodesOptions:
    """How nodes behave. The cloud comes from `cloud` (an entry of clouds.yaml), else from `OS_*` and `OS_CLOUD`."""

    cloud: str | None = None
    web_port: int = 8443
    poll_seconds: float = 1.5
    timing: Timing = field(default_factory=Timing)


class Service(Protocol):
    """Something that a node offers, from now until it is cancelled."""

    async def run(self, now: Callable[[], float]) -> None: ...


@dataclass(frozen=True)
class Node:
    """A server as the nodes see it; one that changes in any of this is another node."""

    server_id: str
    name: str
    address: str
    hostname: str | None
    launched_at: float

    def services(self, options: NodesOptions) -> list[Service]:
        return [WebService(self.address, options.web_port, self.hostname, self.launched_at, options.timing)]


def node_of(server: Any) -> Node | None:
    """The node that an openstacksdk server makes: none while it isn't ACTIVE, or has no floating IP."""
    if server.status != "ACTIVE" or not server.launched_at:
        return None
    for interfaces in (server.addresses or {}).values():
        for each in interfaces:
            if each.get("OS-EXT-IPS:type") == "floating" and each.get("version") == 4:
                hostname = (server.metadata or {}).get(HOSTNAME_KEY) or None
                return Node(server.id, server.name, each["addr"], hostname, stamps.seconds(server.launched_at))
    return None


class Watcher:
    """Keeps one set of services running per node."""

    def __init__(self, options: NodesOptions, now: Callable[[], float] = time.time) -> None:
        self.options = options
        self.now = now
        self._connection: openstack.connection.Connection | None = None
        self._running: dict[Node, asyncio.Task[None]] = {}

    def look(self) -> list[Node]:
        """The nodes that the cloud says there are. Raises whatever the cloud makes of the question."""
        if self._connection is None:
            self._connection = openstack.connect(cloud=self.options.cloud, api_timeout=API_TIMEOUT)
        found = (node_of(server) for server in self._connection.compute.servers(details=True))
        return [node for node in found if node is not None]

    async def watch(self, stopped: asyncio.Event) -> None:
        """Looks at the cloud again and again until told to stop; then closes all."""
        was_reached = None
        while not stopped.is_set():
            try:
                nodes = await asyncio.to_thread(self.look)
            except Exception as error:  # whatever a cloud answers, the nodes that are up stay up
                if was_reached is not False:
                    log.warning("the cloud does not answer as it should: %s: %s", type(error).__name__, error)
                was_reached = False
            else:
                if not was_reached:
                    log.info("watching the cloud: %d nodes", len(nodes))
                was_reached = True
                await self.have(nodes)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopped.wait(), self.options.poll_seconds)
        await self.have([])

    async def have(self, nodes: Iterable[Node]) -> None:
        """Starts what is new, ends what is gone."""
        wanted = set(nodes)
        gone = [self._running.pop(node) for node in set(self._running) - wanted]
        for task in gone:
            task.cancel()
        await asyncio.gather(*gone, return_exceptions=True)
        for node in wanted - set(self._running):
            log.info("node %s on %s (%s)", node.name, node.address, node.hostname or "any host name")
            self._running[node] = asyncio.create_task(self._run(node))

    async def _run(self, node: Node) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for service in node.services(self.options):
                    group.create_task(service.run(self.now))
        except* Exception as failures:  # one node's failure is no other node's
            log.exception("node %s ended", node.name, exc_info=failures)


async def run(options: NodesOptions) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await Watcher(options).watch(stopped)


def watch(options: NodesOptions) -> None:
    """Runs until SIGTERM or SIGINT."""
    asyncio.run(run(options))
