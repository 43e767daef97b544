"""How an operation ends when it does not succeed."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from app.clusters.ending import diagnostics_of, end_cancelled_plan, end_failed, error_diagnostic, from_hub
from app.clusters.statuses import Status
from app.db import db, now
from app.terraform.execution import Outcome, OutcomeState
from tests.clusters.rows import keep_cluster, keep_operation

pytestmark = pytest.mark.usefixtures("session")


def shown(client: FlaskClient, hostname: str) -> dict[str, Any]:
    """The status document."""
    found: dict[str, Any] = client.get(f"/api/clusters/{hostname}/status").get_json()
    return found


def test_a_failed_plan_shows_what_terraform_said(hub_client: FlaskClient) -> None:
    cluster = keep_cluster(status="plan_running", status_before="created")
    operation = keep_operation(cluster)
    end_failed(operation, cluster, Status.PLAN_ERROR, [error_diagnostic("No such flavor", "p99 is none.")])
    document = shown(hub_client, cluster.hostname)
    assert (document["status"], document["detail"]) == ("plan_error", "No such flavor")
    assert document["operation"]["error"] == "No such flavor"
    (diagnostic,) = document["operation"]["diagnostics"]
    assert (diagnostic["severity"], diagnostic["summary"], diagnostic["detail"]) == (
        *("error", "No such flavor", "p99 is none."),
    )


def test_a_build_that_was_cancelled_says_so(hub_client: FlaskClient) -> None:
    cluster = keep_cluster(status="build_running", has_resources=True)
    operation = keep_operation(cluster, kind="apply", cancel_requested_at=now())
    end_failed(operation, cluster, Status.BUILD_ERROR, [])
    document = shown(hub_client, cluster.hostname)
    assert (document["status"], document["operation"]["state"]) == ("build_error", "cancelled")
    assert document["detail"] == "Cancelled."


def test_a_build_that_failed_before_it_made_anything_holds_nothing() -> None:
    cluster = keep_cluster(status="build_running", has_resources=True)
    end_failed(keep_operation(cluster, kind="apply"), cluster, Status.BUILD_ERROR, [])
    db.session.refresh(cluster)
    assert not cluster.has_resources


@pytest.mark.parametrize("before", ["created", "provisioning_success", "build_error"])
def test_a_cancelled_plan_gives_the_cluster_back_as_it_was(hub_client: FlaskClient, before: str) -> None:
    cluster = keep_cluster(status="plan_running", status_before=before)
    end_cancelled_plan(keep_operation(cluster), cluster)
    document = shown(hub_client, cluster.hostname)
    assert (document["status"], document["operation"]["state"]) == (before, "cancelled")


def test_what_was_interrupted_says_that_nothing_recorded_is_lost() -> None:
    said = error_diagnostic("quota", "exceeded")
    first, second = diagnostics_of(Outcome(OutcomeState.INTERRUPTED, None, None, diagnostics=(said,)))
    assert first.summary.startswith("Interrupted at ")
    assert "kept" in first.detail
    assert second is said
    assert diagnostics_of(Outcome(OutcomeState.FAILED, 1, "plan", diagnostics=(said,))) == [said]


def test_what_the_hub_could_not_start_is_said_in_its_words() -> None:
    assert from_hub(OSError("no space left")).detail == "no space left"
