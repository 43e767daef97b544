"""Operations, timeline and kept states: counted, and a page at a time, however many there are."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.clusters.models import Cluster, StateVersion
from app.db import db, now
from app.lifecycle.operations import Operation
from app.lifecycle.status import StatusEvent
from tests.clusters.rows import keep_cluster

pytestmark = pytest.mark.usefixtures("session")
MANY = 230
HISTORIES = ["operations", "timeline", "state/versions"]


@pytest.fixture(scope="module")
def hostnames() -> dict[str, str]:
    """The cluster with a long history, once it is made."""
    return {}


@pytest.fixture
def hostname(session: None, hostnames: dict[str, str]) -> str:
    """A cluster that lived long: so many operations, events and states."""
    if not hostnames:
        cluster = keep_cluster("old")
        db.session.add_all(each for number in range(MANY) for each in _happened(cluster, number))
        db.session.commit()
        hostnames["old"] = cluster.hostname
    return hostnames["old"]


def _happened(cluster: Cluster, number: int) -> list[Any]:
    marks = {"subject_type": "cluster", "subject_id": cluster.id}
    at = now() + timedelta(seconds=number)
    state = {"cluster_id": cluster.id, "lineage": "l", "sha256": "s", "resources": 1, "content": b"sealed"}
    rows: list[Any] = [
        Operation(**marks, kind="plan", actor=f"{number}", status="succeeded", created_at=at),
        StateVersion(**state, serial=number, created_at=at),
    ]
    if number:  # the cluster's birth is the first event
        rows.append(StatusEvent(**marks, to_status="created", indicator="idle", detail=f"{number}", source="s"))
    return rows


def mark(item: dict[str, Any]) -> str:
    """What tells one item from another."""
    return str(item["id"] if "id" in item else item["detail"])


@pytest.mark.parametrize("history", HISTORIES)
def test_next_leads_through_all_of_it(hub_client: FlaskClient, hostname: str, history: str) -> None:
    url: str | None = f"/api/clusters/{hostname}/{history}"
    sizes, seen = [], []
    while url:
        document = hub_client.get(url).get_json()
        assert document["total"] == MANY
        sizes.append(len(document["items"]))
        seen += [mark(item) for item in document["items"]]
        url = document["next"]
    assert sizes == [100, 100, 30]
    assert len(set(seen)) == MANY


def test_operations_and_states_begin_with_the_newest_and_the_timeline_with_the_oldest(
    hub_client: FlaskClient, hostname: str
) -> None:
    def first(history: str) -> dict[str, Any]:
        found: dict[str, Any] = hub_client.get(f"/api/clusters/{hostname}/{history}?per_page=1").get_json()["items"][0]
        return found

    assert first("operations")["by"] == f"{MANY - 1}"
    assert first("state/versions")["serial"] == MANY - 1
    assert first("timeline")["detail"] == ""


@pytest.mark.parametrize("history", HISTORIES)
def test_a_page_of_ones_own_size(hub_client: FlaskClient, hostname: str, history: str) -> None:
    path = f"/api/clusters/{hostname}/{history}"
    document = hub_client.get(path, query_string={"page": 2, "per_page": 7}).get_json()
    assert (len(document["items"]), document["next"]) == (7, f"{path}?page=3&per_page=7")
    beyond = hub_client.get(path, query_string={"page": 99}).get_json()
    assert beyond == {"items": [], "total": MANY, "next": None}


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize(("name", "value"), [("page", "0"), ("page", "x"), ("per_page", "201"), ("per_page", "-1")])
def test_a_page_that_is_none_is_refused_by_name(
    hub_client: FlaskClient, hostname: str, history: str, name: str, value: str
) -> None:
    answer = hub_client.get(f"/api/clusters/{hostname}/{history}", query_string={name: value})
    assert (answer.status_code, answer.get_json()["errors"][0]["field"]) == (422, name)
