"""What crosses the API about clusters, with the rules that Magic Castle has for its inputs, each with its own words.

The parameters are the module's inputs under the module's names (spec/magic-castle.md, "Inputs"; limits of the hub's
own: spec/clusters.md, "Errors").
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from app.accounts.service import DEFAULT_PROJECT
from app.clusters.hieradata import check_hieradata
from app.db import now

CLUSTER_NAME = re.compile(r"[a-z][0-9a-z-]{1,40}")
DOMAIN = re.compile(r"[a-z][0-9a-z-.]*")
HOST = re.compile(r"[a-z][0-9a-z-]{1,63}")
PREFIX = re.compile(r"[a-z][0-9a-z-]*")
TAG = re.compile(r"[a-z][0-9a-z_-]{0,62}")
VOLUME_NAME = re.compile(r"[a-z][0-9a-z_-]{0,62}")
USER_NAME = re.compile(r"[a-z_][0-9a-z_-]{0,31}")
KEY_TYPES = frozenset(
    {
        "ssh-rsa", "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com",
    }
)  # fmt: skip
MAX_INSTANCES = 1_000
MAX_HOSTS = 10_000
"""Of all groups together: no project has as many, and their names must fit into memory."""
MAX_USERS = 1_000
MAX_VOLUME_GB = 100_000
MAX_HOSTNAME = 230
LARGEST_ICMP = 255
GIT_URL = re.compile(r"https://.*\.git")


class Strict(BaseModel):
    """A body in which unknown keys and values of another type are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


def _matches(pattern: re.Pattern[str], words: str) -> AfterValidator:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(words)
        return value

    return AfterValidator(check)


_NOT_ON_ONE_LINE = frozenset({"Cc", "Cs", "Zl", "Zp"})


def _printable(value: str) -> str:
    if any(unicodedata.category(character) in _NOT_ON_ONE_LINE for character in value):
        raise ValueError("must be one line of text without control characters")
    return value


Line = Annotated[str, AfterValidator(_printable)]
Name = Annotated[Line, Field(min_length=1, max_length=255)]
ClusterName = Annotated[
    str,
    _matches(CLUSTER_NAME, "must begin with a lower-case letter, then 1 to 40 lower-case letters, digits or hyphens"),
]
Tag = Annotated[str, _matches(TAG, "a tag begins with a lower-case letter, then lower-case letters, digits, - or _")]
GigaBytes = Annotated[int, Field(ge=1, le=MAX_VOLUME_GB)]


def _check_domain(value: str) -> str:
    if not DOMAIN.fullmatch(value):
        raise ValueError("must begin with a lower-case letter, then lower-case letters, digits, hyphens and dots")
    labels = value.split(".")
    if not all(labels) or any(len(label) > 63 for label in labels):
        raise ValueError("has an empty part or one of more than 63 characters between its dots")
    if len(value) > 200:
        raise ValueError("must have at most 200 characters")
    return value


def _check_password(value: str) -> str:
    if value and len(value) < 8:
        raise ValueError("must have at least 8 characters, or be empty to have one made")
    return _printable(value)


