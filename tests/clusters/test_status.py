"""`GET .../status`: one ready-made row, that changes only when something happened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event

from app.clusters.documents import expected_end, publish
from app.clusters.models import Cluster, StatusDocument
from app.db import db, now
from app.lifecycle import operations
from app.lifecycle.operations import Operation, State
from tests.clusters.rows import ends, keep_cluster, keep_operation, moves

pytestmark = pytest.mark.usefixtures("session")
PROGRESS = [{"address": "a.b", "state": "running"}]


def asked(client: FlaskClient, cluster: Cluster, etag: str | None = None) -> Any:
    """The answer; with the ETag of an earlier one."""
    headers = {"If-None-Match": etag} if etag else {}
    return client.get(f"/api/clusters/{cluster.hostname}/status", headers=headers)


def rewrite(cluster: Cluster, **parts: Any) -> None:
    """Publish, as a worker does."""
    publish(db.session.get_one(Cluster, cluster.id), **parts)
    db.session.commit()


def test_a_new_cluster_has_its_document(hub_client: FlaskClient) -> None:
    cluster = keep_cluster()
    document = asked(hub_client, cluster).get_json()
    assert (document["status"], document["indicator"], document["version"]) == ("created", "idle", 1)
    assert (document["operation"], document["progress"], document["probes"]) == (None, [], [])
    assert document["updated_at"].endswith("Z")


def test_nothing_in_it_changes_unless_something_happened(hub_client: FlaskClient) -> None:
    cluster = keep_cluster()
    first = asked(hub_client, cluster)
    rewrite(cluster)
    rewrite(cluster, progress=[], counts={}, probes=[])
    second = asked(hub_client, cluster)
    assert (second.data, second.headers["ETag"]) == (first.data, first.headers["ETag"])


def test_who_has_seen_it_is_told_so_in_a_few_bytes(hub_client: FlaskClient) -> None:
    cluster = keep_cluster()
    etag = asked(hub_client, cluster).headers["ETag"]
    again = asked(hub_client, cluster, etag)
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", etag)
    assert asked(hub_client, cluster, '"another"').status_code == 200


@pytest.mark.parametrize(
    "parts",
    [
        {"progress": PROGRESS},
        {"counts": {"done": 1, "total": 2}},
        {"probes": [{"name": "a", "ok": True}]},
    ],
)
def test_whatever_happens_changes_it(hub_client: FlaskClient, parts: dict[str, Any]) -> None:
    cluster = keep_cluster()
    keep_operation(cluster)
    etag = asked(hub_client, cluster).headers["ETag"]
    rewrite(cluster, **parts)
    assert asked(hub_client, cluster, etag).status_code == 200


def test_a_move_changes_it_and_says_why(hub_client: FlaskClient) -> None:
    cluster = keep_cluster()
    etag = asked(hub_client, cluster).headers["ETag"]
    moves(cluster, "plan_running", version=2)
    document = asked(hub_client, cluster, etag).get_json()
    assert (document["status"], document["indicator"], document["version"]) == ("plan_running", "in_progress", 2)


def test_parts_that_are_not_given_stay(hub_client: FlaskClient) -> None:
    cluster = keep_cluster()
    rewrite(cluster, progress=PROGRESS)
    rewrite(cluster, probes=[{"name": "a"}])
    document = asked(hub_client, cluster).get_json()
    assert (document["progress"], document["probes"]) == (PROGRESS, [{"name": "a"}])


def test_it_shows_the_present_operation(hub_client: FlaskClient) -> None:
    cluster = keep_cluster()
    ends(keep_operation(cluster), State.FAILED)
    operation = keep_operation(cluster, kind="apply")
    rewrite(cluster, counts={"done": 7, "total": 25})
    shown = asked(hub_client, cluster).get_json()["operation"]
    assert (shown["id"], shown["kind"], shown["state"]) == (operation.id, "apply", "running")
    assert shown["progress"] == {"done": 7, "total": 25}
    assert shown["started_at"] is not None


def test_an_unknown_or_destroyed_cluster_has_none(hub_client: FlaskClient) -> None:
    cluster = keep_cluster()
    moves(cluster, "destroyed", destroyed_at=now())
    for hostname in (cluster.hostname, "none.sandbox.test"):
        answer = hub_client.get(f"/api/clusters/{hostname}/status")
        assert answer.status_code == 404
        assert answer.mimetype == "application/problem+json"


def test_a_hostname_that_is_used_again_shows_the_living(hub_client: FlaskClient) -> None:
    first = keep_cluster("again")
    moves(first, "destroyed", destroyed_at=now())
    second = keep_cluster("again", "plan_error")
    assert asked(hub_client, second).get_json()["status"] == "plan_error"


@contextmanager
def statements() -> Iterator[list[str]]:
    """The statements that the database gets meanwhile."""
    found: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        found.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


def test_it_costs_one_statement_that_reads_one_row(hub_client: FlaskClient) -> None:
    cluster = keep_cluster()
    etag = asked(hub_client, cluster).headers["ETag"]
    for known in (None, etag):
        db.session.remove()
        with statements() as found:
            asked(hub_client, cluster, known)
        assert len(found) == 1
        assert "status_documents" in found[0]
        assert "clusters.parameters" not in found[0]


def test_an_estimate_comes_from_the_last_ones_of_its_kind() -> None:
    for _ in range(3):
        operation = keep_operation(keep_cluster(), kind="measured")
        operation.started_at = now() - timedelta(seconds=40)
        operations.end(operation, State.SUCCEEDED, source="worker")
        db.session.commit()
    running = keep_operation(keep_cluster(), kind="measured")
    end = expected_end(running)
    assert end is not None
    assert running.started_at is not None
    assert 39 < (end - running.started_at).total_seconds() < 45


def test_without_history_or_once_it_has_ended_there_is_no_estimate() -> None:
    operation = keep_operation(keep_cluster(), kind="unheard-of")
    assert expected_end(operation) is None
    ends(operation)
    assert expected_end(db.session.get_one(Operation, operation.id)) is None


def test_of_two_writers_the_later_sees_what_the_earlier_wrote() -> None:
    cluster = keep_cluster()
    rewrite(cluster, progress=PROGRESS)
    with db.engine.begin() as other:
        other.execute(StatusDocument.__table__.update().values(counts={"done": 3, "total": 4}))  # type: ignore[attr-defined]
    rewrite(cluster, probes=[])
    kept = db.session.get_one(StatusDocument, cluster.id, populate_existing=True)
    assert (kept.progress, kept.counts) == (PROGRESS, {"done": 3, "total": 4})
