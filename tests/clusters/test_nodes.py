"""Nodes and their consoles, with a cloud that stands in."""

from __future__ import annotations

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from pytest_mock import MockerFixture

from app.accounts.models import Project
from app.cloud.servers import Server
from app.clusters import nodes
from app.clusters.equipment import Equipment
from app.db import db
from tests.clusters.rows import keep_cluster

pytestmark = pytest.mark.usefixtures("session")
SECRET = "correct-horse-battery"


@pytest.fixture
def login1(mocker: MockerFixture) -> str:
    """A cloud with one server of a cluster, which is named after it; the cluster's name."""
    mocker.patch.object(Equipment, "cloud")
    server = Server("1", "monday-login1", "ACTIVE", None, None, "p2-3gb", ("10.0.0.5",), ("127.77.0.5",))
    mocker.patch.object(nodes._cache, "servers", return_value=[server])
    mocker.patch.object(nodes, "console", return_value=f"cloud-init: password={SECRET}\nready\n")
    return "monday"


def test_a_secret_that_a_console_shows_is_masked(hub_client: FlaskClient, login1: str) -> None:
    cluster = keep_cluster(login1, secrets={"guest_passwd": SECRET})
    answer = hub_client.get(f"/api/clusters/{cluster.hostname}/nodes/login1/console")
    assert answer.status_code == 200
    assert answer.text == f"cloud-init: password={'*' * len(SECRET)}\nready\n"


def test_the_form_of_a_change_asks_for_the_resources_of_the_clusters_own_project(
    hub: APIFlask, hub_client: FlaskClient
) -> None:
    cluster = keep_cluster()
    other = Project(name="of-physics")
    db.session.add(other)
    db.session.flush()
    cluster.project_id = other.id
    db.session.commit()
    page = hub_client.get(f"/clusters/{cluster.hostname}/edit", headers={"Accept": "text/html"}).text
    assert "of-physics" in page


def test_a_living_cluster_whose_template_is_gone_is_still_shown(hub_client: FlaskClient, login1: str) -> None:
    del login1
    cluster = keep_cluster("tuesday", template="removed", outputs={"public_ip": {"login1": "127.77.0.5"}})
    document = hub_client.get(f"/api/clusters/{cluster.hostname}")
    assert (document.status_code, document.get_json()["links"]) == (200, [])
    assert document.get_json()["public_address"] == "127.77.0.5"
    answer = hub_client.get(f"/api/clusters/{cluster.hostname}/nodes")
    assert answer.status_code == 200
    assert {node["name"] for node in answer.get_json()["items"]} == {"mgmt1", "login1", "node1", "node2"}


def test_nodes_of_a_cluster_whose_template_is_gone_have_names_of_the_usual_pattern(session: None) -> None:
    cluster = keep_cluster("wednesday", template="removed")
    assert nodes.server_names(cluster)["wednesday-login1"] == "login1"


def test_a_hub_without_any_template_says_so(hub: APIFlask, hub_client: FlaskClient, mocker: MockerFixture) -> None:
    mocker.patch.dict(hub.extensions["equipment"].templates, clear=True)
    assert hub_client.get("/api/templates").get_json()["total"] == 0
    assert hub_client.get("/api/available-resources").status_code == 422
    assert hub_client.get("/create-cluster", headers={"Accept": "text/html"}).status_code == 200
