"""The real Terraform with the real provider: apply, an empty second plan, change, destroy, nothing left."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openstack.connection import Connection

from .process import Sandbox

CONFIGURATION = Path(__file__).parent / "terraform" / "main.tf"
MIRROR = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mchub" / "providers"


class Workspace:
    def __init__(self, folder: Path, cloud: Sandbox, credential: str) -> None:
        binary = os.environ.get("MCHUB_TERRAFORM") or shutil.which("terraform")
        assert binary, "terraform is needed: make setup"
        self.binary, self.folder, self.cloud = binary, folder, cloud
        shutil.copy(CONFIGURATION, folder)
        settings = folder / "terraform.tfrc"
        settings.write_text(
            f'provider_installation {{\n  filesystem_mirror {{ path = "{MIRROR}" }}\n}}\ndisable_checkpoint = true\n'
        )
        self.environment = cloud.environment | {"TF_CLI_CONFIG_FILE": str(settings), "OS_CLOUD": credential}
        self.run("init")

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            [self.binary, *arguments, "-no-color"],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode in {0, 2}, done.stdout + done.stderr
        return done

    def apply(self, *arguments: str) -> None:
        self.run("apply", "-auto-approve", "-input=false", *arguments)

    def is_up_to_date(self, *arguments: str) -> bool:
        return self.run("plan", "-detailed-exitcode", *arguments).returncode == 0

    def outputs(self) -> Any:
        return json.loads(self.run("output", "-json").stdout)


@pytest.fixture
def workspace(tmp_path: Path, fresh: Callable[..., Sandbox]) -> Workspace:
    folder = tmp_path / "workspace"
    folder.mkdir()
    return Workspace(folder, fresh(boot_seconds=1.0), "sandbox-app")


def left_in(conn: Connection) -> dict[str, int]:
    return {
        "servers": len(list(conn.compute.servers())),
        "keypairs": len(list(conn.compute.keypairs())),
        "volumes": len(list(conn.block_storage.volumes())),
        "networks": len(list(conn.network.networks())),
        "ports": len(list(conn.network.ports())),
        "routers": len(list(conn.network.routers())),
        "groups": len(list(conn.network.security_groups())),
        "addresses": len(list(conn.network.ips())),
    }


def test_a_configuration_is_applied_changed_and_destroyed(workspace: Workspace, floating_range: str) -> None:
    with workspace.cloud.connect() as conn:
        before = left_in(conn)
        workspace.apply()
        assert workspace.outputs()["ip"]["value"].startswith(floating_range.rsplit(".", 1)[0])
        assert workspace.is_up_to_date()
        after = left_in(conn)
        assert (after["servers"], after["volumes"], after["addresses"]) == (3, 3, 1)

        workspace.apply("-var", "nodes=3", "-var", "flavor=p4-6gb", "-var", "volume_size=25")
        assert workspace.is_up_to_date("-var", "nodes=3", "-var", "flavor=p4-6gb", "-var", "volume_size=25")
        assert {server.flavor.original_name for server in conn.compute.servers(name="t-node")} == {"p4-6gb"}
        assert len(list(conn.compute.servers())) == 4

        workspace.run("destroy", "-auto-approve", "-var", "nodes=3")
        assert left_in(conn) == before
