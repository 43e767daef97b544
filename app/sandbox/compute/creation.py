"""`POST /servers`: what Nova checks at once, before it answers 202."""

import base64
import binascii
import re
import secrets
import string
import uuid
from typing import Any

from .. import quotas
from ..cloud import Cloud
from ..errors import BadRequestError, ConflictError, ForbiddenError, NotFoundError
from ..identity.models import Caller
from ..image import Image
from ..network import access
from ..network.models import Network, Port, SecurityGroup, Subnet
from ..volume.models import Volume
from .documents import quota_words
from .lifecycle import start_building
from .microversion import speaks
from .models import Flavor, Keypair, Server

Json = dict[str, Any]
UUID = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)


def invalid(name: str, value: object, reason: str) -> BadRequestError:
    return BadRequestError(f"Invalid input for field/attribute {name}. Value: {value}. {reason}")


def admin_password() -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(12))


def create_servers(cloud: Cloud, caller: Caller, values: Json) -> list[Server]:
    """Starts the servers. Raises BadRequestError, ForbiddenError (quota), ConflictError."""
    check_name(values.get("name"))
    flavor = find_flavor(cloud, values.get("flavorRef"))
    devices = _devices(cloud, caller, values)
    image = _image(cloud, values.get("imageRef"), devices)
    if image is not None:
        _check_size(image, flavor, boots_from_volume=False)
    number = _number(values)
    networks = _networks(cloud, caller, values)
    keypair = _keypair(cloud, caller, values.get("key_name"))
    common: Json = {
        "project_id": caller.project_id,
        "user_id": caller.user_id,
        "flavor": flavor,
        "image_id": image.id if image else None,
        "created_at": cloud.now,
        "updated_at": cloud.now,
        "key_name": keypair.name if keypair else None,
        "user_data": check_user_data(values.get("user_data")),
        "config_drive": _config_drive(values.get("config_drive")),
        "metadata": check_metadata(cloud, caller, values.get("metadata")),
        "tags": _tags(values.get("tags")),
        "description": values.get("description"),
        "requested_zone": _zone(values.get("availability_zone")),
        "disk_config": values.get("OS-DCF:diskConfig") or "MANUAL",
        "reservation_id": "r-" + secrets.token_hex(4),
        "requested_networks": networks,
        "requested_groups": _groups(cloud, caller, values),
        "requested_devices": devices,
    }
    check_quota(cloud, caller.project_id, flavor, number)
    return [
        start_building(cloud, Server(id=str(uuid.uuid4()), name=_name(values["name"], at, number), **common))
        for at in range(1, number + 1)
    ]


def _name(name: str, at: int, number: int) -> str:
    return name if number == 1 else f"{name}-{at}"


def check_name(name: object) -> str:
    if name is None:
        raise BadRequestError("Invalid input for field/attribute server. 'name' is a required property")
    if not isinstance(name, str):
        raise invalid("name", name, f"{name} is not of type 'string'")
    if not 1 <= len(name) <= 255:
        raise invalid("name", name, f"'{name}' is too {'long' if name else 'short'}")
    if name != name.strip() and speaks(2):
        raise invalid("name", name, f"'{name}' does not match valid name format: no leading or trailing whitespace")
    return name


def find_flavor(cloud: Cloud, reference: object) -> Flavor:
    flavor_id = str(reference).rstrip("/").rsplit("/", 1)[-1]
    flavor = cloud.table(Flavor).get(flavor_id) if reference else None
    if flavor is None:
        raise BadRequestError(
            f"Flavor {flavor_id} could not be found."
            if reference
            else "Invalid input for field/attribute server. 'flavorRef' is a required property"
        )
    return flavor


def _image(cloud: Cloud, reference: object, devices: list[Json]) -> Image | None:
    """The image to boot; None when the first device is what it boots from."""
    boots_from_volume = any(
        device.get("boot_index") == 0 and device.get("destination_type") == "volume" for device in devices
    )
    if not reference:
        if not boots_from_volume:
            raise BadRequestError("Invalid imageRef provided.")
        return None
    image = cloud.table(Image).get(str(reference).rsplit("/", 1)[-1])
    if image is None:
        raise BadRequestError("Can not find requested image")
    if image.status != "active":
        raise BadRequestError(f"Image {image.id} is not active.")
    return None if boots_from_volume else image


def _check_size(image: Image, flavor: Flavor, boots_from_volume: bool) -> None:
    if flavor.ram < image.min_ram:
        raise BadRequestError("Flavor's memory is too small for requested image.")
    if not boots_from_volume and flavor.disk and flavor.disk < image.min_disk:
        raise BadRequestError(
            "Flavor's disk is smaller than the minimum size specified in image metadata. Flavor disk is"
            f" {flavor.disk * 2**30} bytes, minimum size is {image.min_disk * 2**30} bytes."
        )


