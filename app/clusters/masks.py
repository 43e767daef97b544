"""What must not be read in a cluster's logs."""

from __future__ import annotations

from app.accounts import service as accounts
from app.cloud.credential import secret_values
from app.clusters.configuration import opened
from app.clusters.equipment import equipment
from app.clusters.models import Cluster
from app.lifecycle.operations import Operation
from app.terraform import execution
from app.terraform.masking import Masker


def mask_log(operation: Operation, cluster: Cluster) -> None:
    masker = masker_of(cluster)
    masker.mask_file(equipment().operation_folder(cluster, operation.id) / execution.LOG)


def masker_of(cluster: Cluster) -> Masker:
    """What must not be read in this cluster's logs."""
    project = accounts.project_of(cluster.project_id)
    known = [*secret_values(accounts.credential_of(project)), *opened(cluster.secrets).values()]
    if cluster.applied_secrets is not None:
        known += opened(cluster.applied_secrets).values()
    return Masker([value for value in known if value])
