"""The state is read, or refused in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.terraform.state import NO_STATE, StateError, read_state, read_state_file
from tests.terraform.conftest import Workbench


def test_a_real_state_is_read(workbench: Workbench) -> None:
    workbench.configure(
        """
        resource "terraform_data" "many" {
          for_each = toset(["a", "b"])
          input    = each.key
        }
        module "m" { source = "./m" }
        output "shut" {
          value     = "hidden"
          sensitive = true
        }
        """
    )
    (workbench.work / "m").mkdir()
    (workbench.work / "m" / "main.tf").write_text('resource "terraform_data" "one" {\ncount = 1\n}')
    workbench.plan_and_apply()
    state = read_state_file(workbench.work)
    assert (state.managed_count, state.data_count, state.is_empty) == (3, 0, False)
    addresses = [instance.address for instance in state.instances_of("terraform_data")]
    assert addresses == ['terraform_data.many["a"]', 'terraform_data.many["b"]', "module.m.terraform_data.one[0]"]
    assert state.resources[0].provider == "terraform.io/builtin/terraform"
    assert state.instances_of("terraform_data")[0].id
    assert (state.output("shut"), state.outputs["shut"].sensitive, state.output("none")) == ("hidden", True, None)
    assert state.lineage
    workbench.plan_and_apply(destroy=True)
    after = read_state_file(workbench.work)
    assert after.is_empty
    assert after.serial > state.serial
    assert after.lineage == state.lineage


def test_no_file_is_no_state(tmp_path: Path) -> None:
    assert read_state_file(tmp_path) is NO_STATE
    assert NO_STATE.is_empty


def document(**changes: Any) -> bytes:
    return json.dumps({"version": 4, "serial": 1, "lineage": "l", "resources": [], "outputs": {}} | changes).encode()


def test_data_counts_apart_and_deposed_and_tainted_are_known() -> None:
    provider = 'provider["host.example/a/b"]'
    instances = [{"index_key": 0, "attributes": {}, "status": "tainted"}, {"attributes": {}, "deposed": "12345678"}]
    resources = [
        {"mode": "data", "type": "t", "name": "d", "provider": provider, "instances": [{"attributes": {}}]},
        {"mode": "managed", "type": "t", "name": "m", "provider": provider, "instances": instances},
    ]
    state = read_state(document(resources=resources))
    assert (state.managed_count, state.data_count) == (2, 1)
    assert [each.address for each in state.resources] == ["data.t.d", "t.m"]
    tainted, deposed = state.managed[0].instances
    assert (tainted.tainted, tainted.deposed, deposed.deposed, deposed.id) == (True, False, True, None)
    assert [each.address for each in state.instances_of("t")] == ["t.m[0]"]
    assert state.resources[0].provider == "host.example/a/b"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cut short"),
        (document()[:-10], "cut short"),
        (b"[]", "not a Terraform state"),
        (b'{"version": 4}', "not a Terraform state"),
        (document(version=3), "version 3"),
        (document(resources=[{"mode": "managed"}]), "not formed"),
        (document(serial="many"), "not formed"),
    ],
)
def test_what_is_no_state_is_refused_in_words(content: bytes, message: str) -> None:
    with pytest.raises(StateError, match=message):
        read_state(content)
