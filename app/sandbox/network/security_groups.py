"""Security groups and their rules."""

import uuid
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

from ..cloud import Cloud
from ..errors import BadRequestError, ConflictError, NotFoundError
from ..identity.models import Caller
from .access import check_quota, find, find_own, text_of
from .models import Port, Rule, SecurityGroup

Json = dict[str, Any]

# neutron_lib.constants.IP_PROTOCOL_MAP
PROTOCOLS = {
    "ah", "dccp", "egp", "esp", "gre", "hopopt", "icmp", "icmpv6", "igmp", "ip", "ipip", "ipv6-encap", "ipv6-frag",
    "ipv6-icmp", "ipv6-nonxt", "ipv6-opts", "ipv6-route", "ospf", "pgm", "rsvp", "sctp", "tcp", "udp", "udplite",
    "vrrp",
}  # fmt: skip
WITH_PORTS = {"tcp", "udp", "sctp", "dccp", "udplite", "6", "17", "132", "33", "136"}
ICMP = {"icmp", "icmpv6", "ipv6-icmp", "1", "58"}


def default_group(cloud: Cloud, project_id: str) -> SecurityGroup:
    """The project's group `default`, made when it is first needed."""
    for group in cloud.table(SecurityGroup).where(project_id=project_id, name="default"):
        return group
    group = _add_group(cloud, project_id, "default", "Default security group")
    for ethertype in ("IPv4", "IPv6"):
        _add_rule(cloud, group, {"direction": "ingress", "ethertype": ethertype, "remote_group_id": group.id})
    return group


def _add_group(cloud: Cloud, project_id: str, name: str, description: str, stateful: bool = True) -> SecurityGroup:
    group = cloud.table(SecurityGroup).put(
        SecurityGroup(
            id=str(uuid.uuid4()),
            project_id=project_id,
            name=name,
            description=description,
            stateful=stateful,
            created_at=cloud.now,
            updated_at=cloud.now,
            revision=1,
        )
    )
    for ethertype in ("IPv4", "IPv6"):
        _add_rule(cloud, group, {"direction": "egress", "ethertype": ethertype})
    return group


def _add_rule(cloud: Cloud, group: SecurityGroup, values: Json) -> Rule:
    return cloud.table(Rule).put(
        Rule(
            id=str(uuid.uuid4()),
            project_id=group.project_id,
            security_group_id=group.id,
            created_at=cloud.now,
            updated_at=cloud.now,
            **values,
        )
    )


def create_group(cloud: Cloud, caller: Caller, values: Json) -> SecurityGroup:
    default_group(cloud, caller.project_id)
    name = text_of(values, "name")
    if name.lower() == "default":
        raise ConflictError("Default security group already exists.", "SecurityGroupDefaultAlreadyExists")
    check_quota(cloud, caller.project_id, (SecurityGroup, 1), (Rule, 2))
    stateful = bool(values.get("stateful", True))
    return _add_group(cloud, caller.project_id, name, text_of(values, "description"), stateful)


def update_group(cloud: Cloud, caller: Caller, record: SecurityGroup, values: Json) -> SecurityGroup:
    record = find_own(cloud, caller, SecurityGroup, record.id)
    name = text_of(values, "name", record.name)
    if record.name == "default" and name != "default":
        raise ConflictError("Updating default security group not allowed.", "SecurityGroupCannotUpdateDefault")
    return cloud.table(SecurityGroup).put(
        replace(
            record,
            name=name,
            description=text_of(values, "description", record.description),
            updated_at=cloud.now,
            revision=record.revision + 1,
        )
    )


def delete_group(cloud: Cloud, caller: Caller, record: SecurityGroup) -> None:
    record = find_own(cloud, caller, SecurityGroup, record.id)
    if any(record.id in port.security_groups for port in cloud.table(Port)):
        raise ConflictError(f"Security Group {record.id} in use.", "SecurityGroupInUse")
    if record.name == "default" and not caller.is_admin:
        raise ConflictError(
            "Insufficient rights for removing default security group.", "SecurityGroupCannotRemoveDefault"
        )
    for rule in cloud.table(Rule):
        if record.id in {rule.security_group_id, rule.remote_group_id}:
            cloud.table(Rule).drop(rule.id)
    cloud.table(SecurityGroup).drop(record.id)


def create_rule(cloud: Cloud, caller: Caller, values: Json) -> Rule:
    if not values.get("security_group_id"):
        raise BadRequestError("Failed to parse request. Required attribute 'security_group_id' not specified")
    group = find_own(cloud, caller, SecurityGroup, values["security_group_id"])
    wanted = _checked_rule(cloud, caller, values)
    for rule in cloud.table(Rule).where(security_group_id=group.id):
        if all(getattr(rule, name) == value for name, value in wanted.items()):
            raise ConflictError(f"Security group rule already exists. Rule id is {rule.id}.", "SecurityGroupRuleExists")
    check_quota(cloud, caller.project_id, (Rule, 1))
    return _add_rule(cloud, group, {**wanted, "description": text_of(values, "description")})


