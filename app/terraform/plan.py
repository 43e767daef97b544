"""Reading ``terraform show -json <plan>``.

developer.hashicorp.com/terraform/internals/json-format: resource_changes, resource_drift, change representation.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from app.terraform.masking import SECRET_RESOURCE_TYPES

MASKED = "(sensitive)"
_SECRET_ATTRIBUTES = frozenset({"id", "result", "bcrypt_hash"})
_MANAGED = "managed"


class PlanError(Exception):
    """Not the JSON of a plan."""


class Action(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    READ = "read"
    NO_OP = "no-op"
    FORGET = "forget"


COUNTED = (Action.CREATE, Action.UPDATE, Action.REPLACE, Action.DELETE)

_REASONS = {
    "replace_because_tainted": "its last creation or provisioning failed",
    "replace_because_cannot_update": "can't be changed in place",
    "replace_by_request": "a replacement was asked for",
    "replace_by_triggers": "something that it depends on changes",
    "delete_because_no_resource_config": "it is no longer in the configuration",
    "delete_because_no_module": "its module is no longer in the configuration",
    "delete_because_wrong_repetition": "it is no longer one of several, or no longer a single one",
    "delete_because_count_index": "the count no longer reaches its number",
    "delete_because_each_key": "its key is no longer in the configuration",
    "delete_because_no_move_target": "the address that it moved to is not in the configuration",
    "read_because_config_unknown": "what it depends on is known after the apply",
    "read_because_dependency_pending": "it depends on something that changes",
    "read_because_check_nested": "a check reads it",
}


@dataclass(frozen=True)
class AttributeChange:
    """One attribute. A sensitive one shows no value; an unknown one (`known` false) is decided by the apply."""

    path: str
    before: object
    after: object
    sensitive: bool = False
    known: bool = True


@dataclass(frozen=True)
class ResourceChange:
    address: str
    type: str
    name: str
    index: str | int | None
    module_address: str
    action: Action
    changes: tuple[AttributeChange, ...]
    reason: str | None = None
    importing: bool = False
    deposed: bool = False
    mode: str = _MANAGED
    before: Mapping[str, Any] | None = None  # whole, unmasked: for the hub's own decisions, never to be shown
    after: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Plan:
    """A plan. `actions` counts managed resources only, with a key for each of create, update, replace, delete.

    `drift` is what a person would call so; `harmless_drift` what the cloud filled in after Terraform recorded it.
    """

    resources: tuple[ResourceChange, ...]
    actions: dict[str, int]
    drift: tuple[ResourceChange, ...]
    harmless_drift: tuple[ResourceChange, ...]
    output_changes: tuple[str, ...]
    errored: bool
    applyable: bool
    terraform_version: str

    @property
    def is_empty(self) -> bool:
        """Whether an apply would change neither a resource nor an output."""
        untouched = {Action.NO_OP, Action.READ}
        idle = all(each.action in untouched and not each.importing for each in self.resources)
        return idle and not self.output_changes

    @property
    def changed(self) -> tuple[ResourceChange, ...]:
        """The managed resources that the apply touches."""
        untouched = {Action.NO_OP, Action.READ}
        return tuple(each for each in self.resources if each.action not in untouched or each.importing)

    @property
    def progress_actions(self) -> dict[str, str]:
        """Address -> action of what an apply reports on: what a ProgressReader takes as `planned`."""
        return {each.address: each.action.value for each in self.changed if not each.deposed}


def read_plan(show_json: bytes) -> Plan:
    """The plan in the output of ``show -json``. Raises PlanError."""
    try:
        document = json.loads(show_json)
        if not isinstance(document, dict) or "format_version" not in document:
            raise PlanError("not a plan: format_version is missing")
        if str(document["format_version"]).split(".")[0] != "1":
            raise PlanError(f"unknown format of a plan: {document['format_version']}")
        resources = tuple(_resource(entry) for entry in document.get("resource_changes", []))
        drift = tuple(_resource(entry) for entry in document.get("resource_drift", []))
        outputs = tuple(
            name for name, change in document.get("output_changes", {}).items() if change["actions"] != ["no-op"]
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PlanError(f"not the JSON of a plan: {error!r}") from error
    errored = bool(document.get("errored", False))
    managed = [each for each in resources if each.mode == _MANAGED]
    return Plan(
        resources=resources,
        actions={action.value: sum(each.action is action for each in managed) for action in COUNTED},
        drift=tuple(each for each in drift if not _is_harmless(each)),
        harmless_drift=tuple(each for each in drift if _is_harmless(each)),
        output_changes=outputs,
        errored=errored,
        applyable=bool(document.get("applyable", not errored)),
        terraform_version=str(document.get("terraform_version", "")),
    )


def _resource(entry: Mapping[str, Any]) -> ResourceChange:
    change = entry["change"]
    action = _action(change["actions"])
    kind = str(entry["type"])
    return ResourceChange(
        address=str(entry["address"]),
        type=kind,
        name=str(entry["name"]),
        index=entry.get("index"),
        module_address=str(entry.get("module_address", "")),
        action=action,
        changes=() if action in (Action.NO_OP, Action.READ) else tuple(_attribute_changes(change, kind)),
        reason=_reason(entry, change),
        importing=bool(change.get("importing")),
        deposed="deposed" in entry,
        mode=str(entry["mode"]),
        before=change.get("before"),
        after=change.get("after"),
    )


def _action(actions: list[str]) -> Action:
    if set(actions) == {"create", "delete"} or set(actions) == {"create", "forget"}:
        return Action.REPLACE
    if len(actions) != 1:
        raise ValueError(f"unknown actions {actions}")
    return Action(actions[0])


def _reason(entry: Mapping[str, Any], change: Mapping[str, Any]) -> str | None:
    code = entry.get("action_reason")
    if code is None:
        return None
    words = _REASONS.get(code, str(code).replace("_", " "))
    paths = [_path_in_words(path) for path in change.get("replace_paths") or []]
    if code == "replace_because_cannot_update" and paths:
        return f"{', '.join(paths)} {words}"
    return words


def _path_in_words(path: list[str | int]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def _attribute_changes(change: Mapping[str, Any], kind: str) -> Iterator[AttributeChange]:
    before, after = change.get("before") or {}, change.get("after") or {}
    unknown = change.get("after_unknown") or {}
    sensitive_before, sensitive_after = change.get("before_sensitive"), change.get("after_sensitive")
    for found in _differences("", before, after, unknown, (sensitive_before, sensitive_after)):
        if kind in SECRET_RESOURCE_TYPES and found.path in _SECRET_ATTRIBUTES:
            yield AttributeChange(found.path, *_masked(found.before, found.after), sensitive=True, known=found.known)
        else:
            yield found


def _differences(
    path: str, before: object, after: object, unknown: object, sensitive: tuple[object, object]
) -> Iterator[AttributeChange]:
    """The leaves that differ. Maps and lists of maps are walked into; a list of plain values is one leaf."""
    if True in sensitive or (_is_leaf(before) and _is_leaf(after)):
        masked = any(_holds_true(mask) for mask in sensitive)
        known = not _holds_true(unknown)
        if before == after and known:
            return
        shown = _masked(before, after) if masked else (before, after)
        yield AttributeChange(path, *shown, sensitive=masked, known=known)
        return
    for key in _keys(before, after, unknown):
        parts = [_part(value, key) for value in (before, after, unknown, *sensitive)]
        step = f"[{key}]" if isinstance(key, int) else f".{key}" if path else key
        yield from _differences(f"{path}{step}", parts[0], parts[1], parts[2], (parts[3], parts[4]))


def _is_leaf(value: object) -> bool:
    if isinstance(value, Mapping):
        return not value
    return not (isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value))


def _keys(before: object, after: object, unknown: object) -> list[Any]:
    if isinstance(before, Mapping) or isinstance(after, Mapping):
        values = (value for value in (before, after, unknown) if isinstance(value, Mapping))
        return sorted({key for value in values for key in value})
    return list(range(max(len(value) for value in (before, after) if isinstance(value, list))))


def _part(value: object, key: Any) -> object:
    """The part of a value, or of a mask; a mask of true covers all that is below it."""
    if value is True:
        return True
    if isinstance(value, Mapping):
        return value.get(key)
    if isinstance(value, list) and isinstance(key, int) and key < len(value):
        return value[key]
    return None


def _holds_true(mask: object) -> bool:
    if isinstance(mask, Mapping):
        return any(_holds_true(item) for item in mask.values())
    if isinstance(mask, list):
        return any(_holds_true(item) for item in mask)
    return mask is True


def _masked(before: object, after: object) -> tuple[object, object]:
    return (None if before is None else MASKED), (None if after is None else MASKED)


# What the cloud fills in after Terraform recorded a resource (magic-castle.md, "First plan after an apply").
_FILLED_IN_LATER = {
    "openstack_networking_port_v2": ("device_id", "device_owner", "all_fixed_ips", "binding"),
    "openstack_networking_floatingip_v2": ("port_id", "fixed_ip", "all_tags"),
    "openstack_blockstorage_volume_v3": ("attachment",),
    "openstack_compute_instance_v2": ("all_tags",),
}


def _is_harmless(drifted: ResourceChange) -> bool:
    if drifted.action is not Action.UPDATE:
        return False
    filled_in = _FILLED_IN_LATER.get(drifted.type, ())
    return all(
        _top_level(change.path) in filled_in or (_is_nothing(change.before) and _is_nothing(change.after))
        for change in drifted.changes
    )


def _top_level(path: str) -> str:
    return path.split(".")[0].split("[")[0]


def _is_nothing(value: object) -> bool:
    return value is None or value in ("", [], {})
