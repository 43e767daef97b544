"""What can be done with a cluster, over the API, on a sandbox cloud; operations wait for a worker that never comes."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from pytest_mock import MockerFixture
from sqlalchemy import select, update

from app.accounts.models import AuditEntry
from app.cloud.servers import Server
from app.clusters import nodes as nodes_module
from app.clusters import service
from app.clusters.equipment import equipment
from app.clusters.models import Cluster, Plan
from app.clusters.plans import cloud_key, keep_plan
from app.db import db, transaction
from app.lifecycle import operations
from app.lifecycle.operations import Operation, State
from app.terraform import commands, fingerprint
from tests.clusters.bodies import changed, named
from tests.clusters.conftest import traces
from tests.sandbox.process import Sandbox

SECRET = "correct-horse-battery"
REVIEW = {"actions": {"create": 1}, "summary": [], "resources": [], "drift": []}


@pytest.fixture
def client(cloud_client: FlaskClient) -> FlaskClient:
    """The hub's API."""
    return cloud_client


_count = iter(range(10_000))


def fresh() -> str:
    """A cluster name that no other test uses."""
    return f"t{next(_count)}x"


def create(client: FlaskClient, name: str, **parameters: Any) -> Any:
    """The answer to a POST."""
    return client.post("/api/clusters", json=named(name, **parameters))


def url(name: str, path: str = "") -> str:
    """The URL of a cluster."""
    return f"/api/clusters/{name}.sandbox.test{path}"


def planned(hub: APIFlask, name: str, kind: str = "apply", **flags: bool) -> str:
    """The cluster's queued plan operation ends with a plan, as a worker would end it; the plan's id."""
    with hub.app_context():
        cluster = service.get_cluster(f"{name}.sandbox.test")
        operation = operations.active_writer("cluster", cluster.id)
        assert operation is not None
        operations.claim(operation, "worker", 30)
        work = equipment().operation_folder(cluster, operation.id)
        work.mkdir(parents=True)
        (work / commands.PLAN).write_bytes(b"a plan")
        (equipment().folder(cluster) / "main.tf.json").write_text("{}")
        taken = fingerprint.take(equipment().folder(cluster), work / commands.PLAN, cloud_key(cluster))
        with transaction():
            plan = keep_plan(
                operation, cluster, REVIEW, taken, loses_data=flags.get("loses_data", False), changes_instances=True
            )
        assert plan.kind == kind
        return plan.id


def ended(hub: APIFlask, name: str, status: str, *, applied: bool = False, **columns: Any) -> None:
    """The running operation ends and leaves the cluster so; `applied`: Terraform was started on its configuration."""
    with hub.app_context():
        cluster = service.get_cluster(f"{name}.sandbox.test")
        operation = operations.active_writer("cluster", cluster.id)
        if operation is not None:
            if operation.status == State.QUEUED:
                operations.claim(operation, "worker", 30)
            operations.end(operation, State.SUCCEEDED, source="worker")
        if applied:
            columns |= {"applied_parameters": cluster.parameters, "applied_secrets": cluster.secrets}
        db.session.execute(update(Cluster).where(Cluster.id == cluster.id).values(status=status, **columns))
        db.session.commit()


def test_create_answers_with_the_cluster_and_its_plan_operation(client: FlaskClient) -> None:
    name = fresh()
    answer = create(client, name)
    assert answer.status_code == 202
    document = answer.get_json()
    assert (document["hostname"], document["status"], document["version"]) == (
        f"{name}.sandbox.test",
        "plan_running",
        1,
    )
    assert (document["operation"]["kind"], document["operation"]["state"]) == ("plan", "queued")
    assert [event["to"] for event in client.get(url(name, "/timeline")).get_json()["items"]] == [
        *("created", "plan_running"),
    ]


