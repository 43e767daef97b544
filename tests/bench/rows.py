"""Clusters written straight into a hub's database, by the hub's own models and moves: for benches that need many."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from app import create_app
from app.accounts import service as accounts
from app.clusters import configuration, models
from app.clusters.documents import publish
from app.clusters.models import Cluster
from app.clusters.statuses import Status
from app.db import db, iso, now, transaction
from app.lifecycle.operations import Operation, State
from app.lifecycle.status import begin, transition
from app.serving import prepare
from app.settings import Settings
from tests.clusters.test_line import body

SOURCE = "bench"
RESOURCES = 25
_TO_PLAN = (Status.PLAN_RUNNING, Status.PLAN_READY)
_TO_BUILD = (*_TO_PLAN, Status.BUILD_RUNNING)
WAYS: dict[Status, Sequence[Status]] = {
    Status.PLAN_READY: _TO_PLAN,
    Status.BUILD_ERROR: (*_TO_BUILD, Status.BUILD_ERROR),
    Status.BUILD_SUCCESS: (*_TO_BUILD, Status.BUILD_SUCCESS),
    Status.PROVISIONING_RUNNING: (*_TO_BUILD, Status.PROVISIONING_RUNNING),
    Status.PROVISIONING_SUCCESS: (*_TO_BUILD, Status.PROVISIONING_SUCCESS),
}
RESTING = (Status.PROVISIONING_SUCCESS, Status.BUILD_SUCCESS, Status.BUILD_ERROR, Status.PLAN_READY)


def add_clusters(
    settings: Settings, count: int, status_of: Callable[[int], Status], *, address: str = "", prefix: str = "row"
) -> list[str]:
    """Add `count` clusters named after `prefix`, whose services are at `address`; their hostnames."""
    with _database(settings), transaction():
        project = accounts.project_named(accounts.DEFAULT_PROJECT)
        return [_add(f"{prefix}{number:04}", status_of(number), project.id, address) for number in range(count)]


def resting(number: int) -> Status:
    """Statuses in which nothing happens, in turns."""
    return RESTING[number % len(RESTING)]


def provisioning(_number: int) -> Status:
    """The status in which services are asked."""
    return Status.PROVISIONING_RUNNING


@contextmanager
def _database(settings: Settings) -> Iterator[None]:
    app = create_app(settings)
    prepare(app, settings)
    with app.app_context():
        yield
        db.session.remove()
        db.engine.dispose()


def _add(name: str, status: Status, project_id: str, address: str) -> str:
    parameters = body(name)["parameters"]
    hostname = f"{name}.{parameters['domain']}"
    cluster = Cluster(
        hostname=hostname,
        project_id=project_id,
        template="sandbox",
        owner=accounts.LOCAL_USER,
        parameters=parameters,
        secrets=configuration.sealed({}),
        cloud={"auth_url": "http://127.0.0.1/identity/v3", "project_id": "0" * 32, "region": "RegionOne"},
        outputs={"public_ip": {"login1": address}} if address else {},
        has_resources=status is not Status.PLAN_READY,
        provisioning_since=now(),
    )
    begin(cluster, Status.CREATED, source=SOURCE)
    operation = _operation(cluster)
    db.session.flush()
    for step in WAYS[status]:
        before = {"status_before": Status.CREATED} if step is Status.PLAN_RUNNING else {}
        transition(cluster, step, source=SOURCE, also=before)
    publish(cluster, progress=_progress(operation), counts={"done": RESOURCES, "total": RESOURCES})
    return hostname


def _operation(cluster: Cluster) -> Operation:
    """An apply that succeeded."""
    operation = Operation(
        kind=models.APPLY, subject_type=models.SUBJECT, subject_id=cluster.id, actor=SOURCE, payload={"kind": "apply"}
    )
    begin(operation, State.QUEUED, source=SOURCE)
    transition(operation, State.RUNNING, source=SOURCE, also={"started_at": now() - timedelta(seconds=20)})
    transition(operation, State.SUCCEEDED, source=SOURCE, also={"ended_at": now()})
    return operation


def _progress(operation: Operation) -> list[dict[str, object]]:
    """What the status says of an apply's resources."""
    return [
        {
            "address": f'module.cluster.openstack_compute_instance_v2.instance["node{number}"]',
            "type": "openstack_compute_instance_v2",
            "action": "create",
            "state": "done",
            "started_at": iso(operation.started_at),
            "ended_at": iso(operation.ended_at),
            "diagnostic": None,
        }
        for number in range(1, RESOURCES + 1)
    ]
