"""What can be done with volumes: by their owner through Cinder, by Nova for its servers."""

import uuid
from dataclasses import replace
from typing import Any

from .. import quotas
from ..agenda import Event, happening
from ..cloud import Cloud
from ..errors import BadRequestError, ForbiddenError, NotFoundError, OverLimitError
from ..identity.models import Caller
from ..image import Image
from .models import DEFAULT_TYPE, Attachment, Volume, VolumeType

Json = dict[str, Any]
DELETABLE = {"available", "error", "error_restoring", "error_extending", "error_managing"}


def find(cloud: Cloud, caller: Caller, volume_id: object) -> Volume:
    volume = cloud.table(Volume).get(str(volume_id))
    if volume is None or (volume.project_id != caller.project_id and not caller.is_admin):
        raise NotFoundError(f"Volume {volume_id} could not be found.")
    return volume


def change(cloud: Cloud, volume: Volume, **values: Any) -> Volume:
    return cloud.table(Volume).put(replace(volume, **values, updated_at=cloud.now))


def usage(cloud: Cloud, project_id: str) -> dict[str, int]:
    own = cloud.table(Volume).where(project_id=project_id)
    return {"volumes": len(own), "gigabytes": sum(volume.size for volume in own)}


def check_quota(cloud: Cloud, project_id: str, volumes: int, gigabytes: int) -> None:
    """Raises OverLimitError in Cinder's words."""
    limits, used = quotas.limits(cloud, "volume", project_id), usage(cloud, project_id)
    if not quotas.fits(limits["per_volume_gigabytes"], 0, gigabytes):
        raise OverLimitError(
            f"VolumeSizeExceedsLimit: Requested volume size {gigabytes}G is larger than maximum allowed limit"
            f" {limits['per_volume_gigabytes']}G."
        )
    if not quotas.fits(limits["gigabytes"], used["gigabytes"], gigabytes):
        raise OverLimitError(
            "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes quota. Requested"
            f" {gigabytes}G, quota is {limits['gigabytes']}G and {used['gigabytes']}G has been consumed."
        )
    if not quotas.fits(limits["volumes"], used["volumes"], volumes):
        raise OverLimitError(
            f"VolumeLimitExceeded: Maximum number of volumes allowed ({limits['volumes']}) exceeded"
            " for quota 'volumes'."
        )


def create(cloud: Cloud, caller: Caller, values: Json) -> Volume:
    """Carries out `POST /volumes`. Raises BadRequestError, NotFoundError, OverLimitError."""
    image_id = values.get("imageRef")
    image = cloud.table(Image).get(image_id) if image_id else None
    if image_id and image is None:
        raise BadRequestError("Invalid image identifier or unable to access requested image.")
    source = find(cloud, caller, values["source_volid"]) if values.get("source_volid") else None
    if values.get("snapshot_id"):
        raise NotFoundError(f"Snapshot {values['snapshot_id']} could not be found.")
    size = values.get("size")
    if size is None and source is not None:
        size = source.size
    if isinstance(size, str) and size.isdigit():
        size = int(size)
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise BadRequestError(
            f"Invalid input received: Invalid volume size provided for create request: {size} (size"
            " argument must be an integer (or string representation of an integer) and greater than zero)."
        )
    if source is not None and size < source.size:
        raise BadRequestError(
            f"Invalid input received: Volume size '{size}'GB cannot be smaller than original volume"
            f" size {source.size}GB."
            " They must be >= original volume size."
        )
    if image is not None and size < image.min_disk:
        raise BadRequestError(
            f"Invalid input received: Volume size {size}GB cannot be smaller than the image minDisk"
            f" size {image.min_disk}GB."
        )
    zone = values.get("availability_zone") or "nova"
    if zone != "nova":
        raise BadRequestError(f"Availability zone '{zone}' is invalid.")
    return add(
        cloud,
        caller.project_id,
        caller.user_id,
        size,
        image=image,
        volume_type=_type_name(cloud, values.get("volume_type")),
        name=values.get("name"),
        description=values.get("description"),
        metadata=_metadata(values.get("metadata")),
        multiattach=bool(values.get("multiattach", False)),
    )


def add(cloud: Cloud, project_id: str, user_id: str, size: int, image: Image | None = None, **values: Any) -> Volume:
    """A new volume, which becomes available after a while. Raises OverLimitError."""
    check_quota(cloud, project_id, 1, size)
    volume = cloud.table(Volume).put(
        Volume(
            id=str(uuid.uuid4()),
            project_id=project_id,
            user_id=user_id,
            size=size,
            is_bootable=image is not None,
            image_metadata=_metadata_of(image) if image else None,
            created_at=cloud.now,
            **values,
        )
    )
    ready_at = cloud.now + cloud.tuning.volume_seconds
    if image is not None:
        cloud.agenda.add(cloud.now + cloud.tuning.volume_seconds / 2, "volume-status", volume.id, status="downloading")
    cloud.agenda.add(ready_at, "volume-status", volume.id, status="available")
    return volume


def _metadata_of(image: Image) -> dict[str, str]:
    """What a volume remembers of the image that it was made from."""
    return {
        "image_id": image.id,
        "image_name": image.name,
        "min_disk": str(image.min_disk),
        "min_ram": str(image.min_ram),
        "disk_format": image.disk_format,
        "container_format": "bare",
        "size": str(image.size),
        **image.properties,
    }


def _type_name(cloud: Cloud, wanted: object) -> str:
    if wanted is None:
        return DEFAULT_TYPE
    for known in cloud.table(VolumeType):
        if wanted in {known.id, known.name}:
            return known.name
    raise NotFoundError(f"Volume type with name {wanted} could not be found.")