def test_get_gives_back_what_post_took_secrets_excepted(client: FlaskClient) -> None:
    body = named(fresh(), guest_passwd=SECRET)
    client.post("/api/clusters", json=body)
    answer = client.get(url(body["parameters"]["cluster_name"]))
    document = answer.get_json()
    assert {**document["parameters"], "guest_passwd": SECRET} == body["parameters"]
    assert document["secrets_set"] == ["guest_passwd"]
    assert (document["template"], document["project"], document["version"]) == ("sandbox", "default", 1)
    assert SECRET not in answer.get_data(as_text=True)


def test_secrets_are_sealed_in_the_database(cloud_hub: APIFlask, client: FlaskClient) -> None:
    create(client, fresh(), guest_passwd=SECRET)
    kept = b"".join(path.read_bytes() for path in cloud_hub.config["SETTINGS"].data.glob("mchub.sqlite3*"))
    assert SECRET.encode() not in kept
    assert json.dumps(SECRET)[1:-1].encode() not in kept


def test_who_created_it_is_audited(cloud_hub: APIFlask, client: FlaskClient) -> None:
    cluster_id = create(client, fresh()).get_json()["id"]
    with cloud_hub.app_context():
        entries = db.session.scalars(select(AuditEntry).where(AuditEntry.subject_id == cluster_id)).all()
        assert [(entry.actor, entry.action) for entry in entries] == [("local", "create")]


def test_a_hostname_that_is_taken_is_an_error_at_the_name(cloud_hub: APIFlask, client: FlaskClient) -> None:
    name = fresh()
    create(client, name)
    before = traces(cloud_hub)
    answer = create(client, name)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.get_json()["errors"]] == ["parameters.cluster_name"]
    assert traces(cloud_hub) == before


def test_of_many_who_create_the_same_cluster_at_once_one_does(cloud_hub: APIFlask) -> None:
    name = fresh()
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: create(cloud_hub.test_client(), name), range(6)))
    assert sorted(answer.status_code for answer in answers) == [202, *[422] * 5]
    with cloud_hub.app_context():
        assert len(db.session.scalars(select(Cluster).where(Cluster.hostname == f"{name}.sandbox.test")).all()) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("image", "Rocky-8000"),
        ("image", "Rocky-."),
        ("instances.node.type", "p99-1tb"),
        ("instances.mgmt.type", "p2-3gb"),
        ("instances.node.disk_type", "tape"),
        ("os_ext_network", "nowhere"),
    ],
)
def test_what_the_cloud_does_not_have_is_refused_and_leaves_nothing(
    cloud_hub: APIFlask, client: FlaskClient, field: str, value: str
) -> None:
    before = traces(cloud_hub)
    answer = client.post("/api/clusters", json=changed(f"parameters.{field}", value, named(fresh())))
    assert answer.status_code == 422
    assert [error["field"] for error in answer.get_json()["errors"]] == [f"parameters.{field}"]
    assert traces(cloud_hub) == before


def test_what_does_not_fit_is_refused_with_a_preflight(client: FlaskClient) -> None:
    answer = client.post("/api/clusters", json=changed("parameters.instances.node.count", 900, named(fresh())))
    document = answer.get_json()
    assert answer.status_code == 422
    assert "instances" in {each["resource"] for each in document["preflight"]}
    for each in document["preflight"]:
        assert each["missing"] == each["used"] + each["asked"] - each["limit"] > 0
    assert document["errors"]


def test_a_busy_cluster_refuses_and_says_who_and_since_when(client: FlaskClient) -> None:
    name = fresh()
    operation = create(client, name).get_json()["operation"]
    for answer in (
        client.put(url(name), json={"version": 1, "parameters": named(name)["parameters"]}),
        client.delete(url(name)),
        client.delete(url(name), query_string={"confirm": f"{name}.sandbox.test"}),
        client.post(url(name, "/retry")),
    ):
        document = answer.get_json()
        assert answer.status_code == 409
        assert document["type"].endswith("/busy")
        if "by" in document:
            assert (document["by"], document["since"]) == ("local", operation["created_at"])


