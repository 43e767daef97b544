"""What a hub that was killed left undone is made good when the next one starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from apiflask import APIFlask

from app.clusters.equipment import equipment
from app.clusters.folders import sweep
from app.clusters.models import Cluster
from app.db import db, now
from app.lifecycle.operations import Operation, State
from tests.clusters.rows import keep_cluster, keep_operation

SECRET = "correct-horse-9"


@pytest.fixture
def left(app: APIFlask) -> tuple[Cluster, Operation, Path]:
    """A cluster whose last operation ended while its folder still holds a plan and a log in clear."""
    with app.app_context():
        cluster = keep_cluster("left", secrets={"guest_passwd": SECRET})
        operation = keep_operation(cluster, State.FAILED)
        folder = equipment().operation_folder(cluster, operation.id)
        folder.mkdir(parents=True)
        for name in ("log", "plan", "plan.json"):
            (folder / name).write_text(f"{SECRET}\n")
        (equipment().folder(cluster) / "terraform.tfstate").write_text("{}")
        return cluster, operation, folder


def test_the_last_operation_of_a_living_cluster_is_tidied(app: APIFlask, left: tuple[Cluster, Operation, Path]) -> None:
    _, _, folder = left
    with app.app_context():
        sweep()
    assert sorted(path.name for path in folder.iterdir()) == ["log"]
    assert SECRET not in (folder / "log").read_text()


def test_the_folder_of_a_destroyed_cluster_is_put_away_with_its_masked_logs_alone(
    app: APIFlask, left: tuple[Cluster, Operation, Path]
) -> None:
    cluster, operation, folder = left
    with app.app_context():
        row = db.session.get_one(Cluster, cluster.id)
        row.destroyed_at = now()
        db.session.commit()
        sweep()
        graves = equipment().settings.data / "destroyed"
        kept = graves / cluster.id / "operations" / operation.id
    assert not folder.exists()
    assert [path.name for path in kept.iterdir()] == ["log"]
    assert SECRET not in (kept / "log").read_text()
    assert [path.name for path in graves.iterdir()] == [cluster.id]
