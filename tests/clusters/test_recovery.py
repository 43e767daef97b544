"""The hub may be killed at any moment (DESIGN, promise 4): Terraform goes on and the next hub adopts it."""

from __future__ import annotations

import json

import pytest

from tests.clusters.test_line import body, built, planned
from tests.processes import RunningHub, wait_until

pytestmark = pytest.mark.xdist_group("recovery")


def log_of(running: RunningHub, hostname: str, operation: str) -> bytes:
    """The whole log by offsets, as a browser reads it."""
    content = b""
    while True:
        answer = running.hub.get(f"/api/clusters/{hostname}/operations/{operation}/log?offset={len(content)}")
        assert answer.status == 200
        content += answer.body
        if answer.headers["X-Log-Complete"] == "true" or not answer.body:
            return content


def test_kill_9_during_the_apply_loses_nothing(running_hub: RunningHub) -> None:
    hub, hostname = running_hub.hub, "killed.sandbox.test"
    running_hub.sandbox.admin.tune(latency_seconds=0.1)
    plan = planned(running_hub, body("killed"))
    operation = hub.post(f"/api/clusters/{hostname}/apply", {"plan": plan["id"]}).json["operation"]["id"]
    wait_until(lambda: hub.status(hostname)["operation"]["progress"].get("done", 0) >= 2, "the build is under way")
    before = log_of(running_hub, hostname, operation)
    hub.kill()
    hub.start()
    after = hub.status(hostname)
    assert after["status"] in ("build_running", "provisioning_running", "provisioning_success")
    running_hub.sandbox.admin.tune(latency_seconds=0)
    done = hub.reaches(hostname, "provisioning_success")
    assert {item["state"] for item in done["progress"]} == {"done"}
    whole = log_of(running_hub, hostname, operation)
    assert whole.startswith(before)
    lines = [json.loads(line) for line in whole.splitlines()]
    assert sum(line["type"] == "apply_complete" for line in lines) == plan["actions"]["create"]
    assert sum(line["type"] == "change_summary" for line in lines) >= 1
    (apply,) = [o for o in hub.get(f"/api/clusters/{hostname}/operations").json["items"] if o["kind"] == "apply"]
    assert apply["state"] == "succeeded"


def test_kill_9_during_the_plan_ends_in_a_plan(running_hub: RunningHub) -> None:
    hub, hostname = running_hub.hub, "planned.sandbox.test"
    assert hub.post("/api/clusters", body("planned")).status == 202
    hub.kill()
    hub.start()
    hub.reaches(hostname, "plan_ready")


def test_an_apply_that_fails_half_way_keeps_the_state_and_a_new_plan_goes_on_from_it(running_hub: RunningHub) -> None:
    hub, hostname = running_hub.hub, "half.sandbox.test"
    plan = planned(running_hub, body("half"))
    running_hub.sandbox.admin.quotas(compute={"instances": 1})
    assert hub.post(f"/api/clusters/{hostname}/apply", {"plan": plan["id"]}).status == 202
    failed = wait_until(
        lambda: found if (found := hub.status(hostname))["status"] == "build_error" else None, "it fails"
    )
    assert failed["indicator"] == "error"
    texts = " ".join(d["summary"] + d["detail"] for d in failed["operation"]["diagnostics"])
    assert "Quota exceeded" in texts
    assert "failed" in {item["state"] for item in failed["progress"]}
    versions = hub.get(f"/api/clusters/{hostname}/state/versions").json["items"]
    assert versions[0]["resources"] > 0
    running_hub.sandbox.admin.quotas(compute={"instances": 50})
    assert hub.post(f"/api/clusters/{hostname}/retry").status == 202
    wait_until(lambda: hub.status(hostname)["status"] == "plan_ready", "the new plan")
    again = hub.get(f"/api/clusters/{hostname}/plan").json
    assert 0 < again["actions"]["create"] < plan["actions"]["create"]
    assert hub.post(f"/api/clusters/{hostname}/apply", {"plan": again["id"]}).status == 202
    wait_until(lambda: hub.status(hostname)["status"] == "provisioning_success", "it is complete")


def test_a_change_of_no_instance_goes_straight_to_provisioning_success(running_hub: RunningHub) -> None:
    hub, hostname = running_hub.hub, "change.sandbox.test"
    document = body("change")
    built(running_hub, document)
    rules = {"all": {"from_port": 8443, "to_port": 8443, "tag": "login"}}
    changed = {**document["parameters"], "firewall_rules": rules}
    version = hub.get(f"/api/clusters/{hostname}").json["version"]
    assert hub.put(f"/api/clusters/{hostname}", {"version": version, "parameters": changed}).status == 202
    hub.reaches(hostname, "plan_ready")
    plan = hub.get(f"/api/clusters/{hostname}/plan").json
    assert hub.post(f"/api/clusters/{hostname}/apply", {"plan": plan["id"]}).status == 202
    wait_until(lambda: hub.status(hostname)["status"] == "provisioning_success", "it is ready")
    events = [event["to"] for event in hub.get(f"/api/clusters/{hostname}/timeline").json["items"]]
    assert events[-2:] == ["build_running", "provisioning_success"]


