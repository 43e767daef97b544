"""A plan in cluster words: "adds 2 nodes: node3, node4", "deletes volume nfs/home, 100 GB: its data is lost"."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from app.terraform.plan import Action, Plan, ResourceChange

SERVER = "openstack_compute_instance_v2"
VOLUME = "openstack_blockstorage_volume_v3"
FLOATING_IP = "openstack_networking_floatingip_v2"
RULE = "openstack_networking_secgroup_rule_v2"
MANY = 8
"""More names than this are not spelled out."""

_GROUPS = {
    SERVER: ("node", "nodes"),
    VOLUME: ("volume", "volumes"),
    FLOATING_IP: ("public address", "public addresses"),
}
_REST = {
    "openstack_compute_volume_attach": ("volume attachment", "volume attachments"),
    "openstack_compute_keypair": ("SSH key pair", "SSH key pairs"),
    "openstack_networking_secgroup_rule": ("firewall rule", "firewall rules"),
    "openstack_networking_secgroup": ("security group", "security groups"),
    "openstack_networking_port": ("network port", "network ports"),
    "openstack_networking_floatingip_associate": ("public address in use", "public addresses in use"),
    "openstack_networking_": ("part of the network", "parts of the network"),
    "openstack_compute_": ("other compute resource", "other compute resources"),
    "openstack_blockstorage_": ("other storage resource", "other storage resources"),
    "tls_": ("key", "keys"),
    "random_": ("generated name or password", "generated names or passwords"),
    "terraform_data": ("configuration step", "configuration steps"),
    "null_resource": ("configuration step", "configuration steps"),
}
"""Nouns for all other resources by the start of their type; the first that fits."""
_OTHER = ("other resource", "other resources")
_STEP = "configuration step"
_VERBS = {
    Action.CREATE: ("adds", "adds"),
    Action.UPDATE: ("changes", "changes"),
    Action.REPLACE: ("replaces", "replaces"),
    Action.DELETE: ("removes", "deletes"),
}


@dataclass(frozen=True)
class Sentence:
    """One line of the summary. `kind` is `adds`, `changes`, `replaces`, `removes` or `deletes`."""

    kind: str
    text: str
    data_loss: bool = False

    def as_json(self) -> dict[str, Any]:
        """As in `GET .../plan`."""
        return asdict(self)


def summarise(plan: Plan) -> list[Sentence]:
    """The plan in a few sentences: nodes first, then volumes and addresses, then the rest by number."""
    sentences: list[Sentence] = []
    for action in (Action.CREATE, Action.UPDATE, Action.REPLACE, Action.DELETE):
        changed = [change for change in plan.changed if change.action is action]
        for kind in (SERVER, VOLUME, FLOATING_IP):
            of_kind = [change for change in changed if change.type == kind]
            if of_kind:
                sentences += _about(action, kind, of_kind)
        rest = [change for change in changed if change.type not in _GROUPS]
        sentences += _about_rest(action, rest)
    return sentences or [Sentence("none", "changes nothing: all is as it should be")]


def loses_data(plan: Plan) -> bool:
    """Whether a volume that exists is deleted or replaced."""
    return any(c.type == VOLUME and c.action in (Action.DELETE, Action.REPLACE) for c in plan.changed)


def changes_instances(plan: Plan) -> bool:
    """Whether a server is made, changed or removed: else what runs on them goes on as it is."""
    return any(change.type == SERVER for change in plan.changed)


def _about(action: Action, kind: str, changes: Sequence[ResourceChange]) -> list[Sentence]:
    singular, plural = _GROUPS[kind]
    verb = _VERBS[action][1 if kind == VOLUME else 0]
    if kind == VOLUME and action in (Action.DELETE, Action.REPLACE):
        return [
            Sentence(verb, f"{verb} volume {_name(change)}{_size(change)}: its data is lost", True)
            for change in changes
        ]
    if kind == SERVER and action is Action.REPLACE:
        return [Sentence(verb, f"{verb} {_name(change)}: about 5 minutes without access") for change in changes]
    if kind == SERVER and action is Action.UPDATE:
        return [Sentence(verb, f"{verb} {_name(change)}{_what(change)}") for change in changes]
    noun = singular if len(changes) == 1 else plural
    return [Sentence(verb, f"{verb} {len(changes)} {noun}{_names(changes)}")]


def _about_rest(action: Action, changes: Iterable[ResourceChange]) -> list[Sentence]:
    counts = Counter(
        next((nouns for start, nouns in _REST.items() if change.type.startswith(start)), _OTHER) for change in changes
    )
    sentences = []
    for (singular, plural), count in counts.items():
        verb = _VERBS[action][0]
        text = f"{count} {singular if count == 1 else plural}"
        # Terraform replaces a step to run it again: nothing is lost, and it must not look like it.
        again = singular == _STEP and action is Action.REPLACE
        sentences.append(Sentence("changes" if again else verb, f"{'runs again' if again else verb} {text}"))
    return sentences


def _name(change: ResourceChange) -> str:
    if change.index is not None:
        return _short(change)
    values = change.after or change.before or {}
    return str(values.get("name") or change.address)


def _short(change: ResourceChange) -> str:
    """The key under which the module lists it: `login1`, or `nfs/home` for `mgmt1-nfs-home`."""
    key = str(change.index)
    parts = key.split("-", 2)
    return f"{parts[1]}/{parts[2]}" if change.type == VOLUME and len(parts) == 3 else key


def _names(changes: Sequence[ResourceChange]) -> str:
    if len(changes) > MANY:
        return ""
    return ": " + ", ".join(_name(change) + _size(change, " ({} GB)") for change in changes)


def _size(change: ResourceChange, form: str = ", {} GB") -> str:
    size = (change.after or change.before or {}).get("size") if change.type == VOLUME else None
    return form.format(size) if size else ""


def _what(change: ResourceChange) -> str:
    paths = [each.path for each in change.changes]
    if any(path.startswith("flavor") for path in paths):
        values = {each.path: each for each in change.changes}
        flavor = values.get("flavor_name")
        return (
            f" to flavor {flavor.after}: it restarts" if flavor and flavor.after else " to another flavor: it restarts"
        )
    return f" ({', '.join(paths[:3])})" if paths else ""
