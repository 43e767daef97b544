"""The calls on servers: create, list, show, rename, delete, and their metadata and tags."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from flask import request

from ..errors import BadRequestError, ConflictError, NotFoundError
from ..wire import Json, Reply, body, caller, cloud, page_limit, part, url
from . import documents, lifecycle
from .creation import admin_password, check_metadata, check_name, create_servers
from .microversion import speaks
from .models import Server
from .routes import after_marker, blueprint, find_server

LIMIT = 1000  # nova.conf [api] max_limit


@blueprint.post("/v2.1/servers")
def create_server() -> Reply:
    values = part("server")
    servers = create_servers(cloud(), caller(), values)
    if values.get("return_reservation_id"):
        return {"reservation_id": servers[0].reservation_id}, 202
    server = servers[0]
    groups = [{"name": name} for name in server.requested_groups]
    answer: Json = {
        "id": server.id,
        "links": documents.links(cloud(), "servers", server.id),
        "OS-DCF:diskConfig": server.disk_config,
        "security_groups": groups,
        "adminPass": values.get("adminPass") or admin_password(),
    }
    return {"server": answer}, 202, {"Location": url(f"/compute/v2.1/servers/{server.id}")}


@blueprint.get("/v2.1/servers")
@blueprint.get("/v2.1/servers/detail")
def list_servers() -> Reply:
    with_details = request.path.rstrip("/").endswith("/detail")
    found = [each for each in cloud().table(Server) if each.project_id == caller().project_id and _passes(each)]
    found = after_marker(_sorted(found))
    limit = page_limit(LIMIT)
    page = found[:limit]
    if with_details:
        items = [documents.server(cloud(), each) for each in page]
    else:
        items = [
            {"id": each.id, "name": each.name, "links": documents.links(cloud(), "servers", each.id)} for each in page
        ]
    reply: Json = {"servers": items}
    if page and (len(found) > limit or len(page) == limit):
        query = [(name, value) for name, value in request.args.items(multi=True) if name != "marker"]
        following = urlencode([*query, ("marker", page[-1].id)])
        reply["servers_links"] = [{"rel": "next", "href": url(f"{request.path}?{following}")}]
    return reply


def _passes(server: Server) -> bool:
    query = request.args
    checks: dict[str, Callable[[str], bool]] = {
        "name": lambda wanted: re.search(wanted, server.name) is not None,
        "status": lambda _: server.status in {each.upper() for each in query.getlist("status")},
        "image": lambda wanted: server.image_id == wanted,
        "flavor": lambda wanted: server.flavor.id == wanted,
        "uuid": lambda wanted: server.id == wanted,
        "key_name": lambda wanted: server.key_name == wanted,
        "vm_state": lambda wanted: server.vm_state == wanted,
        "availability_zone": lambda wanted: server.availability_zone == wanted,
        "tags": lambda wanted: set(wanted.split(",")) <= set(server.tags),
        "tags-any": lambda wanted: bool(set(wanted.split(",")) & set(server.tags)),
        "not-tags": lambda wanted: not set(wanted.split(",")) <= set(server.tags),
        "not-tags-any": lambda wanted: not set(wanted.split(",")) & set(server.tags),
        "ip": lambda wanted: any(re.search(wanted, address) for address in _fixed_addresses(server)),
        "deleted": lambda wanted: wanted.lower() not in {"true", "1"},
    }
    try:
        return all(checks[name](wanted) for name, wanted in query.items() if name in checks)
    except re.error as error:
        raise BadRequestError(f"Invalid filter: {error}") from error


def _fixed_addresses(server: Server) -> list[str]:
    return [each.ip_address for port in documents.ports_of(cloud(), server) for each in port.fixed_ips]


SORT_KEYS = {
    "created_at": "created_at",
    "updated_at": "updated_at",
    "display_name": "name",
    "uuid": "id",
    "vm_state": "vm_state",
    "launched_at": "launched_at",
    "key_name": "key_name",
}


def _sorted(found: list[Server]) -> list[Server]:
    """By `sort_key` and `sort_dir`; newest first by default."""
    keys = request.args.getlist("sort_key") or ["created_at"]
    directions = request.args.getlist("sort_dir")
    for at, key in reversed(list(enumerate(keys))):
        if key not in SORT_KEYS:
            raise BadRequestError(
                f"Invalid input for query parameters sort_key. Value: {key}. '{key}' is not one of the keys"
            )
        descending = (directions[at] if at < len(directions) else "desc") == "desc"
        found = sorted(found, key=_sort_value(SORT_KEYS[key]), reverse=descending)
    return found


def _sort_value(name: str) -> Any:
    return lambda server: (getattr(server, name) is not None, getattr(server, name))


@blueprint.get("/v2.1/servers/<server_id>")
def show_server(server_id: str) -> Reply:
    return {"server": documents.server(cloud(), find_server(server_id))}


@blueprint.put("/v2.1/servers/<server_id>")
def update_server(server_id: str) -> Reply:
    server, values = find_server(server_id), part("server")
    changes: Json = {}
    if "name" in values:
        changes["name"] = check_name(values["name"])
    if "description" in values and speaks(19):
        changes["description"] = values["description"]
    return {"server": documents.server(cloud(), lifecycle.change(cloud(), server, **changes))}


@blueprint.delete("/v2.1/servers/<server_id>")
def delete_server(server_id: str) -> Reply:
    lifecycle.start_deleting(cloud(), find_server(server_id))
    return "", 204


@blueprint.route("/v2.1/servers/<server_id>/metadata", methods=["GET", "POST", "PUT"])
def server_metadata(server_id: str) -> Reply:
    server = find_server(server_id)
    if request.method != "GET":
        kept = server.metadata if request.method == "POST" else {}
        metadata = check_metadata(cloud(), caller(), {**kept, **part("metadata")})
        server = _keep_metadata(server, metadata)
    return {"metadata": server.metadata}


def _keep_metadata(server: Server, metadata: dict[str, str]) -> Server:
    if server.task_state == "deleting":
        raise ConflictError(f"Cannot 'update metadata' instance {server.id} while it is in task_state deleting")
    return lifecycle.change(cloud(), server, metadata=metadata)


@blueprint.route("/v2.1/servers/<server_id>/metadata/<key>", methods=["GET", "PUT", "DELETE"])
def server_metadatum(server_id: str, key: str) -> Reply:
    server = find_server(server_id)
    if request.method == "PUT":
        value = part("meta")
        if set(value) != {key}:
            raise BadRequestError("Request body and URI mismatch")
        server = _keep_metadata(server, check_metadata(cloud(), caller(), {**server.metadata, **value}))
    if key not in server.metadata:
        raise NotFoundError("Metadata item was not found")
    if request.method == "DELETE":
        _keep_metadata(server, {name: value for name, value in server.metadata.items() if name != key})
        return "", 204
    return {"meta": {key: server.metadata[key]}}


@blueprint.route("/v2.1/servers/<server_id>/tags", methods=["GET", "PUT", "DELETE"])
def server_tags(server_id: str) -> Reply:
    server = _taggable(server_id)
    if request.method == "GET":
        return {"tags": server.tags}
    tags = body().get("tags", []) if request.method == "PUT" else []
    if len(tags) > 50:
        raise BadRequestError(
            "Invalid input for field/attribute tags. The number of tags exceeded the per-server limit 50"
        )
    server = lifecycle.change(cloud(), server, tags=sorted({str(tag) for tag in tags}))
    return ({"tags": server.tags}, 200) if request.method == "PUT" else ("", 204)


@blueprint.route("/v2.1/servers/<server_id>/tags/<tag>", methods=["GET", "PUT", "DELETE"])
def server_tag(server_id: str, tag: str) -> Reply:
    server = _taggable(server_id)
    is_there = tag in server.tags
    if request.method == "PUT":
        lifecycle.change(cloud(), server, tags=sorted({*server.tags, tag}))
        return "", 204 if is_there else 201
    if not is_there:
        raise NotFoundError(f"Server {server_id} has no tag '{tag}'")
    if request.method == "DELETE":
        lifecycle.change(cloud(), server, tags=[each for each in server.tags if each != tag])
    return "", 204


def _taggable(server_id: str) -> Server:
    if not speaks(26):
        raise NotFoundError("The resource could not be found.")
    return find_server(server_id)
