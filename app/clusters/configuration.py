"""A cluster's configuration: what was typed and what was applied, with the secrets kept sealed apart."""

from __future__ import annotations

import json
from typing import Any

from app.accounts import service as accounts
from app.clusters.models import Cluster
from app.clusters.schemas import Parameters
from app.db import db
from app.terraform.templates import ClusterTemplate


def sealed(secrets: dict[str, str]) -> bytes:
    """Secrets as they are kept."""
    return accounts.vault().seal(json.dumps(secrets, sort_keys=True).encode())


def opened(kept: bytes) -> dict[str, str]:
    """Kept secrets, in clear."""
    found: dict[str, str] = json.loads(accounts.vault().open(kept))
    return found


def split_secrets(parameters: Parameters, template: ClusterTemplate) -> tuple[dict[str, Any], dict[str, str | None]]:
    """What was given, without its secrets; and the secrets, None for one to be dropped."""
    given = parameters.given()
    secrets = {name: given.pop(name) for name in template.secret_names if name in given}
    return given, {name: value or None for name, value in secrets.items()}


def restore_applied(cluster: Cluster) -> None:
    """Go back to what was last applied; a cluster that never was built keeps what was typed."""
    if cluster.applied_parameters is not None and cluster.applied_secrets is not None:
        if (cluster.parameters, cluster.secrets) != (cluster.applied_parameters, cluster.applied_secrets):
            cluster.parameters, cluster.secrets = cluster.applied_parameters, cluster.applied_secrets
            cluster.version += 1
        db.session.flush()
