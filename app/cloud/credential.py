"""A cloud credential: the usual `OS_*` variables, or a cloud of a clouds.yaml flattened to them.

Names and meaning: openstacksdk, "Configuring OpenStack SDK Applications"; the Terraform provider reads the same ones.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

_AUTH_NAMES = (
    "auth_url", "username", "user_id", "password", "project_id", "project_name", "user_domain_id", "user_domain_name",
    "project_domain_id", "project_domain_name", "domain_id", "domain_name", "token", "application_credential_id",
    "application_credential_name", "application_credential_secret",
)  # fmt: skip
_TOP_NAMES = {
    "region_name": "OS_REGION_NAME",
    "interface": "OS_INTERFACE",
    "cacert": "OS_CACERT",
    "auth_type": "OS_AUTH_TYPE",
}
SECRET_NAMES = ("OS_PASSWORD", "OS_APPLICATION_CREDENTIAL_SECRET", "OS_TOKEN")


class CredentialError(Exception):
    """The credential is incomplete or cannot be read; the message says what to do."""


@dataclass(frozen=True)
class CloudIdentity:
    """Where a cluster lives; it never moves (spec/clusters.md, "Statuses")."""

    auth_url: str
    project_id: str
    region: str

    def __str__(self) -> str:
        return f"{self.auth_url} {self.project_id} {self.region}"


def flatten(environment: Mapping[str, str]) -> dict[str, str]:
    """`OS_CLOUD` and its clouds.yaml resolved to plain `OS_*` variables; these stay as they are.

    Raises:
        CredentialError: the file or the cloud in it is missing.
    """
    name = environment.get("OS_CLOUD")
    if not name or environment.get("OS_AUTH_URL"):
        return {key: value for key, value in environment.items() if key not in ("OS_CLOUD", "OS_CLIENT_CONFIG_FILE")}
    entry = _entry(name, _clouds_file(environment))
    given = {key: value for key, value in entry["auth"].items() if value is not None}
    flat = {f"OS_{key.upper()}": str(value) for key, value in given.items() if key in _AUTH_NAMES}
    flat |= {variable: str(entry[key]) for key, variable in _TOP_NAMES.items() if entry.get(key)}
    if entry.get("verify") is False:
        flat["OS_INSECURE"] = "true"
    return flat


def _clouds_file(environment: Mapping[str, str]) -> Path:
    given = environment.get("OS_CLIENT_CONFIG_FILE")
    places = [Path(given)] if given else [
        Path("clouds.yaml"),
        Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "openstack" / "clouds.yaml",
        Path("/etc/openstack/clouds.yaml"),
    ]  # fmt: skip
    for place in places:
        if place.is_file():
            return place
    raise CredentialError(
        f"OS_CLOUD is set, but there is no clouds.yaml: looked at {', '.join(map(str, places))}. "
        "Name it with OS_CLIENT_CONFIG_FILE."
    )


def _entry(name: str, path: Path) -> dict[str, Any]:
    try:
        clouds = (yaml.safe_load(path.read_text()) or {}).get("clouds", {})
        entry = clouds[name]
    except (OSError, ValueError, yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        raise CredentialError(f"There is no cloud “{name}” in {path} (OS_CLOUD).") from error
    if not isinstance(entry, dict) or not isinstance(entry.get("auth"), dict) or not entry["auth"].get("auth_url"):
        raise CredentialError(f"The cloud “{name}” in {path} has no auth_url.")
    return entry


def check(credential: Mapping[str, str]) -> None:
    """Whether there is enough to sign in with.

    Raises:
        CredentialError: something is missing; the message names it.
    """
    if not credential.get("OS_AUTH_URL"):
        raise CredentialError(
            "No cloud is set up: start the hub with OS_AUTH_URL and an application credential "
            "(OS_APPLICATION_CREDENTIAL_ID, OS_APPLICATION_CREDENTIAL_SECRET), a user name and password, or OS_CLOUD."
        )
    if not _is_url(credential["OS_AUTH_URL"]):
        # Not quoted: what stands in the wrong variable is often a password.
        raise CredentialError("OS_AUTH_URL is no URL: it looks like https://cloud.example:5000/v3.")
    if not (
        credential.get("OS_APPLICATION_CREDENTIAL_SECRET")
        or credential.get("OS_PASSWORD")
        or credential.get("OS_TOKEN")
    ):
        raise CredentialError(
            "The cloud credential has no secret: set OS_APPLICATION_CREDENTIAL_SECRET, or OS_PASSWORD with OS_USERNAME."
        )


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def secret_values(credential: Mapping[str, str]) -> list[str]:
    """The values that must appear nowhere."""
    return [credential[name] for name in SECRET_NAMES if credential.get(name)]