def _number(values: Json) -> int:
    """How many servers to make: as many as may be. Raises BadRequestError."""
    smallest = int(values.get("min_count") or 1)
    largest = int(values.get("max_count") or smallest)
    if smallest > largest:
        raise BadRequestError("min_count must be <= max_count")
    return largest


def check_quota(cloud: Cloud, project_id: str, flavor: Flavor, number: int, leaving: Flavor | None = None) -> None:
    """Raises ForbiddenError in Nova's words; `leaving` is the flavor that a resize gives back."""
    limits, used = quotas.limits(cloud, "compute", project_id), usage(cloud, project_id)
    asked = {"cores": flavor.vcpus * number, "instances": 0 if leaving else number, "ram": flavor.ram * number}
    if leaving:
        asked["cores"] -= leaving.vcpus
        asked["ram"] -= leaving.ram
    over = [
        (name, asked[name], used[name], limits[name])
        for name in sorted(asked)
        if not quotas.fits(limits[name], used[name], asked[name])
    ]
    if over:
        raise ForbiddenError(quota_words(over))


def usage(cloud: Cloud, project_id: str) -> dict[str, int]:
    """What the project's servers take; one being resized counts with the larger of its flavors."""
    own = cloud.table(Server).where(project_id=project_id)
    return {
        "instances": len(own),
        "cores": sum(max(each.flavor.vcpus, each.old_flavor.vcpus if each.old_flavor else 0) for each in own),
        "ram": sum(max(each.flavor.ram, each.old_flavor.ram if each.old_flavor else 0) for each in own),
    }


def _networks(cloud: Cloud, caller: Caller, values: Json) -> list[Json] | str:
    """The requested networks, each checked; `none`, or the project's one network when none is named."""
    wanted = values.get("networks")
    if wanted is None and speaks(37):
        raise BadRequestError("Invalid input for field/attribute server. 'networks' is a required property")
    if isinstance(wanted, str):
        if not speaks(37) or wanted not in {"auto", "none"}:
            raise invalid("networks", wanted, f"'{wanted}' is not of type 'array'")
        if wanted == "none":
            return "none"
    if not wanted or wanted == "auto":
        return _only_network(cloud, caller)
    return [_network(cloud, caller, each) for each in wanted]


def _only_network(cloud: Cloud, caller: Caller) -> list[Json]:
    own = [
        network
        for network in cloud.table(Network)
        if (network.project_id == caller.project_id or network.is_shared) and not network.is_external
    ]
    if len(own) > 1:
        raise ConflictError("Multiple possible networks found, use a Network ID to be more specific.")
    return [{"uuid": network.id} for network in own]


def _network(cloud: Cloud, caller: Caller, wanted: Json) -> Json:
    if wanted.get("port"):
        port = cloud.table(Port).get(wanted["port"])
        if port is None or not access.sees(cloud, caller, port):
            raise BadRequestError(f"Port id {wanted['port']} could not be found.")
        if port.device_id:
            raise ConflictError(f"Port {port.id} is still in use.")
        if not port.fixed_ips:
            raise BadRequestError(f"Port {port.id} requires a FixedIP in order to be used.")
        return {"port": port.id}
    if not wanted.get("uuid"):
        raise BadRequestError("Invalid input for field/attribute 0. Either port or uuid must be given for a network.")
    network = cloud.table(Network).get(wanted["uuid"])
    if network is None or not access.sees(cloud, caller, network):
        raise BadRequestError(f"Network {wanted['uuid']} could not be found.")
    if network.is_external and not network.is_shared and not caller.is_admin:
        raise ForbiddenError(f"It is not allowed to create an interface on external network {network.id}")
    subnets = cloud.table(Subnet).where(network_id=network.id)
    if not subnets:
        raise BadRequestError(f"Network {network.id} requires a subnet in order to boot instances on.")
    limits = quotas.limits(cloud, "network", caller.project_id)
    if not quotas.fits(limits["port"], access.used(cloud, caller.project_id, Port), 1):
        raise ForbiddenError("Maximum number of ports exceeded")
    return {"uuid": network.id, **({"fixed_ip": wanted["fixed_ip"]} if wanted.get("fixed_ip") else {})}


def _groups(cloud: Cloud, caller: Caller, values: Json) -> list[str]:
    wanted = values.get("security_groups") or [{"name": "default"}]
    names = [str(each.get("name")) for each in wanted]
    own = cloud.table(SecurityGroup).where(project_id=caller.project_id)
    for name in names:
        found = [group for group in own if name in {group.id, group.name}]
        if not found and name != "default":
            raise BadRequestError(f"Security group {name} not found for project {caller.project_id}.")
        if len(found) > 1:
            raise ConflictError(f"Multiple security groups found matching '{name}'. Use an ID to be more specific.")
    return list(dict.fromkeys(names))


def _keypair(cloud: Cloud, caller: Caller, name: object) -> Keypair | None:
    if name is None:
        return None
    keypair = cloud.table(Keypair).get(f"{caller.user_id}/{name}")
    if keypair is None:
        raise BadRequestError("Invalid key_name provided.")
    return keypair


