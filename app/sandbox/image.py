"""Glance, API v2: images, for reading. Nobody uploads to a sandbox."""

import uuid
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, request

from . import stamps
from .errors import BadRequestError, ForbiddenError, NotFoundError
from .store import Record
from .wire import Json, Reply, cloud, page_limit, public, url

DEFAULT_LIMIT, LARGEST_LIMIT = 25, 1000  # Glance's own: limit_param_default, api_limit_max


@dataclass(frozen=True, kw_only=True)
class Image(Record):
    name: str
    owner: str
    created_at: float
    size: int = 5 * 2**30
    min_disk: int = 0  # GB
    min_ram: int = 0  # MB
    disk_format: str = "raw"
    visibility: str = "public"
    status: str = "active"
    tags: list[str] = field(default_factory=list)
    properties: dict[str, str] = field(default_factory=dict)


def document(image: Image) -> Json:
    checksum = uuid.uuid5(uuid.NAMESPACE_OID, image.id).hex
    return {
        **image.properties,
        "name": image.name,
        "disk_format": image.disk_format,
        "container_format": "bare",
        "visibility": image.visibility,
        "size": image.size,
        "virtual_size": image.size,
        "status": image.status,
        "checksum": checksum,
        "protected": False,
        "min_ram": image.min_ram,
        "min_disk": image.min_disk,
        "owner": image.owner,
        "os_hidden": False,
        "os_hash_algo": "sha512",
        "os_hash_value": checksum * 4,
        "id": image.id,
        "created_at": stamps.with_z(image.created_at),
        "updated_at": stamps.with_z(image.created_at),
        "tags": image.tags,
        "self": f"/v2/images/{image.id}",
        "file": f"/v2/images/{image.id}/file",
        "schema": "/v2/schemas/image",
    }


blueprint = Blueprint("image", __name__, url_prefix="/image")


@blueprint.get("/")
@blueprint.get("/versions")
@public
def versions() -> Reply:
    known = [("v2.17", "CURRENT"), ("v2.16", "SUPPORTED"), ("v2.9", "SUPPORTED"), ("v2.0", "SUPPORTED")]
    links = [{"rel": "self", "href": url("/image/v2/")}]
    return {"versions": [{"id": name, "status": status, "links": links} for name, status in known]}, 300


@blueprint.get("/v2/images")
def list_images() -> Reply:
    if "limit" in request.args and not request.args["limit"].isdigit():
        raise BadRequestError("limit param must be an integer")
    limit = page_limit(LARGEST_LIMIT) if "limit" in request.args else DEFAULT_LIMIT
    found = _sorted([each for each in cloud().table(Image) if _passes(each)])
    marker = request.args.get("marker")
    if marker:
        ids = [each.id for each in found]
        if marker not in ids:
            raise BadRequestError("Invalid marker")
        found = found[ids.index(marker) + 1 :]
    query = [(name, value) for name, value in request.args.items(multi=True) if name != "marker"]
    reply: Json = {
        "images": [document(each) for each in found[:limit]],
        "first": "/v2/images" + (f"?{urlencode(query)}" if query else ""),
        "schema": "/v2/schemas/images",
    }
    if len(found) > limit:
        reply["next"] = f"/v2/images?{urlencode([*query, ('marker', found[limit - 1].id)])}"
    return reply


NOT_FILTERS = {"limit", "marker", "sort", "sort_key", "sort_dir", "member_status"}


def _passes(image: Image) -> bool:
    for name in request.args:
        if name not in NOT_FILTERS and not _fits(image, name, request.args.getlist(name)):
            return False
    return True


def _fits(image: Image, name: str, wanted: list[str]) -> bool:
    if name == "tag":
        return set(wanted) <= set(image.tags)
    text = wanted[-1]
    if name in {"size_min", "size_max"}:
        return image.size >= int(text) if name == "size_min" else image.size <= int(text)
    if name == "os_hidden":
        return text.lower() != "true"
    if name == "visibility":
        return text in {"all", image.visibility}
    if name in {"created_at", "updated_at"}:
        return True
    value: Any = getattr(image, name) if name in Image.__dataclass_fields__ else image.properties.get(name)
    if text.startswith("in:"):
        return str(value) in text.removeprefix("in:").split(",")
    return value is not None and str(value) == text


SORT_KEYS = {"name", "status", "disk_format", "size", "id", "created_at", "updated_at", "min_disk", "min_ram"}


def _sorted(found: list[Image]) -> list[Image]:
    """By what `sort` or `sort_key` ask for; newest first by default."""
    pairs = [each.partition(":") for each in request.args.get("sort", "").split(",") if each]
    orders = [(key, direction or "desc") for key, _, direction in pairs]
    keys, directions = request.args.getlist("sort_key"), request.args.getlist("sort_dir")
    orders += [(key, directions[at] if at < len(directions) else "desc") for at, key in enumerate(keys)]
    for key, direction in reversed([*(orders or [("created_at", "desc")]), ("id", "desc")]):
        if key not in SORT_KEYS or direction not in {"asc", "desc"}:
            raise BadRequestError(f"Invalid sort key or direction: {key}:{direction}")
        field_name = "created_at" if key == "updated_at" else key
        found = sorted(found, key=attrgetter(field_name), reverse=direction == "desc")
    return found


def find_image(image_id: str) -> Image:
    image = cloud().table(Image).get(image_id)
    if image is None:
        raise NotFoundError(f"No image found with ID {image_id}")
    return image


@blueprint.get("/v2/images/<image_id>")
def show_image(image_id: str) -> Reply:
    return document(find_image(image_id))


@blueprint.post("/v2/images")
@blueprint.route("/v2/images/<image_id>", methods=["PATCH", "DELETE"])
def change_image(image_id: str | None = None) -> Reply:
    if image_id is not None:
        find_image(image_id)
    raise ForbiddenError("You are not authorized to complete this action.")


@blueprint.get("/v2/images/<image_id>/members")
def list_members(image_id: str) -> Reply:
    find_image(image_id)
    raise ForbiddenError("Only shared images have members.")


@blueprint.get("/v2/schemas/<any(image,images):name>")
def show_schema(name: str) -> Reply:
    if name == "images":
        properties: Json = {"images": {"items": {"type": "object"}, "type": "array"}, "schema": {"type": "string"}}
    else:
        properties = {key: {} for key in ("id", "name", "status", "visibility", "min_disk", "min_ram", "size", "tags")}
    return {"name": name, "properties": properties}
