"""Cinder's calls."""

from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, g, request

from .. import quotas, stamps
from ..errors import BadRequestError, NotAcceptableError, NotFoundError
from ..identity.models import Project
from ..wire import Json, Reply, body, caller, cloud, page_limit, part, public, url
from . import volumes
from .models import DEFAULT_TYPE, Attachment, Volume, VolumeType

blueprint = Blueprint("volume", __name__, url_prefix="/volume")
LOWEST, HIGHEST = (3, 0), (3, 71)
OF_PROJECT = "/v3/<project_id>"


def version() -> Json:
    return {
        "id": "v3.0",
        "status": "CURRENT",
        "version": "3.71",
        "min_version": "3.0",
        "updated": "2023-08-31T00:00:00Z",
        "links": [{"rel": "self", "href": url("/volume/v3/")}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.volume+json;version=3"}],
    }


@blueprint.get("/")
@public
def versions() -> Reply:
    return {"versions": [version()]}, 300


@blueprint.get("/v3/")
@public
def version_3() -> Reply:
    return {"versions": [version()]}


@blueprint.url_value_preprocessor
def check_project(_endpoint: str | None, values: dict[str, Any] | None) -> None:
    g.url_project = (values or {}).pop("project_id", None)


@blueprint.before_request
def take_microversion() -> None:
    g.microversion = LOWEST
    for each in request.headers.get("OpenStack-API-Version", "").split(","):
        kind, _, text = each.strip().partition(" ")
        if kind != "volume":
            continue
        if text == "latest":
            g.microversion = HIGHEST
            continue
        major, _, minor = text.partition(".")
        if not (major.isdigit() and minor.isdigit()):
            raise BadRequestError(
                f"API Version String '{text}' is of invalid format. Must be of format MajorNum.MinorNum."
            )
        g.microversion = (int(major), int(minor))
        if not LOWEST <= g.microversion <= HIGHEST:
            raise NotAcceptableError(f"Version {text} is not supported by the API. Minimum is 3.0 and maximum is 3.71.")


@blueprint.after_request
def say_microversion(response: Response) -> Response:
    if "microversion" in g:
        response.headers["OpenStack-API-Version"] = "volume {}.{}".format(*g.microversion)
        response.headers["Vary"] = "OpenStack-API-Version"
    return response


def attachment_summary(each: Attachment) -> Json:
    return {
        "id": each.volume_id,
        "attachment_id": each.id,
        "volume_id": each.volume_id,
        "server_id": each.server_id,
        "host_name": None,
        "device": each.device,
        "attached_at": stamps.with_microseconds(each.attached_at),
    }


def document(volume: Volume) -> Json:
    attached = [each for each in cloud().table(Attachment).where(volume_id=volume.id) if each.attached_at]
    found: Json = {
        "id": volume.id,
        "status": volume.status,
        "size": volume.size,
        "availability_zone": volume.availability_zone,
        "created_at": stamps.with_microseconds(volume.created_at),
        "updated_at": stamps.with_microseconds(volume.updated_at),
        "name": volume.name,
        "description": volume.description,
        "volume_type": volume.volume_type,
        "snapshot_id": None,
        "source_volid": None,
        "metadata": volume.metadata,
        "links": [
            {"rel": "self", "href": url(f"/volume/v3/{volume.project_id}/volumes/{volume.id}")},
            {"rel": "bookmark", "href": url(f"/volume/{volume.project_id}/volumes/{volume.id}")},
        ],
        "user_id": volume.user_id,
        "bootable": "true" if volume.is_bootable else "false",
        "encrypted": False,
        "replication_status": None,
        "consistencygroup_id": None,
        "multiattach": volume.multiattach,
        "attachments": [attachment_summary(each) for each in attached],
        "os-vol-tenant-attr:tenant_id": volume.project_id,
    }
    if volume.image_metadata:
        found["volume_image_metadata"] = volume.image_metadata
    if g.microversion >= (3, 13):
        found["group_id"] = None
    if g.microversion >= (3, 21):
        found["provider_id"] = None
    if g.microversion >= (3, 48):
        found |= {"service_uuid": None, "shared_targets": False}
    if g.microversion >= (3, 61):
        found["cluster_name"] = None
    if g.microversion >= (3, 63):
        found["volume_type_id"] = cloud().table(VolumeType).where(name=volume.volume_type)[0].id
    if g.microversion >= (3, 65):
        found["consumes_quota"] = True
    return found


@blueprint.post(f"{OF_PROJECT}/volumes")
def create_volume() -> Reply:
    check_url()
    return {"volume": document(volumes.create(cloud(), caller(), part("volume")))}, 202


def check_url() -> None:
    """Raises BadRequestError when the path is another project's than the token."""
    if g.url_project not in {None, caller().project_id}:
        raise BadRequestError("Malformed request url")


@blueprint.get(f"{OF_PROJECT}/volumes")
@blueprint.get(f"{OF_PROJECT}/volumes/detail")
def list_volumes() -> Reply:
    check_url()
    found = [each for each in reversed(list(cloud().table(Volume))) if each.project_id == caller().project_id]
    for name in ("name", "status", "size", "volume_type", "bootable", "availability_zone"):
        wanted = request.args.get(name)
        if wanted is not None:
            found = [each for each in found if str(document(each)[name]) == wanted]
    limit, marker = page_limit(1000), request.args.get("marker")
    if marker:
        ids = [each.id for each in found]
        if marker not in ids:
            raise NotFoundError(f"Marker {marker} could not be found.")
        found = found[ids.index(marker) + 1 :]
    with_details = request.path.endswith("/detail")
    items = [document(each) for each in found[:limit]]
    reply: Json = {"volumes": items if with_details else [{k: i[k] for k in ("id", "name", "links")} for i in items]}
    if len(found) > limit or ("limit" in request.args and len(found) == limit and limit):
        query = [(name, value) for name, value in request.args.items(multi=True) if name != "marker"]
        following = urlencode([*query, ("marker", found[limit - 1].id)])
        reply["volumes_links"] = [{"rel": "next", "href": url(f"{request.path}?{following}")}]
    return reply


@blueprint.get(f"{OF_PROJECT}/volumes/summary")
def summary() -> Reply:
    used = volumes.usage(cloud(), caller().project_id)
    return {"volume-summary": {"total_count": used["volumes"], "total_size": used["gigabytes"], "metadata": {}}}


@blueprint.get(f"{OF_PROJECT}/volumes/<volume_id>")
def show_volume(volume_id: str) -> Reply:
    check_url()
    return {"volume": document(volumes.find(cloud(), caller(), volume_id))}


@blueprint.put(f"{OF_PROJECT}/volumes/<volume_id>")
def update_volume(volume_id: str) -> Reply:
    volume, values = volumes.find(cloud(), caller(), volume_id), part("volume")
    changes: Json = {key: values[key] for key in ("name", "description", "metadata") if key in values}
    if not changes:
        raise BadRequestError(
            "Invalid input for field/attribute volume. At least one of name, description, metadata is needed."
        )
    return {"volume": document(volumes.change(cloud(), volume, **changes))}


@blueprint.delete(f"{OF_PROJECT}/volumes/<volume_id>")
def delete_volume(volume_id: str) -> Reply:
    check_url()
    volumes.delete(cloud(), volumes.find(cloud(), caller(), volume_id))
    return "", 202


@blueprint.route(f"{OF_PROJECT}/volumes/<volume_id>/metadata", methods=["GET", "POST", "PUT"])
def volume_metadata(volume_id: str) -> Reply:
    volume = volumes.find(cloud(), caller(), volume_id)
    if request.method != "GET":
        kept = volume.metadata if request.method == "POST" else {}
        volume = volumes.change(cloud(), volume, metadata={**kept, **part("metadata")})
    return {"metadata": volume.metadata}


@blueprint.delete(f"{OF_PROJECT}/volumes/<volume_id>/metadata/<key>")
def delete_metadata(volume_id: str, key: str) -> Reply:
    volume = volumes.find(cloud(), caller(), volume_id)
    if key not in volume.metadata:
        raise NotFoundError(f"Volume {volume_id} has no metadata with key {key}.")
    volumes.change(cloud(), volume, metadata={k: v for k, v in volume.metadata.items() if k != key})
    return "", 200


@blueprint.post(f"{OF_PROJECT}/volumes/<volume_id>/action")
def act(volume_id: str) -> Reply:
    volume, request_body = volumes.find(cloud(), caller(), volume_id), body()
    match next(iter(request_body), None):
        case "os-extend":
            volumes.extend(cloud(), volume, part("os-extend").get("new_size"), g.microversion)
        case "os-set_bootable":
            volumes.change(cloud(), volume, is_bootable=bool(part("os-set_bootable").get("bootable")))
            return "", 200
        case "os-reset_status" | "os-force_delete" | "os-force_detach" as name:
            raise volumes.refuse_policy(f"volume_extension:volume_admin_actions:{name.removeprefix('os-')}")
        case name:
            raise BadRequestError(f"There is no such action: {name}")
    return "", 202


def type_document(each: VolumeType) -> Json:
    return {
        "id": each.id,
        "name": each.name,
        "description": each.description,
        "is_public": True,
        "extra_specs": each.extra_specs,
        "os-volume-type-access:is_public": True,
        "qos_specs_id": None,
    }


@blueprint.get(f"{OF_PROJECT}/types")
def list_types() -> Reply:
    return {"volume_types": [type_document(each) for each in cloud().table(VolumeType)]}


@blueprint.get(f"{OF_PROJECT}/types/<type_id>")
def show_type(type_id: str) -> Reply:
    if type_id == "default":
        return {"volume_type": type_document(cloud().table(VolumeType).where(name=DEFAULT_TYPE)[0])}
    found = cloud().table(VolumeType).get(type_id)
    if found is None:
        raise NotFoundError(f"Volume type {type_id} could not be found.")
    return {"volume_type": type_document(found)}


@blueprint.get(f"{OF_PROJECT}/os-availability-zone")
def list_availability_zones() -> Reply:
    return {"availabilityZoneInfo": [{"zoneName": "nova", "zoneState": {"available": True}}]}


@blueprint.get(f"{OF_PROJECT}/<any(snapshots,backups,groups):kind>")
@blueprint.get(f"{OF_PROJECT}/<any(snapshots,backups,groups):kind>/detail")
def empty_list(kind: str) -> Reply:
    """What a sandbox never has; their quotas exist all the same."""
    return {kind: []}


@blueprint.get(f"{OF_PROJECT}/<any(snapshots,backups):kind>/<record_id>")
def no_such_record(kind: str, record_id: str) -> Reply:
    raise NotFoundError(f"{kind[:-1].capitalize()} {record_id} could not be found.")


@blueprint.get(f"{OF_PROJECT}/os-quota-sets/<target>")
@blueprint.get(f"{OF_PROJECT}/os-quota-sets/<target>/defaults")
def show_quota(target: str) -> Reply:
    if request.path.endswith("/defaults"):
        return {"quota_set": {"id": target, **quotas.DEFAULTS["volume"]}}
    if cloud().table(Project).get(target) is None or (target != caller().project_id and not caller().is_admin):
        raise volumes.refuse_policy("volume_extension:quotas:show")
    limits, used = quotas.limits(cloud(), "volume", target), volumes.usage(cloud(), target)
    if request.args.get("usage", "").lower() != "true":
        return {"quota_set": {"id": target, **limits}}
    used |= {f"{name}_{DEFAULT_TYPE}": number for name, number in used.items()}
    sets = {
        name: {"limit": limit, "in_use": used.get(name, 0), "reserved": 0, "allocated": 0}
        for name, limit in limits.items()
    }
    return {"quota_set": {"id": target, **sets}}


@blueprint.get(f"{OF_PROJECT}/limits")
def show_limits() -> Reply:
    limits, used = quotas.limits(cloud(), "volume", caller().project_id), volumes.usage(cloud(), caller().project_id)
    absolute = {
        "maxTotalVolumes": limits["volumes"],
        "maxTotalVolumeGigabytes": limits["gigabytes"],
        "maxTotalSnapshots": limits["snapshots"],
        "maxTotalBackups": limits["backups"],
        "maxTotalBackupGigabytes": limits["backup_gigabytes"],
        "totalVolumesUsed": used["volumes"],
        "totalGigabytesUsed": used["gigabytes"],
        "totalSnapshotsUsed": 0,
        "totalBackupsUsed": 0,
        "totalBackupGigabytesUsed": 0,
    }
    return {"limits": {"rate": [], "absolute": absolute}}