def _check_key(value: str) -> str:
    parts = _printable(value.strip()).split(None, 2)
    if len(parts) < 2 or parts[0] not in KEY_TYPES:
        raise ValueError("must be an SSH public key, such as “ssh-ed25519 AAAA... me@laptop”")
    try:
        blob = base64.b64decode(parts[1], validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("its second part is not base64: was the key copied whole?") from error
    length = int.from_bytes(blob[:4], "big")
    if blob[4 : 4 + length] != parts[0].encode() or not _is_whole(blob):
        raise ValueError("its second part does not fit its type: was the key copied whole?")
    return " ".join(parts)


def _is_whole(blob: bytes) -> bool:
    """Whether a public key ends where its last part does (RFC 4253, 6.6: parts with their length before them)."""
    at, parts = 0, 0
    while at < len(blob):
        at, parts = at + 4 + int.from_bytes(blob[at : at + 4], "big"), parts + 1
    return at == len(blob) and parts >= 2


def _check_address(value: str) -> str:
    try:
        ipaddress.ip_address(value)
    except ValueError as error:
        raise ValueError("must be an IP address") from error
    return value


def _check_range(value: str) -> str:
    try:
        ipaddress.ip_network(value, strict=False)
        is_range = re.fullmatch(r"[0-9a-fA-F.:]+/[0-9]{1,3}", value) is not None
    except ValueError:
        is_range = False
    if not is_range:
        raise ValueError("must be a range of IP addresses, such as 192.0.2.0/24")
    return value


def _check_yaml(value: str) -> str:
    check_hieradata(value)
    return value


class Instance(Strict):
    """A group of alike servers: hosts are the group's prefix and a number from 1."""

    type: Name
    tags: Annotated[list[Tag], Field(min_length=1, max_length=32)]
    count: Annotated[int, Field(ge=0, le=MAX_INSTANCES)] = 1
    image: Name | None = None
    disk_size: GigaBytes | None = None
    disk_type: Name | None = None


class Volume(Strict):
    """A volume of each instance that carries its tag; size in GB."""

    size: GigaBytes
    type: Name | None = None
    snapshot: Name | None = None
    enable_resize: bool = False
    managed: bool = True


class FirewallRule(Strict):
    """What may come in to the instances with a tag."""

    from_port: Annotated[int, Field(ge=1, le=65535)]
    to_port: Annotated[int, Field(ge=1, le=65535)]
    tag: Tag
    ethertype: Literal["IPv4", "IPv6"] = "IPv4"
    protocol: Literal["tcp", "udp", "icmp"] = "tcp"
    cidr: Annotated[str, AfterValidator(_check_range)] = "0.0.0.0/0"

    @model_validator(mode="after")
    def _ports_in_order(self) -> FirewallRule:
        if self.to_port < self.from_port:
            raise ValueError("to_port must not be lower than from_port")
        version = ipaddress.ip_network(self.cidr, strict=False).version
        if self.ethertype != f"IPv{version}":
            raise ValueError("cidr and ethertype must be of the same version of IP: for IPv6 give a cidr, such as ::/0")
        # ICMP has a type and a code of 8 bits each where the others have ports (Neutron, "Security group rules").
        if self.protocol == "icmp" and self.to_port > LARGEST_ICMP:
            raise ValueError("for icmp, from_port and to_port are its type and code: 255 at most")
        return self


VolumeName = Annotated[
    str, _matches(VOLUME_NAME, "begins with a lower-case letter, then lower-case letters, digits, - or _")
]
Prefix = Annotated[
    str, _matches(PREFIX, "must begin with a lower-case letter, then lower-case letters, digits or hyphens")
]


class Parameters(Strict):
    """The module's inputs. A template may take fewer of them."""

    cluster_name: ClusterName
    domain: Annotated[str, AfterValidator(_check_domain)]
    image: Name
    instances: dict[Prefix, Instance]
    volumes: dict[Tag, dict[VolumeName, Volume]] = Field(default_factory=dict)
    public_keys: Annotated[list[Annotated[str, AfterValidator(_check_key)]], Field(max_length=200)]
    nb_users: Annotated[int, Field(ge=0, le=MAX_USERS)] = 0
    guest_passwd: Annotated[str, AfterValidator(_check_password)] | None = None
    sudoer_username: Annotated[
        str, _matches(USER_NAME, "must be a Unix user name: lower-case letters, digits, - and _, 32 at most")
    ] = "centos"
    hieradata: Annotated[str, AfterValidator(_check_yaml)] = ""
    config_git_url: Line | None = None
    config_version: Name | None = None
    firewall_rules: dict[Name, FirewallRule] | None = None
    software_stack: Literal["alliance", "computecanada", "eessi", ""] | None = None
    os_ext_network: Name | None = None
    os_floating_ips: dict[Name, Annotated[str, AfterValidator(_check_address)]] | None = None
    subnet_id: Name | None = None
    eyaml_key: str | None = None

    @property
    def hostname(self) -> str:
        """The cluster's key."""
        return f"{self.cluster_name}.{self.domain}"

    @property
    def hosts(self) -> list[str]:
        """The names of all hosts."""
        return [f"{prefix}{i}" for prefix, group in self.instances.items() for i in range(1, group.count + 1)]

    def given(self) -> dict[str, Any]:
        """What the caller gave, as JSON: defaults of ours are not in it, so that GET gives back what POST took."""
        return self.model_dump(mode="json", exclude_unset=True)


def relations(parameters: Parameters) -> list[tuple[str, str]]:
    """Rules between fields: (path below `parameters`, message) for each one that is broken."""
    asked = sum(group.count for group in parameters.instances.values())
    if asked > MAX_HOSTS:
        return [("instances", f"At most {MAX_HOSTS:,} instances in all; these are {asked:,}.")]
    return [*_instances(parameters), *_tags(parameters), *_rules(parameters), *_whole(parameters)]


def _instances(parameters: Parameters) -> Iterator[tuple[str, str]]:
    if not parameters.instances:
        yield "instances", "A cluster needs at least one group of instances."
    elif not parameters.hosts:
        yield "instances", "All counts are 0: a cluster needs at least one instance."
    for prefix, group in parameters.instances.items():
        if not HOST.fullmatch(f"{prefix}{max(group.count, 1)}"):
            yield f"instances.{prefix}", "Prefix and number together must have 2 to 64 characters."
    twice = [host for host, times in Counter(parameters.hosts).items() if times > 1]
    if twice:
        yield "instances", f"Two groups would both have a host named {twice[0]}."


def _tags(parameters: Parameters) -> Iterator[tuple[str, str]]:
    groups = parameters.instances
    for prefix, group in groups.items():
        if len(set(group.tags)) < len(group.tags):
            yield f"instances.{prefix}.tags", "A tag stands there twice."
    proxies = [prefix for prefix, group in groups.items() if "proxy" in group.tags for _ in range(group.count)]
    if len(proxies) > 1:
        yield f"instances.{proxies[-1]}.tags", f"At most one instance may carry the tag proxy; {len(proxies)} would."
    carried = {tag for group in groups.values() if group.count for tag in group.tags}
    for tag in parameters.volumes:
        if tag not in carried:
            yield f"volumes.{tag}", f"No instance carries the tag {tag}: nothing would use these volumes."


def _rules(parameters: Parameters) -> Iterator[tuple[str, str]]:
    seen: dict[tuple[object, ...], str] = {}
    for name, rule in (parameters.firewall_rules or {}).items():
        content = tuple(rule.model_dump().values())
        if content in seen:
            yield f"firewall_rules.{name}", f"The rule {seen[content]} says the same: OpenStack refuses it twice."
        seen.setdefault(content, name)


def _whole(parameters: Parameters) -> Iterator[tuple[str, str]]:
    if len(parameters.hostname) > MAX_HOSTNAME:
        yield "domain", f"Name and domain together must have at most {MAX_HOSTNAME} characters."
    if not parameters.public_keys:
        yield "public_keys", "At least one SSH public key is needed, or nobody can sign in."
    if parameters.config_git_url is not None and not GIT_URL.fullmatch(parameters.config_git_url):
        yield "config_git_url", "must begin with https:// and end with .git"


def _in_the_future(moment: datetime) -> datetime:
    try:
        in_utc = moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is too far away") from error
    if in_utc <= now():
        raise ValueError("must be in the future")
    return in_utc


Expiry = Annotated[AwareDatetime, AfterValidator(_in_the_future)]


class ClusterCreate(Strict):
    """POST /api/clusters."""

    template: Name
    project: Name = DEFAULT_PROJECT
    expires_at: Expiry | None = None
    parameters: Parameters


class ClusterReplace(Strict):
    """PUT /api/clusters/<hostname>: the whole of the parameters, and the version they were made from."""

    version: int
    parameters: Parameters
    expires_at: Expiry | None = None


class ApplyPlan(Strict):
    """POST .../apply: names the plan; `confirm` carries the hostname where data is lost."""

    plan: Name
    confirm: str | None = None
