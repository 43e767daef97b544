"""Clusters' folders: what leaves them when it is no longer needed, and where they go when a cluster is gone.

Plan files and states hold secrets in clear while Terraform needs them, and no longer.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from sqlalchemy import select

from app.clusters.documents import latest_operation
from app.clusters.equipment import equipment
from app.clusters.masks import masker_of
from app.clusters.models import Cluster, Plan
from app.db import db, new_id
from app.lifecycle.operations import Operation
from app.logs import get_logger
from app.terraform import commands
from app.terraform.execution import EXIT, LOG

log = get_logger(__name__)
KEPT = frozenset({LOG, EXIT})
"""What is kept of an operation's folder when its cluster is gone: the masked log, and how each command ended."""


def tidy(cluster: Cluster, operation: Operation) -> None:
    """After an operation's end: mask its log, and remove plan files that nobody waits for. Safe to run again."""
    folder = equipment().operation_folder(cluster, operation.id)
    if (folder / LOG).exists():
        masker_of(cluster).mask_file(folder / LOG)
    (folder / commands.PLAN_JSON).unlink(missing_ok=True)
    pending = db.session.get(Plan, cluster.plan_id) if cluster.plan_id else None
    for path in equipment().folder(cluster).glob(f"operations/*/{commands.PLAN}"):
        if pending is None or path.parent.name != pending.operation_id:
            path.unlink(missing_ok=True)


def forget_plan(cluster: Cluster, plan: Plan) -> None:
    """A plan was dropped: its file is of no more use."""
    (equipment().operation_folder(cluster, plan.operation_id) / commands.PLAN).unlink(missing_ok=True)


def sweep() -> None:
    """Make good what a hub that was killed left undone: tidy the last operation of each cluster, put away the dead."""
    clusters = equipment().settings.data / "clusters"
    for folder in sorted(clusters.glob("*")):
        put_away(folder.name)
    living = db.session.scalars(select(Cluster).where(Cluster.destroyed_at.is_(None))).all()
    for cluster in living:
        last = latest_operation(cluster)
        if last is not None and not last.is_active:
            tidy(cluster, last)


def forget_earlier_plans(cluster: Cluster) -> None:
    """A new plan is made: whatever an earlier one left is of no more use."""
    for name in (commands.PLAN, commands.PLAN_JSON):
        for path in equipment().folder(cluster).glob(f"operations/*/{name}"):
            path.unlink(missing_ok=True)


def keep_history(cluster: Cluster) -> None:
    """Copy a living cluster's masked logs to where they are looked for once it is gone: before its end is committed."""
    _keep_all_logs(cluster, equipment().settings.data / "clusters" / cluster.hostname)


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
    graves = equipment().settings.data / "destroyed"
    graves.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Moved first, in one step: a new cluster of that name may come at any moment.
    moved = graves / f".{hostname}.{new_id()}"
    folder.rename(moved)
    if clusters:
        _keep_all_logs(clusters[0], moved)
    shutil.rmtree(moved)
    log.info("folder put away", hostname=hostname)


def _keep_all_logs(cluster: Cluster, folder: Path) -> None:
    masker = masker_of(cluster)
    target = equipment().settings.data / "destroyed" / cluster.id
    for operation in (folder / "operations").glob("*"):
        if (operation / LOG).exists():
            masker.mask_file(operation / LOG)
        _keep_logs(operation, target / "operations" / operation.name)


def _keep_logs(operation: Path, target: Path) -> None:
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in KEPT:
        if (operation / name).exists():
            shutil.copy2(operation / name, target / name)