def _metadata(wanted: object) -> dict[str, str]:
    found = wanted or {}
    if not isinstance(found, dict) or any(not isinstance(value, str) for value in found.values()):
        raise BadRequestError(f"Invalid input for field/attribute metadata. Value: {wanted}. Metadata must be strings.")
    return found


def delete(cloud: Cloud, volume: Volume) -> None:
    if volume.status not in DELETABLE or cloud.table(Attachment).where(volume_id=volume.id):
        raise BadRequestError(
            "Invalid volume: Volume status must be available or error or error_restoring or error_extending or"
            " error_managing and must not be migrating, attached, belong to a group, have snapshots,"
            " awaiting a transfer,"
            " or be disassociated from snapshots after volume transfer."
        )
    start_deleting(cloud, volume)


def start_deleting(cloud: Cloud, volume: Volume) -> None:
    cloud.agenda.clear(volume.id)
    change(cloud, volume, status="deleting")
    cloud.agenda.add(cloud.now + cloud.tuning.volume_seconds, "volume-gone", volume.id)


def extend(cloud: Cloud, volume: Volume, new_size: object, microversion: tuple[int, int]) -> None:
    """Carries out `os-extend`; a volume in use needs microversion 3.42. Raises BadRequestError, OverLimitError."""
    allowed = ("available", "in-use") if microversion >= (3, 42) else ("available",)
    if volume.status not in allowed:
        raise BadRequestError(
            f"Invalid volume: Volume {volume.id} status must be '{allowed}' to extend, currently {volume.status}."
        )
    if isinstance(new_size, str) and new_size.isdigit():
        new_size = int(new_size)
    if not isinstance(new_size, int) or isinstance(new_size, bool):
        raise BadRequestError(f"Invalid input for field/attribute new_size. Value: {new_size}.")
    if new_size <= volume.size:
        raise BadRequestError(
            f"Invalid input received: New size for extend must be greater than current size. (current: {volume.size},"
            f" extended: {new_size})."
        )
    check_quota(cloud, volume.project_id, 0, new_size - volume.size)
    change(cloud, volume, status="extending")
    cloud.agenda.add(
        cloud.now + cloud.tuning.volume_seconds, "volume-extended", volume.id, size=new_size, status=volume.status
    )


@happening("volume-status")
def take_status(cloud: Cloud, event: Event) -> None:
    volume = cloud.table(Volume).get(event.subject)
    if volume is not None and volume.status in {"creating", "downloading"}:
        change(cloud, volume, status=event.details["status"])


@happening("volume-extended")
def take_size(cloud: Cloud, event: Event) -> None:
    volume = cloud.table(Volume).get(event.subject)
    if volume is not None:
        change(cloud, volume, **event.details)


@happening("volume-gone")
def vanish(cloud: Cloud, event: Event) -> None:
    cloud.table(Volume).drop(event.subject)


# --- what Nova asks for


def attachments_of(cloud: Cloud, server_id: str) -> list[Attachment]:
    return cloud.table(Attachment).where(server_id=server_id)


def reserve(cloud: Cloud, volume: Volume, server_id: str, device: str, **values: Any) -> Attachment:
    """Puts the volume aside for the server. Raises BadRequestError in the words in which Nova passes them on."""
    if volume.status != "available":
        raise BadRequestError(
            f"Invalid volume: Volume {volume.id} status must be available or downloading to reserve, but the current"
            f" status is {volume.status}."
        )
    change(cloud, volume, status="reserved")
    attachment_id = str(uuid.uuid4())
    return cloud.table(Attachment).put(
        Attachment(
            id=attachment_id,
            volume_id=volume.id,
            server_id=server_id,
            project_id=volume.project_id,
            device=device,
            bdm_uuid=str(uuid.uuid4()),
            **values,
        )
    )


@happening("volume-attached")
def attached(cloud: Cloud, event: Event) -> None:
    complete_attaching(cloud, event.subject)


def complete_attaching(cloud: Cloud, attachment_id: str) -> None:
    attachment = cloud.table(Attachment).get(attachment_id)
    volume = cloud.table(Volume).get(attachment.volume_id) if attachment else None
    if attachment is not None and volume is not None:
        cloud.table(Attachment).put(replace(attachment, status="attached", attached_at=cloud.now))
        change(cloud, volume, status="in-use")


def begin_detaching(cloud: Cloud, attachment: Attachment) -> None:
    """Raises BadRequestError unless the volume is attached."""
    volume = cloud.table(Volume).get(attachment.volume_id)
    if volume is None or volume.status != "in-use" or attachment.status != "attached":
        raise BadRequestError(
            "Invalid volume: Invalid input received: Invalid volume: Unable to detach volume. Volume status must be"
            " 'in-use' and attach_status must be 'attached' to detach."
        )
    change(cloud, volume, status="detaching")
    cloud.table(Attachment).put(replace(attachment, status="detaching"))
    cloud.agenda.add(cloud.now + cloud.tuning.volume_seconds, "volume-detached", attachment.id)


@happening("volume-detached")
def detached(cloud: Cloud, event: Event) -> None:
    attachment = cloud.table(Attachment).get(event.subject)
    if attachment is not None:
        detach(cloud, attachment)


def detach(cloud: Cloud, attachment: Attachment) -> None:
    """Takes the volume off at once; it is available again, or deleted with its server."""
    cloud.agenda.clear(attachment.id)
    cloud.table(Attachment).drop(attachment.id)
    volume = cloud.table(Volume).get(attachment.volume_id)
    if volume is not None:
        change(cloud, volume, status="available")


def refuse_policy(rule: str) -> ForbiddenError:
    return ForbiddenError(f"Policy doesn't allow {rule} to be performed.")