def check_user_data(text: object) -> str | None:
    if text is None:
        return None
    if not isinstance(text, str) or len(text) > 65535:
        raise invalid("user_data", str(text)[:40], "user_data is too long")
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise invalid("user_data", text[:40], f"'{text[:40]}' is not a 'base64'") from error
    return text


def _config_drive(value: object) -> bool:
    return str(value).lower() in {"true", "1", "yes"} if value is not None else False


def check_metadata(cloud: Cloud, caller: Caller, wanted: object) -> dict[str, str]:
    metadata = wanted if wanted is not None else {}
    if not isinstance(metadata, dict):
        raise invalid("metadata", wanted, f"{wanted} is not of type 'object'")
    for key, value in metadata.items():
        if not re.fullmatch(r"[a-zA-Z0-9-_:. ]{1,255}", key):
            raise invalid(
                "metadata", metadata, f"'{key}' does not match any of the regexes: '^[a-zA-Z0-9-_:. ]{{1,255}}$'"
            )
        if not isinstance(value, str) or len(value) > 255:
            raise invalid(key, value, f"'{value}' is too long" if isinstance(value, str) else "must be a string")
    limit = quotas.limits(cloud, "compute", caller.project_id)["metadata_items"]
    if not quotas.fits(limit, 0, len(metadata)):
        raise ForbiddenError(f"Maximum number of metadata items exceeds {limit}")
    return metadata


def _tags(wanted: object) -> list[str]:
    if wanted is None:
        return []
    if not speaks(52):
        raise BadRequestError("Additional properties are not allowed ('tags' was unexpected)")
    if not isinstance(wanted, list) or len(wanted) > 50:
        raise invalid("tags", wanted, "is too long")
    return sorted({str(tag) for tag in wanted})


def _zone(wanted: object) -> str | None:
    if wanted not in {None, "", "nova"}:
        raise BadRequestError("The requested availability zone is not available")
    return "nova" if wanted else None


def _devices(cloud: Cloud, caller: Caller, values: Json) -> list[Json]:
    """`block_device_mapping_v2`, checked as Nova's API does."""
    wanted = values.get("block_device_mapping_v2") or []
    devices = [dict(each) for each in wanted]
    for device in devices:
        for name in ("volume_size", "boot_index"):
            if device.get(name) is not None:
                device[name] = int(device[name])
        _check_device(cloud, caller, device)
    boot = [device for device in devices if device.get("boot_index") == 0]
    if wanted and not values.get("imageRef") and not boot:
        raise BadRequestError(
            "Block Device Mapping is Invalid: Boot sequence for the instance and image/block device mapping"
            " combination is not valid."
        )
    if len(boot) > 1:
        raise BadRequestError(
            "Block Device Mapping is Invalid: Boot sequence for the instance and image/block device mapping"
            " combination is not valid."
        )
    for device in boot:
        image = cloud.table(Image).get(str(device.get("uuid"))) if device.get("source_type") == "image" else None
        if image is not None:
            _check_size(image, find_flavor(cloud, values.get("flavorRef")), boots_from_volume=True)
    return devices


def _check_device(cloud: Cloud, caller: Caller, device: Json) -> None:
    source, destination = device.get("source_type"), device.get("destination_type") or "local"
    if source not in {"image", "volume", "snapshot", "blank"}:
        raise invalid("source_type", source, f"'{source}' is not one of ['volume', 'image', 'snapshot', 'blank']")
    if device.get("volume_type") and not speaks(67):
        raise BadRequestError("Additional properties are not allowed ('volume_type' was unexpected)")
    if source in {"blank", "image"} and destination == "volume" and not device.get("volume_size"):
        raise BadRequestError(
            "Block Device Mapping is Invalid: Images with destination_type 'volume' need to have a"
            " non-zero size specified"
        )
    if source == "image":
        image = cloud.table(Image).get(str(device.get("uuid")))
        if image is None:
            raise BadRequestError(f"Block Device Mapping is Invalid: failed to get image {device.get('uuid')}.")
        if destination == "volume" and device["volume_size"] < image.min_disk:
            raise BadRequestError(
                f"Volume is smaller than the minimum size specified in image metadata. Volume size is"
                f" {device['volume_size'] * 2**30} bytes, minimum size is {image.min_disk * 2**30} bytes."
            )
    if source == "volume":
        volume = cloud.table(Volume).get(str(device.get("uuid")))
        if volume is None or volume.project_id != caller.project_id:
            raise BadRequestError(f"Block Device Mapping is Invalid: failed to get volume {device.get('uuid')}.")
        if volume.status != "available":
            raise BadRequestError(
                f"Block Device Mapping is Invalid: Volume {volume.id} status must be available or"
                " downloading to reserve,"
                f" but the current status is {volume.status}."
            )
    if source == "snapshot":
        raise NotFoundError(f"Snapshot {device.get('uuid')} could not be found.")
