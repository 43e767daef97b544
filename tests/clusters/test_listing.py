"""`GET /api/clusters`: filter, sort, page, at a thousand clusters as at three."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from app.accounts.models import Project
from app.accounts.service import project_named
from app.clusters import queries
from app.clusters.documents import publish
from app.clusters.models import Cluster
from app.db import db, now
from tests.clusters.bodies import named
from tests.clusters.rows import keep_cluster, moves, remove_all


@pytest.fixture(autouse=True)
def three(hub: APIFlask) -> Iterator[None]:
    """Three clusters, the oldest first."""
    with hub.app_context():
        remove_all()
        for age, (name, status, owner) in enumerate(
            [("carol", "build_error", "z"), ("alice", "created", "y"), ("bob_1%", "provisioning_success", "x")]
        ):
            keep_cluster(
                name,
                status,
                owner=owner,
                created_at=now() - timedelta(hours=3 - age),
                expires_at=now() + timedelta(days=age) if age else None,
            )
        yield
        db.session.remove()


def listed(client: FlaskClient, **query: Any) -> list[str]:
    """The names of the clusters on the page."""
    answer = client.get("/api/clusters", query_string=query)
    assert answer.status_code == 200
    return [item["hostname"].split(".")[0] for item in answer.get_json()["items"]]


def test_the_newest_stand_first(hub_client: FlaskClient) -> None:
    assert listed(hub_client) == ["bob_1%", "alice", "carol"]


def test_an_item_says_what_a_list_needs(hub_client: FlaskClient) -> None:
    found = hub_client.get("/api/clusters", query_string={"q": "alice"}).get_json()
    assert (found["total"], found["next"]) == (1, None)
    (item,) = found["items"]
    assert item["hostname"] == "alice.sandbox.test"
    assert (item["template"], item["project"], item["status"], item["indicator"]) == (
        *("sandbox", "default", "created", "idle"),
    )
    assert (item["owner"], item["nodes"], item["progress"]) == ("y", 4, None)
    assert item["expires_at"].endswith("Z")
    assert item["created_at"].endswith("Z")


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        ("hostname", ["alice", "bob_1%", "carol"]),
        ("-hostname", ["carol", "bob_1%", "alice"]),
        ("created_at", ["carol", "alice", "bob_1%"]),
        ("status", ["carol", "alice", "bob_1%"]),
        ("owner", ["bob_1%", "alice", "carol"]),
        ("-expires_at", ["bob_1%", "alice", "carol"]),
    ],
)
def test_it_sorts_by_any_column(hub_client: FlaskClient, sort: str, names: list[str]) -> None:
    assert listed(hub_client, sort=sort) == names


@pytest.mark.parametrize("sort", ["secrets", "parameters", "", "-", "--hostname", "hostname desc", "id;"])
def test_it_sorts_by_nothing_else(hub_client: FlaskClient, sort: str) -> None:
    answer = hub_client.get("/api/clusters", query_string={"sort": sort})
    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["field"] == "sort"


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"q": "ALI"}, ["alice"]),
        ({"q": "_"}, ["bob_1%"]),
        ({"q": "%"}, ["bob_1%"]),
        ({"q": "' OR 1=1"}, []),
        ({"status": "build_error"}, ["carol"]),
        ({"status": "no_such"}, []),
        ({"project": "default", "q": "ob"}, ["bob_1%"]),
        ({"project": "other"}, []),
        ({"q": "a", "status": "created"}, ["alice"]),
    ],
)
def test_it_filters(hub_client: FlaskClient, query: dict[str, str], names: list[str]) -> None:
    assert listed(hub_client, **query) == names


def test_the_destroyed_are_not_in_it(hub_client: FlaskClient) -> None:
    moves(keep_cluster("gone"), "destroyed", destroyed_at=now())
    assert "gone" not in listed(hub_client)


def test_next_leads_through_all_pages_and_keeps_what_was_asked(hub_client: FlaskClient) -> None:
    url: str | None = "/api/clusters?per_page=1&sort=hostname&q=sandbox&project=default"
    seen = []
    while url is not None:
        assert not urlsplit(url).netloc
        page = hub_client.get(url).get_json()
        assert (len(page["items"]), page["total"]) == (1, 3)
        seen += [item["hostname"].split(".")[0] for item in page["items"]]
        url = page["next"]
    assert seen == ["alice", "bob_1%", "carol"]


def test_a_page_beyond_the_last_is_empty(hub_client: FlaskClient) -> None:
    assert hub_client.get("/api/clusters?page=9").get_json() == {"items": [], "total": 3, "next": None}


def test_progress_is_in_per_cent(hub_client: FlaskClient) -> None:
    cluster = keep_cluster("half")
    publish(cluster, counts={"done": 13, "total": 26})
    db.session.commit()
    found = hub_client.get("/api/clusters?q=half").get_json()
    assert found["items"][0]["progress"] == 50
    assert queries.percent({}) is None
    assert queries.percent({"done": 0, "total": 3}) == 0


def test_clusters_of_another_project_are_told_apart(hub_client: FlaskClient) -> None:
    db.session.add(Project(name="physics"))
    db.session.flush()
    cluster = keep_cluster("theirs")
    cluster.project_id = db.session.query(Project).filter_by(name="physics").one().id
    db.session.commit()
    assert listed(hub_client, project="physics") == ["theirs"]
    db.session.delete(cluster)


def test_a_thousand_clusters_are_a_page_of_small_size(hub_client: FlaskClient) -> None:
    project = project_named("default").id
    for i in range(1000):
        name = f"many-{i:04}"
        db.session.add(
            Cluster(
                hostname=f"{name}.sandbox.test",
                project_id=project,
                template="sandbox",
                owner="local",
                parameters=named(name)["parameters"],
                secrets=b"",
                cloud={},
                status="created",
            ),
        )
    db.session.commit()
    answer = hub_client.get("/api/clusters?q=many-&sort=hostname")
    found = answer.get_json()
    assert (len(found["items"]), found["total"]) == (queries.PER_PAGE, 1000)
    assert len(answer.data) < 60_000
    last = hub_client.get("/api/clusters?q=many-&sort=hostname&page=40").get_json()
    assert (last["items"][-1]["hostname"], last["next"]) == ("many-0999.sandbox.test", None)


def test_home_is_the_list_and_leads_to_the_form_while_it_is_empty(hub_client: FlaskClient) -> None:
    assert hub_client.get("/").status_code == 200
    assert b"alice.sandbox.test" in hub_client.get("/").data
    remove_all()
    answer = hub_client.get("/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/create-cluster")
