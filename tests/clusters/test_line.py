"""The main line for real: form -> main.tf.json -> init -> plan -> review -> apply -> status -> probes -> success."""

from __future__ import annotations

import copy
from typing import Any

from tests.conftest import PUBLIC_KEY
from tests.processes import RunningHub, ask

GIGABYTES = {"home": 1, "project": 1, "scratch": 1}


def body(name: str, nodes: int = 2, **parameters: Any) -> dict[str, Any]:
    """The POST of the specification's example cluster."""
    document: dict[str, Any] = {
        "template": "sandbox",
        "project": "default",
        "expires_at": None,
        "parameters": {
            "cluster_name": name,
            "domain": "sandbox.test",
            "image": "Rocky-9",
            "nb_users": 10,
            "guest_passwd": "",
            "instances": {
                "mgmt": {"type": "p4-6gb", "tags": ["mgmt", "puppet", "nfs"], "count": 1},
                "login": {"type": "p2-3gb", "tags": ["login", "public", "proxy"], "count": 1},
                "node": {"type": "p2-3gb", "tags": ["node"], "count": nodes},
            },
            "volumes": {"nfs": {volume: {"size": size} for volume, size in GIGABYTES.items()}},
            "public_keys": [PUBLIC_KEY],
            "hieradata": "",
        },
    }
    document["parameters"].update(copy.deepcopy(parameters))
    return document


def planned(running: RunningHub, document: dict[str, Any]) -> dict[str, Any]:
    """Create a cluster and wait for its plan."""
    answer = running.hub.post("/api/clusters", document)
    assert answer.status == 202, answer.body
    hostname = answer.json["hostname"]
    running.hub.reaches(hostname, "plan_ready")
    plan: dict[str, Any] = running.hub.get(f"/api/clusters/{hostname}/plan").json
    return plan


def built(running: RunningHub, document: dict[str, Any]) -> dict[str, Any]:
    """Create a cluster, apply its plan, and wait until its services answer."""
    plan = planned(running, document)
    hostname = f"{document['parameters']['cluster_name']}.{document['parameters']['domain']}"
    assert running.hub.post(f"/api/clusters/{hostname}/apply", {"plan": plan["id"]}).status == 202
    return running.hub.reaches(hostname, "provisioning_success")


def test_a_cluster_from_post_to_provisioning_success_and_away_again(running_hub: RunningHub) -> None:
    hub, hostname = running_hub.hub, "monday.sandbox.test"
    posted = hub.post("/api/clusters", body("monday"))
    assert posted.status == 202
    assert posted.json["operation"]["kind"] == "plan"
    assert posted.json["status"] == "plan_running"

    ready = hub.reaches(hostname, "plan_ready")
    plan = hub.get(f"/api/clusters/{hostname}/plan").json
    assert ready["plan"] == plan["id"]
    assert plan["actions"]["create"] >= 20
    assert not plan["stale"]
    assert any("4 nodes" in sentence["text"] for sentence in plan["summary"])

    applied = hub.post(f"/api/clusters/{hostname}/apply", {"plan": plan["id"]})
    assert applied.status == 202, applied.body
    assert applied.json["status"] == "build_running"
    provisioned = hub.reaches(hostname, "provisioning_running", "provisioning_success")
    assert provisioned["operation"]["progress"]["done"] == provisioned["operation"]["progress"]["total"] > 0
    assert {item["state"] for item in provisioned["progress"]} == {"done"}

    success = hub.reaches(hostname, "provisioning_success")
    assert all(probe["ok"] for probe in success["probes"])
    cluster = hub.get(f"/api/clusters/{hostname}").json
    assert cluster["outputs"]["public_ip"]["login1"] == cluster["public_address"]
    assert "accounts" not in cluster["outputs"]
    nodes = hub.get(f"/api/clusters/{hostname}/nodes").json["items"]
    assert [node["status"] for node in nodes] == ["ACTIVE"] * 4
    console = hub.get(f"/api/clusters/{hostname}/nodes/login1/console?lines=50")
    assert b"monday-login1" in console.body
    assert hub.get(f"/api/clusters/{hostname}/secrets").json["guests"]["password"]

    events = [event["to"] for event in hub.get(f"/api/clusters/{hostname}/timeline").json["items"]]
    assert events == [
        *("created", "plan_running", "plan_ready", "build_running", "provisioning_running", "provisioning_success")
    ]

    assert hub.delete(f"/api/clusters/{hostname}").status == 202
    hub.reaches(hostname, "plan_ready")
    destroy = hub.get(f"/api/clusters/{hostname}/plan").json
    assert destroy["kind"] == "destroy"
    refused = hub.post(f"/api/clusters/{hostname}/apply", {"plan": destroy["id"]})
    assert refused.status == 422
    assert refused.json["errors"][0]["field"] == "confirm"
    confirmed = hub.post(f"/api/clusters/{hostname}/apply", {"plan": destroy["id"], "confirm": hostname})
    assert confirmed.status == 202, confirmed.body
    operation = confirmed.json["operation"]["id"]
    running_hub.gone(hostname)
    log = hub.get(f"/api/clusters/{hostname}/operations/{operation}/log")
    assert (log.status, log.headers["X-Log-Complete"]) == (200, "true")
    assert b"Destroy complete" in log.body or b'"remove":' in log.body
    assert not (running_hub.data / "clusters" / hostname).exists()
    assert hub.get("/api/clusters").json["total"] == 0
    assert ask(f"{running_hub.url}/").status == 302
