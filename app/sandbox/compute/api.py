"""Nova's other calls: versions, flavors, key pairs, limits, quotas, availability zones."""

import base64
import hashlib
from urllib.parse import urlencode

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from flask import request

from .. import quotas, stamps
from ..errors import BadRequestError, ConflictError, ForbiddenError, NotFoundError
from ..identity.models import Project
from ..wire import Json, Reply, caller, cloud, page_limit, part, public, url
from . import actions, attachments, documents, servers
from .creation import usage
from .microversion import HIGHEST, LOWEST, as_text, speaks
from .models import Flavor, Keypair
from .routes import after_marker, blueprint


def version() -> Json:
    return {
        "id": "v2.1",
        "status": "CURRENT",
        "version": as_text(HIGHEST),
        "min_version": as_text(LOWEST),
        "updated": "2013-07-23T11:33:21Z",
        "links": [{"rel": "self", "href": url("/compute/v2.1/")}],
    }


@blueprint.get("/")
@public
def versions() -> Reply:
    return {"versions": [version()]}


@blueprint.get("/v2.1/")
@public
def version_2_1() -> Reply:
    media = [{"base": "application/json", "type": "application/vnd.openstack.compute+json;version=2.1"}]
    return {"version": {**version(), "media-types": media}}


@blueprint.get("/v2.1/flavors")
@blueprint.get("/v2.1/flavors/detail")
def list_flavors() -> Reply:
    found = sorted(cloud().table(Flavor), key=lambda each: each.id)
    sort_key = request.args.get("sort_key", "flavorid")
    names = {"flavorid": "id", "name": "name", "memory_mb": "ram", "vcpus": "vcpus", "root_gb": "disk"}
    if sort_key not in names:
        raise BadRequestError(f"Invalid input for query parameters sort_key. Value: {sort_key}.")
    found.sort(key=lambda each: getattr(each, names[sort_key]), reverse=request.args.get("sort_dir") == "desc")
    for key, field in (("minRam", "ram"), ("minDisk", "disk")):
        if key in request.args:
            if not request.args[key].isdigit():
                raise BadRequestError(f"Invalid {key} filter [{request.args[key]}]")
            found = [each for each in found if getattr(each, field) >= int(request.args[key])]
    found, limit = after_marker(found), page_limit(1000)
    page = found[:limit]
    if request.path.rstrip("/").endswith("/detail"):
        items = [documents.flavor(cloud(), each) for each in page]
    else:
        items = [
            {
                "id": each.id,
                "name": each.name,
                "links": documents.links(cloud(), "flavors", each.id),
                **({"description": each.description} if speaks(55) else {}),
            }
            for each in page
        ]
    reply: Json = {"flavors": items}
    if page and len(page) == limit:
        query = [(name, value) for name, value in request.args.items(multi=True) if name != "marker"]
        following = urlencode([*query, ("marker", page[-1].id)])
        reply["flavors_links"] = [{"rel": "next", "href": url(f"{request.path}?{following}")}]
    return reply


def find_flavor(flavor_id: str) -> Flavor:
    flavor = cloud().table(Flavor).get(flavor_id)
    if flavor is None:
        raise NotFoundError(f"Flavor {flavor_id} could not be found.")
    return flavor


@blueprint.get("/v2.1/flavors/<flavor_id>")
def show_flavor(flavor_id: str) -> Reply:
    return {"flavor": documents.flavor(cloud(), find_flavor(flavor_id))}


@blueprint.get("/v2.1/flavors/<flavor_id>/os-extra_specs")
def show_extra_specs(flavor_id: str) -> Reply:
    return {"extra_specs": find_flavor(flavor_id).extra_specs}


@blueprint.route("/v2.1/flavors", methods=["POST"])
@blueprint.route("/v2.1/flavors/<flavor_id>", methods=["DELETE", "PUT"])
def change_flavor(flavor_id: str | None = None) -> Reply:
    raise ForbiddenError("Policy doesn't allow os_compute_api:os-flavor-manage to be performed.")


# --- key pairs


def keypair_document(keypair: Keypair) -> Json:
    found: Json = {"name": keypair.name, "public_key": keypair.public_key, "fingerprint": keypair.fingerprint}
    if speaks(2):
        found["type"] = keypair.type
    return found


@blueprint.get("/v2.1/os-keypairs")
def list_keypairs() -> Reply:
    own = sorted(cloud().table(Keypair).where(user_id=caller().user_id), key=lambda each: each.name)
    if speaks(35):
        own = after_marker(own, "name")[: page_limit(1000)]
    return {"keypairs": [{"keypair": keypair_document(each)} for each in own]}


@blueprint.post("/v2.1/os-keypairs")
def create_keypair() -> Reply:
    values = part("keypair")
    name, public_key = values.get("name"), values.get("public_key")
    if not isinstance(name, str) or not 0 < len(name) <= 255 or name != name.strip():
        raise BadRequestError(
            f"Invalid input for field/attribute name. Value: {name}. A key pair's name has 1 to 255 characters"
        )
    if values.get("user_id") not in {None, caller().user_id}:
        raise ForbiddenError("Policy doesn't allow os_compute_api:os-keypairs:create to be performed.")
    table, private_key = cloud().table(Keypair), None
    own = table.where(user_id=caller().user_id)
    if any(each.name == name for each in own):
        raise ConflictError(f"Key pair '{name}' already exists.")
    limit = quotas.limits(cloud(), "compute", caller().project_id)["key_pairs"]
    if not quotas.fits(limit, len(own), 1):
        raise ForbiddenError("Quota exceeded, too many key pairs.")
    if public_key is None:
        if speaks(92):
            raise BadRequestError("Invalid input for field/attribute keypair. 'public_key' is a required property")
        private_key, public_key = _new_key(name)
    keypair = table.put(
        Keypair(
            id=f"{caller().user_id}/{name}",
            number=max((each.number for each in table), default=0) + 1,
            user_id=caller().user_id,
            name=name,
            public_key=public_key,
            fingerprint=fingerprint_of(public_key),
            created_at=cloud().now,
        )
    )
    answer = {**keypair_document(keypair), "user_id": keypair.user_id}
    if private_key:
        answer["private_key"] = private_key
    return {"keypair": answer}, 201 if speaks(2) else 200


