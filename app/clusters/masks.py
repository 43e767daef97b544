"""What must not be read in a cluster's logs and diagnostics."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from app.accounts import service as accounts
from app.cloud.credential import secret_values
from app.clusters.configuration import opened
from app.clusters.models import Cluster
from app.terraform.masking import Masker
from app.terraform.progress import Diagnostic


def masker_of(cluster: Cluster) -> Masker:
    """Masks the cloud credential and the cluster's own secrets."""
    project = accounts.project_of(cluster.project_id)
    known = [*secret_values(accounts.credential_of(project)), *opened(cluster.secrets).values()]
    if cluster.applied_secrets is not None:
        known += opened(cluster.applied_secrets).values()
    return Masker([value for value in known if value])


def diagnostic_json(diagnostic: Diagnostic, masker: Masker) -> dict[str, Any]:
    """A diagnostic as the API shows it: Terraform may quote a value in it."""
    shown = replace(diagnostic, summary=_masked(diagnostic.summary, masker), detail=_masked(diagnostic.detail, masker))
    return {**asdict(shown), "severity": shown.severity.value}


def _masked(text: str, masker: Masker) -> str:
    return masker.mask(text.encode()).decode(errors="replace")
