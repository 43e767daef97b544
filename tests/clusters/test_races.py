"""What is applied is the plan that was reviewed; one writer per cluster; bad input leaves nothing behind."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from tests.clusters.test_line import body, planned
from tests.processes import RunningHub, wait_until

pytestmark = pytest.mark.xdist_group("races")


def folder(running: RunningHub, hostname: str) -> Path:
    """The cluster's folder."""
    return running.data / "clusters" / hostname


def drop(running: RunningHub, hostname: str) -> None:
    """Leave the shared hub as it was found."""
    running.hub.delete(f"/api/clusters/{hostname}/plan")
    assert running.hub.delete(f"/api/clusters/{hostname}?confirm={hostname}").status == 204


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("main.tf.json", "configuration"),
        ("terraform.tfstate", "state"),
        ("module/main.tf", "module"),
        (".terraform.lock.hcl", "lock"),
    ],
)
def test_a_plan_whose_ground_moved_is_refused(shared_hub: RunningHub, name: str, words: str) -> None:
    cluster = f"moved-{words}"
    hostname = f"{cluster}.sandbox.test"
    plan = planned(shared_hub, body(cluster))
    path = folder(shared_hub, hostname) / name
    path.write_bytes((path.read_bytes() if path.exists() else b"{}") + b"\n")
    refused = shared_hub.hub.post(f"/api/clusters/{hostname}/apply", {"plan": plan["id"]})
    assert refused.status == 409
    assert refused.json["type"].endswith("/plan-stale")
    assert words in refused.json["detail"]
    assert shared_hub.hub.get(f"/api/clusters/{hostname}/plan").json["stale"] is True
    assert shared_hub.hub.status(hostname)["status"] == "plan_ready"
    drop(shared_hub, hostname)


def test_only_one_of_many_applies_wins(running_hub: RunningHub) -> None:
    hub, hostname = running_hub.hub, "race.sandbox.test"
    plan = planned(running_hub, body("race"))
    answers: list[Any] = []

    def apply() -> None:
        answers.append(hub.post(f"/api/clusters/{hostname}/apply", {"plan": plan["id"]}))

    threads = [threading.Thread(target=apply) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status for answer in answers) == [202] + [409] * 11
    busy = [answer.json for answer in answers if answer.status == 409 and answer.json["type"].endswith("/busy")]
    assert all(each["by"] == "local" and each["since"] for each in busy)
    applies = [o for o in hub.get(f"/api/clusters/{hostname}/operations").json["items"] if o["kind"] == "apply"]
    assert len(applies) == 1
    hub.reaches(hostname, "provisioning_success")


def test_only_one_of_many_creates_of_a_name_wins(shared_hub: RunningHub) -> None:
    answers: list[Any] = []
    threads = [
        threading.Thread(target=lambda: answers.append(shared_hub.hub.post("/api/clusters", body("twins"))))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status for answer in answers) == [202] + [422] * 7
    lost = next(answer for answer in answers if answer.status == 422)
    assert lost.json["errors"][0]["field"] == "parameters.cluster_name"
    shared_hub.hub.reaches("twins.sandbox.test", "plan_ready")
    drop(shared_hub, "twins.sandbox.test")


def test_a_busy_cluster_refuses_and_says_who_and_since_when(shared_hub: RunningHub) -> None:
    hub, hostname = shared_hub.hub, "busy.sandbox.test"
    assert hub.post("/api/clusters", body("busy")).status == 202
    busy = hub.delete(f"/api/clusters/{hostname}?confirm={hostname}")
    assert (busy.status, busy.json["type"].rpartition("/")[2], busy.json["by"]) == (409, "busy", "local")
    hub.reaches(hostname, "plan_ready")
    drop(shared_hub, hostname)


def test_a_dropped_plan_returns_to_what_was_and_a_cancelled_one_too(shared_hub: RunningHub) -> None:
    hub, hostname = shared_hub.hub, "dropped.sandbox.test"
    planned(shared_hub, body("dropped"))
    assert hub.delete(f"/api/clusters/{hostname}/plan").status == 204
    assert hub.status(hostname)["status"] == "created"
    assert hub.get(f"/api/clusters/{hostname}/plan").status == 404
    shared_hub.sandbox.admin.tune(latency_seconds=0.5)
    try:
        assert hub.post(f"/api/clusters/{hostname}/retry").status == 202
        assert hub.post(f"/api/clusters/{hostname}/cancel").status == 202
        wait_until(lambda: hub.status(hostname)["status"] == "created", "the plan is cancelled")
    finally:
        shared_hub.sandbox.admin.tune(latency_seconds=0)
    operation = hub.get(f"/api/clusters/{hostname}/operations").json["items"][0]
    assert operation["state"] == "cancelled"
    drop(shared_hub, hostname)


def test_what_does_not_fit_is_refused_before_any_plan(shared_hub: RunningHub) -> None:
    refused = shared_hub.hub.post("/api/clusters", body("huge", nodes=200))
    assert refused.status == 422
    shortages = {short["resource"]: short for short in refused.json["preflight"]}
    assert shortages["instances"]["asked"] == 202
    assert shortages["instances"]["missing"] == 202 + shortages["instances"]["used"] - shortages["instances"]["limit"]
    assert refused.json["errors"]
    assert not folder(shared_hub, "huge.sandbox.test").exists()
    assert shared_hub.hub.get("/api/clusters/huge.sandbox.test").status == 404


def test_unknown_images_flavors_and_networks_are_named(shared_hub: RunningHub) -> None:
    document = body("unknown", image="Rocky-1", os_ext_network="nowhere")
    document["parameters"]["instances"]["node"]["type"] = "p99"
    document["parameters"]["instances"]["mgmt"]["type"] = "p2-3gb"
    refused = shared_hub.hub.post("/api/clusters", document)
    assert refused.status == 422
    assert {error["field"] for error in refused.json["errors"]} == {
        *(
            "parameters.image",
            "parameters.os_ext_network",
            "parameters.instances.node.type",
            "parameters.instances.mgmt.type",
        )
    }


def test_no_secret_is_seen_anywhere(shared_hub: RunningHub) -> None:
    password = "correct-horse-9"
    hub, hostname = shared_hub.hub, "secret.sandbox.test"
    planned(shared_hub, body("secret", guest_passwd=password))
    cloud_password = shared_hub.sandbox.clouds_yaml.read_text().split("password: ")[1].split()[0]
    operation = hub.status(hostname)["operation"]["id"]
    seen = b"".join(
        hub.get(path).body
        for path in (
            f"/api/clusters/{hostname}",
            f"/api/clusters/{hostname}/plan",
            f"/api/clusters/{hostname}/status",
            f"/api/clusters/{hostname}/operations",
            f"/api/clusters/{hostname}/operations/{operation}/log",
            f"/clusters/{hostname}",
            "/api/clusters",
            "/nowhere",
        )
    )
    databases = b"".join(path.read_bytes() for path in shared_hub.data.glob("mchub.sqlite3*"))
    processes = b"".join(_command_lines())
    for secret in (password.encode(), cloud_password.encode()):
        assert secret not in seen
        assert secret not in databases
        assert secret not in processes
        assert secret not in hub.log.encode()
    assert hub.get(f"/api/clusters/{hostname}").json["secrets_set"] == ["guest_passwd"]
    assert (folder(shared_hub, hostname).stat().st_mode & 0o777) == 0o700
    drop(shared_hub, hostname)


def _command_lines() -> list[bytes]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found
