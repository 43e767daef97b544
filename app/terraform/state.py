"""Reading Terraform's state file, version 4."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STATE_FILE = "terraform.tfstate"
_VERSION = 4
_MANAGED = "managed"


class StateError(Exception):
    """Not a state that this hub can read: cut short, foreign, or of another version."""


@dataclass(frozen=True)
class StateInstance:
    """One instance of a resource. `attributes` may hold secrets."""

    address: str
    key: str | int | None
    attributes: Mapping[str, Any]
    tainted: bool = False
    deposed: bool = False

    @property
    def id(self) -> str | None:
        found = self.attributes.get("id")
        return None if found is None else str(found)


@dataclass(frozen=True)
class StateResource:
    address: str
    module: str
    mode: str
    type: str
    name: str
    provider: str
    instances: tuple[StateInstance, ...]

    @property
    def is_managed(self) -> bool:
        return self.mode == _MANAGED


@dataclass(frozen=True)
class StateOutput:
    name: str
    value: Any
    sensitive: bool


@dataclass(frozen=True)
class State:
    serial: int
    lineage: str
    terraform_version: str
    resources: tuple[StateResource, ...] = ()
    outputs: Mapping[str, StateOutput] = field(default_factory=dict)

    @property
    def managed(self) -> tuple[StateResource, ...]:
        return tuple(each for each in self.resources if each.is_managed)

    @property
    def managed_count(self) -> int:
        """Instances of managed resources: what exists."""
        return sum(len(each.instances) for each in self.managed)

    @property
    def data_count(self) -> int:
        return sum(len(each.instances) for each in self.resources if not each.is_managed)

    @property
    def is_empty(self) -> bool:
        """Whether nothing that Terraform manages is left."""
        return self.managed_count == 0

    def instances_of(self, kind: str) -> tuple[StateInstance, ...]:
        """The instances of all managed resources of a type, deposed ones left out."""
        found = (each for resource in self.managed if resource.type == kind for each in resource.instances)
        return tuple(each for each in found if not each.deposed)

    def output(self, name: str) -> Any:
        """The value of an output, None where there is none."""
        found = self.outputs.get(name)
        return None if found is None else found.value


NO_STATE = State(serial=0, lineage="", terraform_version="")


def read_state_file(working_directory: Path) -> State:
    """The state of a cluster's folder; NO_STATE where no apply has written one. Raises StateError."""
    try:
        return read_state((working_directory / STATE_FILE).read_bytes())
    except FileNotFoundError:
        return NO_STATE


def read_state(content: bytes) -> State:
    """The state in `content`. Raises StateError."""
    try:
        document = json.loads(content)
    except ValueError as error:
        raise StateError(f"the state is no JSON, perhaps cut short: {error}") from error
    if not isinstance(document, dict) or "lineage" not in document or "serial" not in document:
        raise StateError("this is not a Terraform state: lineage or serial is missing")
    if document.get("version") != _VERSION:
        raise StateError(f"the state has version {document.get('version')}, only {_VERSION} can be read")
    try:
        return State(
            serial=int(document["serial"]),
            lineage=str(document["lineage"]),
            terraform_version=str(document.get("terraform_version", "")),
            resources=tuple(_resource(entry) for entry in document.get("resources") or []),
            outputs={
                name: StateOutput(name, entry["value"], bool(entry.get("sensitive", False)))
                for name, entry in (document.get("outputs") or {}).items()
            },
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StateError(f"the state is not formed as version {_VERSION}: {error!r}") from error


def _resource(entry: Mapping[str, Any]) -> StateResource:
    mode, module = str(entry["mode"]), str(entry.get("module", ""))
    parts = [module, "data" if mode == "data" else "", str(entry["type"]), str(entry["name"])]
    address = ".".join(part for part in parts if part)
    return StateResource(
        address=address,
        module=module,
        mode=mode,
        type=str(entry["type"]),
        name=str(entry["name"]),
        provider=_provider(str(entry["provider"])),
        instances=tuple(_instance(address, instance) for instance in entry["instances"]),
    )


def _instance(address: str, entry: Mapping[str, Any]) -> StateInstance:
    key = entry.get("index_key")
    index = "" if key is None else f"[{json.dumps(key, ensure_ascii=False)}]"
    return StateInstance(
        address=address + index,
        key=key,
        attributes=entry.get("attributes") or {},
        tainted=entry.get("status") == "tainted",
        deposed="deposed" in entry,
    )


def _provider(reference: str) -> str:
    """``provider["host.example/a/b"]`` -> ``a/b``'s full source; aliases keep their suffix."""
    return reference.split('["', 1)[-1].replace('"]', "")