def test_cancel_is_noted_and_without_anything_to_cancel_refused(cloud_hub: APIFlask, client: FlaskClient) -> None:
    name = fresh()
    create(client, name)
    assert client.post(url(name, "/cancel")).status_code == 202
    assert client.get(url(name, "/status")).get_json()["operation"]["cancel_requested_at"] is not None
    ended(cloud_hub, name, "plan_error")
    answer = client.post(url(name, "/cancel"))
    assert answer.status_code == 409
    assert answer.get_json()["type"].endswith("/nothing-to-cancel")


def test_a_change_needs_the_version_it_was_made_from(cloud_hub: APIFlask, client: FlaskClient) -> None:
    name = fresh()
    create(client, name)
    ended(cloud_hub, name, "build_success")
    body = {"version": 1, "parameters": named(name, nb_users=5)["parameters"]}
    assert client.put(url(name), json={**body, "version": 2}).status_code == 409
    answer = client.put(url(name), json=body)
    assert (answer.status_code, answer.get_json()["version"]) == (202, 2)
    ended(cloud_hub, name, "build_success")
    answer = client.put(url(name), json=body)
    assert (answer.status_code, answer.get_json()["version"]) == (409, 2)
    assert answer.get_json()["type"].endswith("/version-moved")
    assert [error["field"] for error in answer.get_json()["errors"]] == ["version"]


def test_a_change_that_was_overtaken_while_the_cloud_was_asked_is_refused(
    cloud_hub: APIFlask, client: FlaskClient, mocker: MockerFixture
) -> None:
    name = fresh()
    create(client, name)
    ended(cloud_hub, name, "build_success")
    real = service._check_with_cloud

    def slow(*given: Any) -> None:
        mocker.patch.object(service, "_check_with_cloud", real)
        other = cloud_hub.test_client().put(
            url(name), json={"version": 1, "parameters": named(name, nb_users=7)["parameters"]}
        )
        assert other.status_code == 202
        ended(cloud_hub, name, "build_success")

    mocker.patch.object(service, "_check_with_cloud", slow)
    answer = client.put(url(name), json={"version": 1, "parameters": named(name, nb_users=5)["parameters"]})
    assert answer.status_code == 409
    found = client.get(url(name)).get_json()
    assert (found["version"], found["parameters"]["nb_users"]) == (2, 7)


@pytest.mark.parametrize(("field", "value"), [("cluster_name", "other"), ("domain", "other.test")])
def test_a_cluster_keeps_its_name(cloud_hub: APIFlask, client: FlaskClient, field: str, value: str) -> None:
    name = fresh()
    create(client, name)
    ended(cloud_hub, name, "build_success")
    answer = client.put(url(name), json={"version": 1, "parameters": {**named(name)["parameters"], field: value}})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.get_json()["errors"]] == [f"parameters.{field}"]


def test_a_secret_that_is_absent_stays_and_null_drops_it(cloud_hub: APIFlask, client: FlaskClient) -> None:
    name = fresh()
    create(client, name, guest_passwd=SECRET)
    parameters = named(name)["parameters"]
    del parameters["guest_passwd"]
    for version, change, kept in [(1, {}, ["guest_passwd"]), (2, {"guest_passwd": None}, [])]:
        ended(cloud_hub, name, "build_success")
        assert (
            client.put(url(name), json={"version": version, "parameters": {**parameters, **change}}).status_code == 202
        )
        assert client.get(url(name)).get_json()["secrets_set"] == kept


def test_an_expiry_that_is_not_mentioned_stays(cloud_hub: APIFlask, client: FlaskClient) -> None:
    body = {**named(fresh()), "expires_at": "2099-01-01T12:00:00+02:00"}
    client.post("/api/clusters", json=body)
    name = body["parameters"]["cluster_name"]
    assert client.get(url(name)).get_json()["expires_at"] == "2099-01-01T10:00:00.000Z"
    for version, given, wanted in [(1, {}, "2099-01-01T10:00:00.000Z"), (2, {"expires_at": None}, None)]:
        ended(cloud_hub, name, "build_success")
        client.put(url(name), json={"version": version, "parameters": body["parameters"], **given})
        assert client.get(url(name)).get_json()["expires_at"] == wanted