def test_a_hub_killed_during_a_cancel_interrupts_once_and_the_state_is_whole(running_hub: RunningHub) -> None:
    hub, hostname = running_hub.hub, "stopped.sandbox.test"
    running_hub.sandbox.admin.tune(boot_seconds=6)
    plan = planned(running_hub, body("stopped"))
    operation = hub.post(f"/api/clusters/{hostname}/apply", {"plan": plan["id"]}).json["operation"]["id"]
    wait_until(lambda: hub.status(hostname)["operation"]["progress"].get("done", 0) >= 8, "the build is under way")
    assert hub.post(f"/api/clusters/{hostname}/cancel").status == 202
    log = running_hub.data / "clusters" / hostname / "operations" / operation / "log"
    wait_until(lambda: b"Interrupt received" in log.read_bytes(), "Terraform was interrupted")
    hub.kill()
    hub.start()
    ended = wait_until(lambda: s if (s := hub.status(hostname))["status"] == "build_error" else None, "it ended")
    assert ended["operation"]["state"] == "cancelled"
    assert b"Two interrupts" not in log_of(running_hub, hostname, operation)
    (kept, *_) = hub.get(f"/api/clusters/{hostname}/state/versions").json["items"]
    assert kept["resources"] > 8
    in_cloud = running_hub.sandbox.connect().compute.servers()
    nodes = {node["id"] for node in hub.get(f"/api/clusters/{hostname}/nodes").json["items"] if node["id"]}
    assert {server.id for server in in_cloud} == nodes
    assert hub.delete(f"/api/clusters/{hostname}").status == 202
    wait_until(lambda: hub.status(hostname)["status"] == "plan_ready", "the destroy plan")
    destroy = {"plan": hub.get(f"/api/clusters/{hostname}/plan").json["id"], "confirm": hostname}
    assert hub.post(f"/api/clusters/{hostname}/apply", destroy).status == 202
    running_hub.gone(hostname)
    assert list(running_hub.sandbox.connect().compute.servers()) == []


def test_a_lost_state_is_never_planned_without(running_hub: RunningHub) -> None:
    hub, hostname = running_hub.hub, "lost.sandbox.test"
    built(running_hub, body("lost", nodes=1))
    state = running_hub.data / "clusters" / hostname / "terraform.tfstate"
    for damage in (b"", None):
        content = state.read_bytes()
        state.unlink()
        if damage is not None:
            state.write_bytes(damage)
        assert hub.post(f"/api/clusters/{hostname}/retry").status == 202
        failed = wait_until(
            lambda: s if (s := hub.status(hostname))["status"] == "plan_error" else None, "it is refused"
        )
        assert "state is damaged" in failed["operation"]["diagnostics"][0]["summary"]
        assert hub.delete(f"/api/clusters/{hostname}?confirm={hostname}").status == 202
        wait_until(lambda: hub.status(hostname)["status"] == "plan_error", "neither is its destroy")
        state.write_bytes(content)
    assert hub.post(f"/api/clusters/{hostname}/retry").status == 202
    wait_until(lambda: hub.status(hostname)["status"] == "provisioning_success", "with its state it is what it was")


def test_a_plan_that_failed_once_does_not_change_what_the_cluster_is(running_hub: RunningHub) -> None:
    hub, hostname = running_hub.hub, "steady.sandbox.test"
    document = body("steady", nodes=1)
    built(running_hub, document)
    cluster = hub.get(f"/api/clusters/{hostname}").json
    running_hub.sandbox.admin.fault("status", service="compute", method="GET", path="*servers*", status=403)
    changed = {"version": cluster["version"], "parameters": {**document["parameters"], "nb_users": 11}}
    assert hub.put(f"/api/clusters/{hostname}", changed).status == 202
    wait_until(lambda: hub.status(hostname)["status"] == "plan_error", "the plan fails")
    running_hub.sandbox.admin.clear_faults()
    version = hub.get(f"/api/clusters/{hostname}").json["version"]
    again = {"version": version, "parameters": document["parameters"]}
    assert hub.put(f"/api/clusters/{hostname}", again).status == 202
    wait_until(lambda: hub.status(hostname)["status"] == "provisioning_success", "it is what it was")
    assert hub.status(hostname)["detail"] == "Nothing to change."
