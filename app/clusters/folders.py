"""Clusters' folders: what leaves them when it is no longer needed, and where they go when a cluster is gone.

Plan files and states hold secrets in clear while Terraform needs them, and no longer.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from sqlalchemy import select

from app.clusters.equipment import equipment
from app.clusters.models import Cluster, Plan
from app.db import db
from app.logs import get_logger
from app.terraform import commands
from app.terraform.execution import EXIT, LOG

log = get_logger(__name__)
KEPT = frozenset({LOG, EXIT})
"""What is kept of an operation's folder when its cluster is gone: the masked log, and how each command ended."""


def forget_plan_document(cluster: Cluster, operation_id: str) -> None:
    """The plan as JSON has been read; it holds secrets in clear."""
    (equipment().operation_folder(cluster, operation_id) / commands.PLAN_JSON).unlink(missing_ok=True)


def forget_plan(cluster: Cluster, plan: Plan) -> None:
    """A plan was applied or dropped: its file is of no more use."""
    (equipment().operation_folder(cluster, plan.operation_id) / commands.PLAN).unlink(missing_ok=True)


def forget_earlier_plans(cluster: Cluster) -> None:
    """A new plan is made: whatever an earlier one left is of no more use."""
    for name in (commands.PLAN, commands.PLAN_JSON):
        for path in equipment().folder(cluster).glob(f"operations/*/{name}"):
            path.unlink(missing_ok=True)


def put_away(hostname: str) -> None:
    """Free the folder of a hostname that no living cluster has: its logs go to `<data>/destroyed/<id>/`.

    Safe to run again: a hub that died between the end of a cluster and this left the folder in place.
    """
    folder = equipment().settings.data / "clusters" / hostname
    if not folder.exists():
        return
    clusters = db.session.scalars(
        select(Cluster).where(Cluster.hostname == hostname).order_by(Cluster.created_at.desc())
    ).all()
    if any(cluster.destroyed_at is None for cluster in clusters):
        return
    target = equipment().settings.data / "destroyed" / (clusters[0].id if clusters else hostname)
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    for operation in (folder / "operations").glob("*"):
        _keep_logs(operation, target / "operations" / operation.name)
    shutil.rmtree(folder)
    log.info("folder put away", hostname=hostname)


def _keep_logs(operation: Path, target: Path) -> None:
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in KEPT:
        if (operation / name).exists():
            shutil.copy2(operation / name, target / name)