def test_a_cluster_of_another_cloud_is_left_alone(cloud_hub: APIFlask, client: FlaskClient) -> None:
    name = fresh()
    create(client, name)
    ended(
        cloud_hub,
        name,
        "build_success",
        has_resources=True,
        cloud={"auth_url": "https://x", "project_id": "p", "region": ""},
    )
    body = {"version": 1, "parameters": named(name)["parameters"]}
    for answer in (client.put(url(name), json=body), client.delete(url(name)), client.post(url(name, "/retry"))):
        assert answer.status_code == 409
        assert answer.get_json()["type"].endswith("/cloud-mismatch")


def test_a_cluster_without_resources_is_deleted_at_once_when_confirmed(
    cloud_hub: APIFlask, client: FlaskClient
) -> None:
    name = fresh()
    first = create(client, name).get_json()["id"]
    ended(cloud_hub, name, "plan_error")
    for confirm in (None, "", name, f"{name}.sandbox.test.", f"{name.upper()}.sandbox.test"):
        answer = client.delete(url(name), query_string={"confirm": confirm} if confirm is not None else {})
        assert answer.status_code == 422
        assert answer.get_json()["errors"][0]["field"] == "confirm"
    assert client.delete(url(name), query_string={"confirm": f"{name}.sandbox.test"}).status_code == 204
    assert client.get(url(name)).status_code == client.get(url(name, "/status")).status_code == 404
    assert client.delete(url(name), query_string={"confirm": f"{name}.sandbox.test"}).status_code == 404
    again = create(client, name)
    assert again.status_code == 202
    assert again.get_json()["id"] != first


def test_a_cluster_with_resources_is_never_deleted_without_a_destroy_plan(
    cloud_hub: APIFlask, client: FlaskClient
) -> None:
    name = fresh()
    create(client, name)
    ended(cloud_hub, name, "build_error", has_resources=True)
    answer = client.delete(url(name), query_string={"confirm": f"{name}.sandbox.test"})
    assert (answer.status_code, answer.get_json()["status"]) == (202, "plan_running")


def test_there_is_no_plan_until_one_was_made(client: FlaskClient) -> None:
    name = fresh()
    create(client, name)
    assert client.get(url(name, "/plan")).status_code == 404
    assert client.delete(url(name, "/plan")).status_code in (404, 409)
    answer = client.post(url(name, "/apply"), json={"plan": "none"})
    assert answer.status_code == 404
    assert [error["field"] for error in answer.get_json()["errors"]] == ["plan"]


def test_the_plan_that_was_shown_is_the_one_that_is_applied(cloud_hub: APIFlask, client: FlaskClient) -> None:
    name = fresh()
    create(client, name, guest_passwd=SECRET)
    plan = planned(cloud_hub, name)
    shown = client.get(url(name, "/plan")).get_json()
    assert (shown["id"], shown["kind"], shown["stale"], shown["needs_confirmation"]) == (plan, "apply", False, False)
    answer = client.post(url(name, "/apply"), json={"plan": plan})
    assert (answer.status_code, answer.get_json()["status"]) == (202, "build_running")
    assert client.post(url(name, "/apply"), json={"plan": plan}).status_code == 409
    with cloud_hub.app_context():
        cluster = service.get_cluster(f"{name}.sandbox.test")
        operation = operations.active_writer("cluster", cluster.id)
        assert operation is not None
        assert operation.payload["plan"] == plan
        assert cluster.applied_parameters is None  # it is applied once Terraform was started, not before


