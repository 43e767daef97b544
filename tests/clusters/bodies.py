"""The specification's example cluster, to be changed by each test."""

from __future__ import annotations

import copy
from typing import Any

from tests.conftest import PUBLIC_KEY

EXAMPLE: dict[str, Any] = {
    "template": "sandbox",
    "project": "default",
    "expires_at": None,
    "parameters": {
        "cluster_name": "monday",
        "domain": "sandbox.test",
        "image": "Rocky-9",
        "nb_users": 10,
        "guest_passwd": "",
        "instances": {
            "mgmt": {"type": "p4-6gb", "tags": ["mgmt", "puppet", "nfs"], "count": 1},
            "login": {"type": "p2-3gb", "tags": ["login", "public", "proxy"], "count": 1},
            "node": {"type": "p2-3gb", "tags": ["node"], "count": 2},
        },
        "volumes": {"nfs": {"home": {"size": 20}, "project": {"size": 20}, "scratch": {"size": 20}}},
        "public_keys": [PUBLIC_KEY],
        "hieradata": "",
    },
}
ABSENT = object()
"""In place of a value: the key is left out."""


def changed(path: str = "", value: object = None, body: dict[str, Any] = EXAMPLE) -> dict[str, Any]:
    """The body with one value changed, named as errors name it (`parameters.instances.mgmt.type`)."""
    found = copy.deepcopy(body)
    if not path:
        return found
    *way, last = path.split(".")
    place: Any = found
    for step in way:
        place = place[int(step)] if isinstance(place, list) else place[step]
    if value is ABSENT:
        place.pop(last, None)
    elif isinstance(place, list):
        place[int(last)] = value
    else:
        place[last] = value
    return found


def named(name: str, **parameters: object) -> dict[str, Any]:
    """The body under another cluster name, with some parameters changed."""
    found = changed("parameters.cluster_name", name)
    found["parameters"].update(parameters)
    return found
