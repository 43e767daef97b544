"""What the compute service holds."""

from dataclasses import dataclass, field
from typing import Any

from ..store import Record


@dataclass(frozen=True, kw_only=True)
class Flavor(Record):
    name: str
    vcpus: int
    ram: int  # MB
    disk: int  # GB
    ephemeral: int = 0  # GB
    swap: int = 0  # MB
    description: str | None = None
    extra_specs: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Keypair(Record):
    """The id is `<user id>/<name>`; the number is what the API calls the id."""

    number: int
    user_id: str
    name: str
    public_key: str
    fingerprint: str
    created_at: float
    type: str = "ssh"


@dataclass(frozen=True)
class Fault:
    code: int
    message: str
    created_at: float


@dataclass(frozen=True, kw_only=True)
class Server(Record):
    project_id: str
    user_id: str
    name: str
    flavor: Flavor  # as it was when the server was made or resized
    image_id: str | None  # None: it boots from a volume
    created_at: float
    updated_at: float
    launched_at: float | None = None
    vm_state: str = "building"
    task_state: str | None = "scheduling"
    power_state: int = 0  # 0 none, 1 running, 3 paused, 4 shut down
    fault: Fault | None = None
    key_name: str | None = None
    user_data: str | None = None
    config_drive: bool = False
    metadata: dict[str, str] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    description: str | None = None
    availability_zone: str = "nova"
    requested_zone: str | None = None
    disk_config: str = "MANUAL"
    root_device: str = "/dev/vda"
    reservation_id: str = ""
    old_flavor: Flavor | None = None  # while a resize waits to be confirmed
    requested_networks: list[dict[str, Any]] | str = field(default_factory=list)
    requested_groups: list[str] = field(default_factory=list)
    requested_devices: list[dict[str, Any]] = field(default_factory=list)
    own_ports: list[str] = field(default_factory=list)  # ports that Nova made, and takes away with the server

    @property
    def status(self) -> str:
        return STATUSES.get((self.vm_state, self.task_state)) or STATUSES[(self.vm_state, None)]


# nova/api/openstack/common.py: how a pair of states reads as one status.
STATUSES: dict[tuple[str, str | None], str] = {
    ("active", None): "ACTIVE",
    ("active", "rebooting"): "REBOOT",
    ("active", "rebooting_hard"): "HARD_REBOOT",
    ("active", "resize_prep"): "RESIZE",
    ("active", "resize_migrating"): "RESIZE",
    ("active", "resize_finish"): "RESIZE",
    ("active", "rebuilding"): "REBUILD",
    ("stopped", "rebuilding"): "REBUILD",
    ("error", "rebuilding"): "REBUILD",
    ("building", None): "BUILD",
    ("stopped", None): "SHUTOFF",
    ("stopped", "resize_prep"): "RESIZE",
    ("resized", None): "VERIFY_RESIZE",
    ("resized", "resize_reverting"): "REVERT_RESIZE",
    ("paused", None): "PAUSED",
    ("suspended", None): "SUSPENDED",
    ("shelved_offloaded", None): "SHELVED_OFFLOADED",
    ("error", None): "ERROR",
}