def _new_key(name: str) -> tuple[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    shown = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private.decode(), f"{shown.decode()} Generated-by-Nova"


def fingerprint_of(public_key: str) -> str:
    """MD5 in pairs of hexadecimal digits, as Nova shows it. Raises BadRequestError for what is no SSH public key."""
    try:
        parts = public_key.split()
        serialization.load_ssh_public_key(" ".join(parts[:2]).encode())
        blob = base64.b64decode(parts[1])
    except (ValueError, IndexError, AttributeError) as error:
        raise BadRequestError("Keypair data is invalid: failed to generate fingerprint") from error
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[at : at + 2] for at in range(0, 32, 2))


def find_keypair(name: str) -> Keypair:
    keypair = cloud().table(Keypair).get(f"{request.args.get('user_id') or caller().user_id}/{name}")
    if keypair is None or keypair.user_id != caller().user_id:
        raise NotFoundError(f"Keypair {name} not found for user {caller().user_id}")
    return keypair


@blueprint.get("/v2.1/os-keypairs/<path:name>")
def show_keypair(name: str) -> Reply:
    keypair = find_keypair(name)
    extended = {
        "user_id": keypair.user_id,
        "id": keypair.number,
        "created_at": stamps.with_microseconds(keypair.created_at),
        "updated_at": None,
        "deleted": False,
        "deleted_at": None,
    }
    return {"keypair": {**keypair_document(keypair), **extended}}


@blueprint.delete("/v2.1/os-keypairs/<path:name>")
def delete_keypair(name: str) -> Reply:
    cloud().table(Keypair).drop(find_keypair(name).id)
    return "", 204 if speaks(2) else 202


# --- limits, quotas, zones


@blueprint.get("/v2.1/limits")
def show_limits() -> Reply:
    limits, used = quotas.limits(cloud(), "compute", caller().project_id), usage(cloud(), caller().project_id)
    absolute = {
        "maxTotalInstances": limits["instances"],
        "maxTotalCores": limits["cores"],
        "maxTotalRAMSize": limits["ram"],
        "maxServerMeta": limits["metadata_items"],
        "maxTotalKeypairs": limits["key_pairs"],
        "maxServerGroups": limits["server_groups"],
        "maxServerGroupMembers": limits["server_group_members"],
        "totalInstancesUsed": used["instances"],
        "totalCoresUsed": used["cores"],
        "totalRAMUsed": used["ram"],
        "totalServerGroupsUsed": 0,
    }
    if not speaks(36):
        absolute |= {
            "maxTotalFloatingIps": -1,
            "maxSecurityGroups": -1,
            "maxSecurityGroupRules": -1,
            "totalFloatingIpsUsed": 0,
            "totalSecurityGroupsUsed": 0,
        }
    if not speaks(39):
        absolute["maxImageMeta"] = limits["metadata_items"]
    if not speaks(57):
        absolute |= {"maxPersonality": 5, "maxPersonalitySize": 10240}
    return {"limits": {"rate": [], "absolute": absolute}}


NETWORK_QUOTAS = {"fixed_ips", "floating_ips", "security_groups", "security_group_rules", "networks"}
FILE_QUOTAS = {"injected_files", "injected_file_content_bytes", "injected_file_path_bytes"}


@blueprint.get("/v2.1/os-quota-sets/<project_id>")
@blueprint.get("/v2.1/os-quota-sets/<project_id>/<any(defaults,detail):view>")
def show_quota(project_id: str, view: str = "") -> Reply:
    is_own = project_id == caller().project_id or caller().is_admin
    if cloud().table(Project).get(project_id) is None or not is_own:
        raise ForbiddenError("Policy doesn't allow os_compute_api:os-quota-sets:show to be performed.")
    limits = quotas.DEFAULTS["compute"] if view == "defaults" else quotas.limits(cloud(), "compute", project_id)
    hidden = (NETWORK_QUOTAS if speaks(36) else {"networks"}) | (FILE_QUOTAS if speaks(57) else set())
    shown = {name: limit for name, limit in limits.items() if name not in hidden}
    if view != "detail":
        return {"quota_set": {"id": project_id, **shown}}
    used = usage(cloud(), project_id)
    sets = {name: {"limit": limit, "in_use": used.get(name, 0), "reserved": 0} for name, limit in shown.items()}
    return {"quota_set": {"id": project_id, **sets}}


@blueprint.get("/v2.1/os-availability-zone")
def list_availability_zones() -> Reply:
    zone = {"zoneName": "nova", "zoneState": {"available": True}, "hosts": None}
    return {"availabilityZoneInfo": [zone]}


@blueprint.get("/v2.1/os-server-groups")
def list_server_groups() -> Reply:
    return {"server_groups": []}


@blueprint.get("/v2.1/extensions")
def list_extensions() -> Reply:
    return {"extensions": []}


__all__ = ["actions", "attachments", "blueprint", "servers"]
