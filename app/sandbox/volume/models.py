"""What the volume service holds."""

from dataclasses import dataclass, field

from ..store import Record

DEFAULT_TYPE = "__DEFAULT__"


@dataclass(frozen=True, kw_only=True)
class VolumeType(Record):
    name: str
    description: str | None = None
    extra_specs: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Volume(Record):
    project_id: str
    user_id: str
    name: str | None
    description: str | None = None
    size: int  # GB
    status: str = "creating"
    volume_type: str = DEFAULT_TYPE
    availability_zone: str = "nova"
    metadata: dict[str, str] = field(default_factory=dict)
    image_metadata: dict[str, str] | None = None  # of the image that it was made from
    is_bootable: bool = False
    multiattach: bool = False
    created_at: float
    updated_at: float | None = None


@dataclass(frozen=True, kw_only=True)
class Attachment(Record):
    """A volume on a server: Nova's block device mapping and Cinder's attachment in one."""

    volume_id: str
    server_id: str
    project_id: str
    device: str
    status: str = "attaching"  # attaching, attached, detaching
    attached_at: float | None = None
    boot_index: int | None = None
    delete_on_termination: bool = False
    tag: str | None = None
    bdm_uuid: str
