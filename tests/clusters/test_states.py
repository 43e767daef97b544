"""Terraform's state is kept: every version, sealed, before the status says so."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import select

from app.accounts.models import AuditEntry
from app.clusters.ending import end_failed
from app.clusters.equipment import equipment
from app.clusters.models import Cluster
from app.clusters.states import keep_state, latest_state, public_outputs, versions
from app.clusters.statuses import Status
from app.db import db
from app.lifecycle.operations import Operation
from app.terraform.state import NO_STATE, StateError
from tests.clusters.rows import folder_of, keep_cluster, keep_operation

pytestmark = pytest.mark.usefixtures("session")
PASSWORD = "hunter2-of-the-guests"
SERVER: dict[str, Any] = {
    "mode": "managed", "type": "openstack_compute_instance_v2", "name": "instances",
    "provider": 'provider["registry.terraform.io/terraform-provider-openstack/openstack"]',
    "instances": [{"index_key": "login1", "attributes": {"id": "1"}}],
}  # fmt: skip


def state(serial: int = 1, resources: int = 1) -> bytes:
    """A state file with so many servers."""
    outputs = {
        "accounts": {"value": {"guests": {"usernames": ["user01"], "password": PASSWORD}}, "sensitive": True},
        "public_ip": {"value": {"login1": "192.0.2.1"}},
        "hieradata": {"value": "marked by the template only"},
    }
    document = {"version": 4, "terraform_version": "1.15.0", "serial": serial, "lineage": "l", "outputs": outputs}
    return json.dumps({**document, "resources": [SERVER] * resources}).encode()


def written(cluster: Cluster, content: bytes) -> None:
    """The state file of the cluster's folder."""
    (folder_of(cluster) / "terraform.tfstate").write_bytes(content)


def kept(cluster: Cluster, content: bytes) -> None:
    """Write a state and keep it."""
    written(cluster, content)
    keep_state(cluster, None)
    db.session.commit()


def test_without_a_state_file_nothing_is_kept() -> None:
    cluster = keep_cluster()
    assert keep_state(cluster, None) == NO_STATE
    assert versions(cluster) == []
    assert latest_state(cluster) is None


def test_every_version_is_kept_and_the_same_bytes_not_twice() -> None:
    cluster = keep_cluster()
    for content in (state(1), state(1), state(2), state(2), state(1)):
        kept(cluster, content)
    assert [version.serial for version in versions(cluster)] == [1, 2, 1]


def test_it_is_sealed_and_opens_byte_for_byte(hub: APIFlask) -> None:
    cluster = keep_cluster()
    kept(cluster, state())
    (version,) = versions(cluster)
    assert PASSWORD.encode() not in version.content
    assert hub.extensions["vault"].open(version.content) == state()
    assert (version.resources, version.lineage) == (1, "l")


@pytest.mark.parametrize("content", [b"", b"{", state()[:-20], b"null", b'{"version": 3}', b"\x00" * 100])
def test_a_state_that_was_cut_short_is_refused_and_the_last_one_stays(content: bytes) -> None:
    cluster = keep_cluster()
    kept(cluster, state(5))
    written(cluster, content)
    with pytest.raises(StateError):
        keep_state(cluster, None)
    db.session.rollback()
    found = latest_state(cluster)
    assert found is not None
    assert found.serial == 5


def test_an_apply_that_leaves_a_state_cut_short_ends_all_the_same(hub_client: FlaskClient) -> None:
    cluster = keep_cluster(status="build_running", has_resources=True)
    operation = keep_operation(cluster, kind="apply")
    kept(cluster, state(5))
    written(cluster, state(6)[:-20])
    end_failed(operation, cluster, Status.BUILD_ERROR, [])
    document = hub_client.get(f"/api/clusters/{cluster.hostname}/status").get_json()
    assert (document["status"], document["operation"]["state"]) == ("build_error", "failed")
    assert any("state" in each["summary"] for each in document["operation"]["diagnostics"])
    assert db.session.get_one(Cluster, cluster.id).has_resources
    assert db.session.get_one(Operation, operation.id).ended_at is not None
    assert (folder_of(cluster) / "terraform.tfstate").read_bytes() == state(6)[:-20]


def test_versions_are_listed_without_their_content(hub_client: FlaskClient) -> None:
    cluster = keep_cluster()
    operation = keep_operation(cluster)
    written(cluster, state(7, resources=2))
    keep_state(cluster, operation.id)
    db.session.commit()
    answer = hub_client.get(f"/api/clusters/{cluster.hostname}/state/versions")
    (item,) = answer.get_json()["items"]
    assert (item["serial"], item["operation"], item["resources"]) == (7, operation.id, 2)
    assert PASSWORD not in answer.get_data(as_text=True)


def test_public_outputs_hold_no_secret() -> None:
    cluster = keep_cluster()
    kept(cluster, state())
    found = latest_state(cluster)
    assert found is not None
    assert public_outputs(found, equipment().template("sandbox")) == {"public_ip": {"login1": "192.0.2.1"}}


def test_passwords_are_read_from_the_state_and_each_reading_is_audited(hub_client: FlaskClient) -> None:
    cluster = keep_cluster()
    url = f"/api/clusters/{cluster.hostname}/secrets"
    assert hub_client.get(url).status_code == 404
    kept(cluster, state())
    answer = hub_client.get(url)
    assert answer.get_json()["guests"]["password"] == PASSWORD
    assert answer.headers["Cache-Control"] == "no-store"
    entries = db.session.scalars(select(AuditEntry).where(AuditEntry.subject_id == cluster.id)).all()
    assert [entry.action for entry in entries] == ["read secrets"]


def test_no_other_answer_about_the_cluster_has_a_password(hub_client: FlaskClient) -> None:
    cluster = keep_cluster(secrets={"guest_passwd": PASSWORD})
    kept(cluster, state())
    cluster.outputs = public_outputs(latest_state(cluster) or NO_STATE, equipment().template("sandbox"))
    db.session.commit()
    for path in ("", "/status", "/timeline", "/operations", "/state/versions"):
        answer = hub_client.get(f"/api/clusters/{cluster.hostname}{path}")
        assert answer.status_code == 200
        assert PASSWORD not in answer.get_data(as_text=True)
    assert hub_client.get(f"/api/clusters/{cluster.hostname}").get_json()["secrets_set"] == ["guest_passwd"]


def test_kept_states_outlive_their_file() -> None:
    cluster = keep_cluster()
    kept(cluster, state(3))
    (folder_of(cluster) / "terraform.tfstate").unlink()
    with suppress(StateError):
        keep_state(cluster, None)
    found = latest_state(cluster)
    assert found is not None
    assert (found.serial, found.managed_count) == (3, 1)
