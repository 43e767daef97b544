"""Who sees what, and how Neutron says that there is no such thing."""

from typing import TypeVar

from .. import quotas
from ..cloud import Cloud
from ..errors import BadRequestError, ConflictError, NotFoundError
from ..identity.models import Caller
from .models import FloatingIP, Network, NetworkRecord, Port, Router, Rule, SecurityGroup, Subnet

N = TypeVar("N", bound=NetworkRecord)

# The words of Neutron's exceptions (neutron_lib.exceptions).
MISSING: dict[type[NetworkRecord], tuple[str, str]] = {
    Network: ("NetworkNotFound", "Network {} could not be found."),
    Subnet: ("SubnetNotFound", "Subnet {} could not be found."),
    Port: ("PortNotFound", "Port {} could not be found."),
    Router: ("RouterNotFound", "Router {} could not be found"),
    SecurityGroup: ("SecurityGroupNotFound", "Security group {} does not exist"),
    Rule: ("SecurityGroupRuleNotFound", "Security group rule {} does not exist"),
    FloatingIP: ("FloatingIPNotFound", "Floating IP {} could not be found"),
}
QUOTA_NAMES: dict[type[NetworkRecord], str] = {
    Network: "network",
    Subnet: "subnet",
    Port: "port",
    Router: "router",
    SecurityGroup: "security_group",
    Rule: "security_group_rule",
    FloatingIP: "floatingip",
}


def sees(cloud: Cloud, caller: Caller, record: NetworkRecord) -> bool:
    """A project sees its own, and networks that are external or shared, with their subnets."""
    if caller.is_admin or record.project_id == caller.project_id:
        return True
    network = cloud.table(Network).get(record.network_id) if isinstance(record, Subnet) else record
    return isinstance(network, Network) and (network.is_external or network.is_shared)


def visible(cloud: Cloud, caller: Caller, kind: type[N]) -> list[N]:
    return [record for record in cloud.table(kind) if sees(cloud, caller, record)]


def find(cloud: Cloud, caller: Caller, kind: type[N], record_id: object) -> N:
    """The record, when the caller may see it. Raises NotFoundError in Neutron's words."""
    record = cloud.table(kind).get(str(record_id))
    if record is None or not sees(cloud, caller, record):
        name, words = MISSING[kind]
        raise NotFoundError(words.format(record_id), name)
    return record


def find_own(cloud: Cloud, caller: Caller, kind: type[N], record_id: object) -> N:
    """The record, when the caller may change it. Raises NotFoundError, as if another's were not there."""
    record = find(cloud, caller, kind, record_id)
    if record.project_id != caller.project_id and not caller.is_admin:
        name, words = MISSING[kind]
        raise NotFoundError(words.format(record_id), name)
    return record


def check_quota(cloud: Cloud, project_id: str, *asked: tuple[type[NetworkRecord], int]) -> None:
    """Raises ConflictError (OverQuota) naming all that would not fit."""
    if not project_id:
        return
    limits = quotas.limits(cloud, "network", project_id)
    over = [
        QUOTA_NAMES[kind]
        for kind, number in asked
        if not quotas.fits(limits[QUOTA_NAMES[kind]], used(cloud, project_id, kind), number)
    ]
    if over:
        raise ConflictError(f"Quota exceeded for resources: {sorted(over)}.", "OverQuota")


def used(cloud: Cloud, project_id: str, kind: type[NetworkRecord]) -> int:
    return len(cloud.table(kind).where(project_id=project_id))


def text_of(values: dict[str, object], name: str, default: str = "") -> str:
    """A name or description, at most 255 characters. Raises BadRequestError."""
    value = values.get(name, default)
    if not isinstance(value, str):
        raise BadRequestError(f"Invalid input for {name}. Reason: '{value}' is not a valid string.")
    if len(value) > 255:
        raise BadRequestError(f"Invalid input for {name}. Reason: '{value}' exceeds maximum length of 255.")
    return value