@pytest.mark.parametrize("moved", ["plan file", "main.tf.json", "state", "version"])
def test_a_plan_is_refused_when_something_moved(cloud_hub: APIFlask, client: FlaskClient, moved: str) -> None:
    name = fresh()
    create(client, name)
    plan = planned(cloud_hub, name)
    with cloud_hub.app_context():
        cluster = service.get_cluster(f"{name}.sandbox.test")
        folder = equipment().folder(cluster)
        found = db.session.get_one(Plan, plan)
        if moved == "plan file":
            (equipment().operation_folder(cluster, found.operation_id) / commands.PLAN).write_bytes(b"another")
        elif moved == "main.tf.json":
            (folder / "main.tf.json").write_text("{ }")
        elif moved == "state":
            (folder / "terraform.tfstate").write_text("{}")
        else:
            cluster.version += 1
            db.session.commit()
    assert client.get(url(name, "/plan")).get_json()["stale"]
    answer = client.post(url(name, "/apply"), json={"plan": plan})
    assert answer.status_code == 409
    assert answer.get_json()["type"].endswith("/plan-stale")
    assert client.get(url(name, "/status")).get_json()["status"] == "plan_ready"


def test_a_plan_of_another_cluster_is_not_found(cloud_hub: APIFlask, client: FlaskClient) -> None:
    first, second = fresh(), fresh()
    create(client, first)
    create(client, second)
    plan = planned(cloud_hub, first)
    assert client.post(url(second, "/apply"), json={"plan": plan}).status_code == 404


def test_a_plan_that_was_dropped_or_replaced_is_stale(cloud_hub: APIFlask, client: FlaskClient) -> None:
    name = fresh()
    create(client, name)
    first = planned(cloud_hub, name)
    assert client.put(url(name), json={"version": 1, "parameters": named(name)["parameters"]}).status_code == 202
    second = planned(cloud_hub, name)
    assert client.post(url(name, "/apply"), json={"plan": first}).status_code == 409
    assert client.delete(url(name, "/plan")).status_code == 204
    assert client.post(url(name, "/apply"), json={"plan": second}).status_code == 409
    assert client.get(url(name, "/status")).get_json()["status"] == "created"


def test_what_loses_data_asks_for_the_hostname(cloud_hub: APIFlask, client: FlaskClient) -> None:
    name = fresh()
    create(client, name)
    plan = planned(cloud_hub, name, loses_data=True)
    assert client.get(url(name, "/plan")).get_json()["needs_confirmation"]
    for confirm in ({}, {"confirm": None}, {"confirm": "yes"}):
        answer = client.post(url(name, "/apply"), json={"plan": plan, **confirm})
        assert answer.status_code == 422
        assert answer.get_json()["errors"][0]["field"] == "confirm"
    assert client.post(url(name, "/apply"), json={"plan": plan, "confirm": f"{name}.sandbox.test"}).status_code == 202


def test_dropping_a_plan_gives_the_cluster_back_as_it_was(cloud_hub: APIFlask, client: FlaskClient) -> None:
    name = fresh()
    create(client, name, guest_passwd=SECRET)
    plan = planned(cloud_hub, name)
    client.post(url(name, "/apply"), json={"plan": plan})
    ended(cloud_hub, name, "provisioning_success", applied=True, has_resources=True)
    parameters = named(name, nb_users=99, guest_passwd=None)["parameters"]
    assert client.put(url(name), json={"version": 1, "parameters": parameters}).status_code == 202
    planned(cloud_hub, name)
    assert client.delete(url(name, "/plan")).status_code == 204
    found = client.get(url(name)).get_json()
    assert (found["status"], found["parameters"]["nb_users"]) == ("provisioning_success", 10)
    assert (found["secrets_set"], found["version"]) == (["guest_passwd"], 3)  # versions only grow


