"""curl alone can do it all: POST, plan, apply, poll to provisioning_success, log, destroy."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.clusters.test_line import body
from tests.processes import RunningHub, wait_until


def curl(*arguments: str) -> str:
    """What a shell would see; an HTTP error is an error."""
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--fail-with-body", "--noproxy", "*", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_curl_alone_builds_a_cluster_and_takes_it_down(shared_hub: RunningHub, tmp_path: Path) -> None:
    api = f"{shared_hub.url}/api/clusters"
    json_type = ("-H", "Content-Type: application/json")
    document = tmp_path / "cluster.json"
    document.write_text(json.dumps(body("curled", nodes=1)))
    hostname = json.loads(curl(api, *json_type, "-d", f"@{document}"))["hostname"]
    cluster = f"{api}/{hostname}"

    def status() -> str:
        return str(json.loads(curl(f"{cluster}/status"))["status"])

    wait_until(lambda: status() == "plan_ready", "the plan is ready")
    plan = json.loads(curl(f"{cluster}/plan"))["id"]
    applied = json.loads(curl(f"{cluster}/apply", *json_type, "-d", json.dumps({"plan": plan})))
    wait_until(lambda: status() == "provisioning_success", "all services answer", 120)
    assert "apply_complete" in curl(f"{cluster}/operations/{applied['operation']['id']}/log?offset=0")
    followed = curl("-N", "-H", "Accept: text/event-stream", f"{cluster}/operations/{applied['operation']['id']}/log")
    assert "event: end" in followed
    curl("-X", "DELETE", cluster)
    wait_until(lambda: status() == "plan_ready", "the destroy plan is ready")
    destroy = json.loads(curl(f"{cluster}/plan"))["id"]
    curl(f"{cluster}/apply", *json_type, "-d", json.dumps({"plan": destroy, "confirm": hostname}))
    wait_until(lambda: shared_hub.hub.get(f"/api/clusters/{hostname}").status == 404, "it is gone", 120)
