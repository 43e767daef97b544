"""A cluster's servers as the cloud sees them: status, fault, addresses, console."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.cloud.connections import Cloud, asking


@dataclass(frozen=True)
class Server:
    """One server of the project."""

    id: str
    name: str
    status: str
    task: str | None
    fault: str | None
    flavor: str
    addresses: tuple[str, ...]
    floating_addresses: tuple[str, ...]


def list_servers(cloud: Cloud, belongs: Callable[[str], bool]) -> list[Server]:
    """The project's servers whose name `belongs`, in one paged call.

    Raises:
        CloudUnavailable: the cloud does not answer.
    """
    found = asking("servers", lambda: list(cloud.connection.compute.servers(details=True)))
    servers = []
    for each in found:
        if not belongs(each.name or ""):
            continue
        addresses = [entry for entries in (each.addresses or {}).values() for entry in entries]
        servers.append(
            Server(
                id=each.id,
                name=each.name,
                status=each.status or "UNKNOWN",
                task=each.task_state,
                fault=(each.fault or {}).get("message"),
                flavor=(each.flavor or {}).get("original_name") or "",
                addresses=tuple(a["addr"] for a in addresses if a.get("OS-EXT-IPS:type") != "floating"),
                floating_addresses=tuple(a["addr"] for a in addresses if a.get("OS-EXT-IPS:type") == "floating"),
            )
        )
    return sorted(servers, key=lambda server: server.name)


def console(cloud: Cloud, server_id: str, lines: int) -> str:
    """The last `lines` lines of a server's console.

    Raises:
        CloudUnavailable: the cloud does not answer, or has no console for it.
    """
    output = asking("console", lambda: cloud.connection.compute.get_server_console_output(server_id, length=lines))
    return str(output.get("output") or "") if isinstance(output, dict) else str(output or "")
