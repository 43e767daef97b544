"""A cluster's nodes as the cloud sees them, beside what the configuration asks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from app.accounts import service as accounts
from app.cloud.flights import Flights
from app.cloud.servers import Server, console, list_servers
from app.clusters.equipment import equipment
from app.clusters.masks import masker_of
from app.clusters.models import Cluster
from app.clusters.schemas import Parameters
from app.errors import NotFound
from app.terraform.templates import ResourceNames

CACHE_SECONDS = 2.0


@dataclass
class ServerCache:
    """The last answer per cluster, so that many browsers make one call."""

    _flights: Flights[list[Server]] = field(default_factory=lambda: Flights(CACHE_SECONDS))

    def servers(self, cluster: Cluster) -> list[Server]:
        """The cluster's servers, at most two seconds old.

        Raises:
            CloudUnavailable: the cloud does not answer.
        """
        room, names = equipment(), server_names(cluster)
        project = accounts.project_of(cluster.project_id)
        return self._flights.get(
            cluster.id,
            lambda: list_servers(room.cloud(project), lambda name: name in names),
            wait_seconds=room.settings.cloud_timeout_seconds,
        )


_cache = ServerCache()


def server_names(cluster: Cluster) -> dict[str, str]:
    """Name in the cloud -> host, of every host that the cluster has or is to have.

    A cluster whose template is gone has names of the usual pattern.
    """
    template = equipment().templates.get(cluster.template)
    pattern = (template.resource_names if template is not None else ResourceNames()).server
    hosts: dict[str, None] = {}
    for configuration in (cluster.applied_parameters, cluster.parameters):
        if configuration is not None:
            hosts |= dict.fromkeys(Parameters.model_validate(configuration).hosts)
    marks = {"cluster_name": cluster.parameters["cluster_name"], "hostname": cluster.hostname}
    return {pattern.format(host=host, **marks): host for host in hosts}


def nodes_json(cluster: Cluster) -> list[dict[str, Any]]:
    """`GET .../nodes`: one entry per host, also for those that the cloud does not have (yet): status ABSENT.

    Raises:
        CloudUnavailable: the cloud does not answer.
    """
    names = server_names(cluster)
    # The servers may be of a moment ago, when the cluster had other hosts.
    present = {names[server.name]: server for server in _cache.servers(cluster) if server.name in names}
    groups = Parameters.model_validate(cluster.parameters).instances
    entries = []
    for host in names.values():
        prefix = next((p for p in sorted(groups, key=len, reverse=True) if host.removeprefix(p).isdigit()), None)
        group = groups[prefix] if prefix is not None else None
        server = present.get(host)
        entries.append(
            {
                "name": host,
                "prefix": prefix,
                "tags": group.tags if group else [],
                "flavor": server.flavor if server else (group.type if group else None),
                "status": server.status if server else "ABSENT",
                "task": server.task if server else None,
                "fault": server.fault if server else None,
                "addresses": list(server.addresses) if server else [],
                "public_addresses": list(server.floating_addresses) if server else [],
                "id": server.id if server else None,
            }
        )
    return entries


def console_text(cluster: Cluster, host: str, lines: int) -> str:
    """The last lines of a node's console, secrets masked: cloud-init may print what it was given.

    Raises:
        NotFound: the cloud has no such server.
        CloudUnavailable: the cloud does not answer.
    """
    names = server_names(cluster)
    server = next((each for each in _cache.servers(cluster) if names.get(each.name) == host), None)
    if server is None:
        raise NotFound(f"The cloud has no server for {host} at present.")
    text = console(equipment().cloud(accounts.project_of(cluster.project_id)), server.id, lines)
    return masker_of(cluster).mask(text.encode()).decode(errors="replace")
