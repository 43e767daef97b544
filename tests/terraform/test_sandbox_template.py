"""The sandbox template on the sandbox cloud, with the real Terraform and the real provider."""

from __future__ import annotations

import copy
import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.terraform.engine import write_cli_configuration
from app.terraform.execution import environment
from app.terraform.plan import Plan, read_plan
from app.terraform.progress import ProgressReader, ResourceState
from app.terraform.render import render_main_tf
from app.terraform.state import State, read_state_file
from app.terraform.templates import ClusterTemplate, load_templates
from app.terraform.workspace import InitCache, prepare_workspace
from tests.sandbox.process import Sandbox, start
from tests.terraform.conftest import Workbench

TEMPLATES = Path(__file__).parents[2] / "terraform_templates"
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDCN9QTSNyoJNd5+J0jEU7TKsa6I+8BYPerFzfurQ0nx somebody"
MIRROR = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mchub" / "providers"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    sandbox = start(tmp_path_factory.mktemp("sandbox"), floating_range="127.77.9.0/24", boot_seconds=0.2)
    yield sandbox
    sandbox.stop()


@pytest.fixture(scope="module")
def template() -> ClusterTemplate:
    return load_templates(TEMPLATES)["sandbox"]


@dataclasses.dataclass
class Cluster:
    """A cluster's folder on a workbench, planned and applied as the hub does it."""

    bench: Workbench
    template: ClusterTemplate
    cache: InitCache
    parameters: dict[str, Any]

    def plan(self, **options: bool) -> tuple[Path, Plan]:
        main_tf = render_main_tf(self.template, {"parameters": self.parameters})
        prepare_workspace(self.bench.work, self.template, main_tf)
        folder, planning = self.bench.plan(init=not self.cache.restore(self.bench.work), **options)
        assert planning.state == "succeeded", planning
        self.cache.keep(self.bench.work)
        return folder, read_plan((folder / "plan.json").read_bytes())

    def apply(self, planned: Path) -> Path:
        folder, applying = self.bench.apply(planned)
        assert applying.state == "succeeded", applying
        return folder

    def build(self) -> tuple[Plan, State]:
        planned, plan = self.plan()
        self.apply(planned)
        return plan, read_state_file(self.bench.work)

    def destroy(self) -> None:
        planned, _ = self.plan(destroy=True)
        self.apply(planned)
        assert read_state_file(self.bench.work).is_empty