def test_destroying_says_destroy_and_needs_the_hostname(cloud_hub: APIFlask, client: FlaskClient) -> None:
    name = fresh()
    create(client, name)
    ended(cloud_hub, name, "build_error", has_resources=True)
    client.delete(url(name))
    plan = planned(cloud_hub, name, kind="destroy")
    assert client.post(url(name, "/apply"), json={"plan": plan}).status_code == 422
    answer = client.post(url(name, "/apply"), json={"plan": plan, "confirm": f"{name}.sandbox.test"})
    assert (answer.status_code, answer.get_json()["status"]) == (202, "destroy_running")


def test_nodes_are_listed_before_the_cloud_has_them(client: FlaskClient) -> None:
    name = fresh()
    create(client, name)
    found = client.get(url(name, "/nodes")).get_json()
    assert [(node["name"], node["prefix"]) for node in found["items"]] == [
        ("mgmt1", "mgmt"), ("login1", "login"), ("node1", "node"), ("node2", "node"),
    ]  # fmt: skip
    assert {node["status"] for node in found["items"]} == {"ABSENT"}
    assert client.get(url(name, "/nodes/login1/console")).status_code == 404
    assert client.get(url(name, "/nodes/login9/console?lines=5")).status_code == 404
    for lines in ("0", "-1", "1001", "x", "9" * 30):
        assert client.get(url(name, f"/nodes/login1/console?lines={lines}")).status_code == 422


def test_a_server_that_the_cluster_no_longer_has_is_no_error(client: FlaskClient, mocker: MockerFixture) -> None:
    name = fresh()
    create(client, name)
    gone = Server("1", f"{name}-node9", "ACTIVE", None, None, "p2-3gb", (), ())
    mocker.patch.object(nodes_module._cache, "servers", return_value=[gone])
    assert len(client.get(url(name, "/nodes")).get_json()["items"]) == 4
    assert client.get(url(name, "/nodes/node9/console")).status_code == 404


def test_available_resources_have_all_that_the_form_needs(client: FlaskClient) -> None:
    found = client.get("/api/available-resources").get_json()
    assert set(found) == {
        *("images", "flavors", "volume_types", "networks", "subnets", "keypairs", "availability_zones", "quotas"),
        *("at", "stale", "errors"),
    }
    assert "Rocky-9" in {image["name"] for image in found["images"]}
    flavors = {flavor["name"]: flavor for flavor in found["flavors"]}
    assert set(flavors["p4-6gb"]["tags"]) == {"mgmt", "login", "node"}
    assert "6 GB" in flavors["p2-3gb"]["reasons"]["mgmt"]
    assert found["quotas"]["instances"].keys() == {"limit", "used", "free"}
    assert (found["stale"], found["errors"]) == (False, [])


def test_questions_about_what_there_is_not(client: FlaskClient) -> None:
    assert client.get("/api/available-resources?project=none").status_code == 422
    assert client.get("/api/available-resources?template=none").status_code == 422
    assert client.get("/api/available-resources?hostname=none").status_code == 404


def test_templates_are_described(client: FlaskClient) -> None:
    items = client.get("/api/templates").get_json()["items"]
    assert "sandbox" in [item["name"] for item in items]
    found = client.get("/api/templates/sandbox").get_json()
    assert {"cluster_name", "instances", "public_keys"} <= {each["name"] for each in found["parameters"]}
    assert found["defaults"]["instances"]["mgmt"]["type"] == "p4-6gb"
    assert client.get("/api/templates/none").status_code == 404


def test_a_cloud_that_is_away_is_a_502_and_leaves_nothing(
    cloud: Sandbox, cloud_hub: APIFlask, client: FlaskClient
) -> None:
    before = traces(cloud_hub)
    cloud.admin.fault("refuse")
    try:
        answer = create(client, fresh())
    finally:
        cloud.admin.clear_faults()
    # What it offered a moment ago is known; the form works on with that.
    assert answer.status_code in (202, 502)
    if answer.status_code == 502:
        assert traces(cloud_hub) == before
    with cloud_hub.app_context():
        assert db.session.scalars(select(Operation)).first() is not None