def _checked_rule(cloud: Cloud, caller: Caller, values: Json) -> Json:
    """What makes a rule the rule that it is. Raises BadRequestError in Neutron's words."""
    direction, ethertype = values.get("direction"), values.get("ethertype") or "IPv4"
    if direction not in {"ingress", "egress"}:
        raise BadRequestError(f"Invalid input for direction. Reason: '{direction}' is not in ['ingress', 'egress'].")
    if ethertype not in {"IPv4", "IPv6"}:
        raise BadRequestError(
            f"Security group rule for ethertype '{ethertype}' not supported. Allowed values are ['IPv4', 'IPv6'].",
            "SecurityGroupRuleInvalidEtherType",
        )
    protocol = _checked_protocol(values.get("protocol"))
    low, high = _checked_ports(protocol, values.get("port_range_min"), values.get("port_range_max"))
    prefix, remote = values.get("remote_ip_prefix"), values.get("remote_group_id")
    if prefix and remote:
        raise BadRequestError(
            "Only one of remote_ip_prefix or remote_group_id or remote_address_group_id may be provided.",
            "SecurityGroupMultipleRemoteEntites",
        )
    return {
        "direction": direction,
        "ethertype": ethertype,
        "protocol": protocol,
        "port_range_min": low,
        "port_range_max": high,
        "remote_ip_prefix": _checked_prefix(prefix, ethertype),
        "remote_group_id": find(cloud, caller, SecurityGroup, remote).id if remote else None,
    }


def _checked_protocol(wanted: object) -> str | None:
    if wanted is None or str(wanted).lower() in {"", "any", "0"}:
        return None
    protocol = str(wanted).lower()
    if protocol in PROTOCOLS or (protocol.isdigit() and int(protocol) <= 255):
        return protocol
    raise BadRequestError(
        f"Security group rule protocol {wanted} not supported. Only protocol values {sorted(PROTOCOLS)} and integer"
        f" representations [0 to 255] are supported.",
        "SecurityGroupRuleInvalidProtocol",
    )


def _checked_ports(protocol: str | None, low: object, high: object) -> tuple[int | None, int | None]:
    if low is None and high is None:
        return None, None
    try:
        first = None if low is None else int(str(low))
        last = None if high is None else int(str(high))
    except ValueError as error:
        raise BadRequestError(f"Invalid value for port {low}", "SecurityGroupInvalidPortValue") from error
    if protocol is None:
        raise BadRequestError(
            "Must also specify protocol if port range is given.", "SecurityGroupProtocolRequiredWithPorts"
        )
    if protocol in ICMP:
        for name, value in (("type (port-range-min)", first), ("code (port-range-max)", last)):
            if value is not None and not 0 <= value <= 255:
                raise BadRequestError(
                    f"Invalid value for ICMP {name} {value}. It must be 0 to 255.", "SecurityGroupInvalidIcmpValue"
                )
        if first is None:
            raise BadRequestError(
                f"ICMP code (port-range-max) {last} is provided but ICMP type (port-range-min) is missing.",
                "SecurityGroupMissingIcmpType",
            )
        return first, last
    if protocol not in WITH_PORTS:
        raise BadRequestError(
            f"Ports cannot be specified for protocol {protocol}. Ports are only supported for {sorted(WITH_PORTS)}.",
            "SecurityGroupInvalidProtocolForPort",
        )
    if first is None or last is None or not 1 <= first <= 65535 or not 1 <= last <= 65535:
        bad = first if first is None or not 1 <= first <= 65535 else last
        raise BadRequestError(f"Invalid value for port {bad}", "SecurityGroupInvalidPortValue")
    if first > last:
        raise BadRequestError(
            "For TCP/UDP protocols, port_range_min must be <= port_range_max", "SecurityGroupInvalidPortRange"
        )
    return first, last


def _checked_prefix(prefix: object, ethertype: str) -> str | None:
    if not prefix:
        return None
    try:
        network = ip_network(str(prefix), strict=False)
    except ValueError as error:
        raise BadRequestError(
            f"Invalid input for remote_ip_prefix. Reason: '{prefix}' is not a valid CIDR.", "InvalidCIDR"
        ) from error
    if f"IPv{network.version}" != ethertype:
        raise BadRequestError(
            f"Conflicting value ethertype {ethertype} for CIDR {prefix}", "SecurityGroupRuleParameterConflict"
        )
    return str(prefix) if "/" in str(prefix) else str(network)


def update_rule(_cloud: Cloud, _caller: Caller, _record: Rule, _values: Json) -> Rule:
    raise BadRequestError("Security group rules cannot be changed")


def delete_rule(cloud: Cloud, caller: Caller, record: Rule) -> None:
    if cloud.table(SecurityGroup).get(record.security_group_id) is None:
        raise NotFoundError(f"Security group rule {record.id} does not exist", "SecurityGroupRuleNotFound")
    cloud.table(Rule).drop(find_own(cloud, caller, Rule, record.id).id)