@pytest.fixture
def cluster(
    workbench: Workbench, template: ClusterTemplate, cloud: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Cluster:
    configuration = workbench.root / "terraform.tfrc"
    write_cli_configuration(configuration, MIRROR)
    base = {**os.environ, "TF_CLI_CONFIG_FILE": str(configuration)}
    workbench.environment = environment(base, cloud.environment)
    parameters = {**copy.deepcopy(template.default_parameters), "cluster_name": "tf-test", "public_keys": [KEY]}
    cache = InitCache(tmp_path_factory.getbasetemp() / "prepared-inits", "any", MIRROR)
    return Cluster(workbench, template, cache, parameters)


def names(cloud: Sandbox) -> dict[str, set[str]]:
    """What the project holds in the cloud, apart from what is there from the beginning."""
    with cloud.connect() as connection:
        return {
            "servers": {each.name for each in connection.compute.servers()},
            "volumes": {each.name for each in connection.block_storage.volumes()},
            "ports": {each.name for each in connection.network.ports() if each.name},
            "networks": {each.name for each in connection.network.networks(is_router_external=False)},
            "routers": {each.name for each in connection.network.routers()},
            "groups": {each.name for each in connection.network.security_groups()} - {"default"},
            "addresses": {each.floating_ip_address for each in connection.network.ips()},
            "keys": {each.name for each in connection.compute.keypairs()},
        }


def test_the_default_cluster_is_built_stays_as_it_is_and_leaves_nothing(cluster: Cluster, cloud: Sandbox) -> None:
    before = names(cloud)
    cluster.parameters |= {"guest_passwd": 'pass${x}"word', "hieradata": "a: ${b}\nc: '%{lookup(\"d\")}'\n"}
    planned, plan = cluster.plan()
    assert 25 <= plan.actions["create"] <= 30
    assert "pass$" not in repr([each.changes for each in plan.resources])
    applied = cluster.apply(planned)

    progress = ProgressReader(plan.progress_actions)
    progress.feed((applied / "log").read_bytes())
    assert {each.state for each in progress.resources} == {ResourceState.DONE}
    assert (progress.done, progress.total) == (plan.actions["create"], plan.actions["create"])

    state = read_state_file(cluster.bench.work)
    assert state.managed_count == plan.actions["create"]
    assert state.output("hieradata") == cluster.parameters["hieradata"]
    assert state.output("accounts")["guests"] == {"usernames": "user[01-10]", "password": 'pass${x}"word'}
    assert list(state.output("public_ip")) == ["login1"]
    assert state.output("public_ip")["login1"].startswith("127.77.9.")
    assert state.output("public_instances")["login1"]["prefix"] == "login"
    assert list(state.output("bastions")) == ["login1"]
    assert {name for name, output in state.outputs.items() if output.sensitive} == {"accounts", "hieradata"}

    found = names(cloud)
    assert found["servers"] == {f"tf-test-{host}" for host in ("mgmt1", "login1", "node1", "node2")}
    assert found["volumes"] == {f"tf-test-mgmt1-nfs-{name}" for name in ("home", "project", "scratch")}
    with cloud.connect() as connection:
        servers = list(connection.compute.servers())
        ports = [port for port in connection.network.ports() if port.name.startswith("tf-test-")]
        volumes = list(connection.block_storage.volumes())
    assert {server.metadata["mchub_hostname"] for server in servers} == {"tf-test.sandbox.test"}
    assert {port.description for port in ports} == {"tf-test.sandbox.test"}
    assert {volume.metadata["mchub_hostname"] for volume in volumes} == {"tf-test.sandbox.test"}

    _, second = cluster.plan()
    assert second.is_empty, [(each.address, each.changes) for each in second.changed]
    assert second.drift == ()
    cluster.destroy()
    assert names(cloud) == before


def test_another_node_touches_nothing_that_exists(cluster: Cluster) -> None:
    cluster.parameters["volumes"] = {}
    cluster.build()
    cluster.parameters["instances"]["node"]["count"] = 3
    planned, plan = cluster.plan()
    assert sorted(each.address for each in plan.changed) == [
        'module.cluster.openstack_compute_instance_v2.host["node3"]',
        'module.cluster.openstack_networking_port_v2.host["node3"]',
    ]
    assert plan.actions == {"create": 2, "update": 0, "replace": 0, "delete": 0}
    cluster.apply(planned)
    cluster.parameters["instances"]["node"]["count"] = 1
    _, fewer = cluster.plan()
    assert fewer.actions == {"create": 0, "update": 0, "replace": 0, "delete": 4}
    assert {each.reason for each in fewer.changed} == {"its key is no longer in the configuration"}
    cluster.destroy()


def test_image_keys_and_hieradata_change_no_instance_and_a_flavor_is_resized_in_place(cluster: Cluster) -> None:
    cluster.parameters |= {"volumes": {}, "nb_users": 0}
    cluster.build()
    cluster.parameters["image"] = "AlmaLinux-9"
    cluster.parameters["hieradata"] = "a: 1"
    cluster.parameters["public_keys"] = [KEY, KEY.replace("somebody", "another")]
    _, plan = cluster.plan()
    assert sum(plan.actions.values()) == 0
    assert plan.output_changes == ("hieradata",)
    cluster.parameters["instances"]["node"]["type"] = "p4-6gb"
    _, resized = cluster.plan()
    assert resized.actions == {"create": 0, "update": 2, "replace": 0, "delete": 0}
    cluster.destroy()


def test_a_password_is_generated_once_and_a_disk_size_boots_from_a_volume(cluster: Cluster, cloud: Sandbox) -> None:
    cluster.parameters |= {"volumes": {}, "guest_passwd": ""}
    cluster.parameters["instances"]["node"] = {"type": "p2-3gb", "tags": ["node"], "count": 1, "disk_size": 30}
    _, state = cluster.build()
    password = state.output("accounts")["guests"]["password"]
    assert len(password) == 16
    with cloud.connect() as connection:
        assert [volume.size for volume in connection.block_storage.volumes()] == [30]
    _, second = cluster.plan()
    assert second.is_empty, [(each.address, each.changes) for each in second.changed]
    logs = [path.read_bytes() for path in cluster.bench.root.glob("operation*/log")]
    assert not [log for log in logs if password.encode() in log]
    cluster.destroy()


def test_firewall_rules_own_addresses_and_networks_are_taken(cluster: Cluster, cloud: Sandbox) -> None:
    with cloud.connect() as connection:
        external = next(iter(connection.network.networks(is_router_external=True)))
        address = connection.network.create_ip(floating_network_id=external.id)
    cluster.parameters |= {
        "volumes": {},
        "os_ext_network": external.name,
        "os_floating_ips": {"login1": address.floating_ip_address},
        "firewall_rules": {"own": {"from_port": 8000, "to_port": 8010, "tag": "node", "cidr": "192.0.2.0/24"}},
    }
    _, state = cluster.build()
    assert state.output("public_ip") == {"login1": address.floating_ip_address}
    assert state.instances_of("openstack_networking_floatingip_v2") == ()
    rules = {each.attributes["port_range_max"] for each in state.instances_of("openstack_networking_secgroup_rule_v2")}
    assert rules == {0, 8010}
    cluster.destroy()
    with cloud.connect() as connection:
        assert connection.network.find_ip(address.floating_ip_address) is not None
        connection.network.delete_ip(address.id)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cluster_name": "Big"}, "cluster_name must match"),
        ({"domain": "-x"}, "domain must match"),
        ({"public_keys": []}, "At least one public key"),
        ({"nb_users": -1}, "nb_users can't be negative"),
        ({"guest_passwd": "short"}, "at least 8 characters"),
        ({"instances": {"a": {"type": "p2-3gb", "tags": ["proxy"], "count": 2}}}, "At most one instance"),
        ({"instances": {"a": {"type": "p2-3gb", "tags": [], "count": -1}}}, "whole number"),
        (
            {
                "instances": {
                    "node": {"type": "p2-3gb", "tags": [], "count": 11},
                    "node1": {"type": "p2-3gb", "tags": [], "count": 1},
                }
            },
            "host of the same name",
        ),
        ({"image": "No-such-image"}, "Your query returned no results"),
    ],
)
def test_what_magic_castle_refuses_is_refused(cluster: Cluster, change: dict[str, Any], message: str) -> None:
    main_tf = render_main_tf(cluster.template, {"parameters": {**cluster.parameters, **change}})
    prepare_workspace(cluster.bench.work, cluster.template, main_tf)
    _, planning = cluster.bench.plan(init=not cluster.cache.restore(cluster.bench.work))
    assert planning.state == "failed"
    told = " ".join(f"{each.summary} {each.detail}" for each in planning.diagnostics)
    assert message in " ".join(told.split())


def test_a_quota_that_is_full_fails_the_apply_and_the_state_is_kept(cluster: Cluster, cloud: Sandbox) -> None:
    cluster.parameters["volumes"] = {}
    cloud.admin.quotas(compute={"instances": 2})
    planned, _ = cluster.plan()
    _, applying = cluster.bench.apply(planned)
    cloud.admin.quotas(compute={"instances": 50})
    assert applying.state == "failed"
    assert any("Quota exceeded" in f"{each.summary}{each.detail}" for each in applying.diagnostics), applying
    assert len(read_state_file(cluster.bench.work).instances_of("openstack_compute_instance_v2")) == 2
    planned, _ = cluster.plan()
    cluster.apply(planned)
    cluster.destroy()
    assert names(cloud)["servers"] == set()
