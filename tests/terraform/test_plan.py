"""Plans read from the real Terraform."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.terraform.plan import MASKED, Action, AttributeChange, Plan, PlanError, read_plan
from tests.terraform.conftest import Workbench


def plan_of(workbench: Workbench, **options: bool) -> Plan:
    folder, planning = workbench.plan(**options)
    assert planning.state == "succeeded", planning
    return read_plan((folder / "plan.json").read_bytes())


def data(name: str, body: str) -> str:
    return f'resource "terraform_data" "{name}" {{\n{body}\n}}\n'


def test_a_first_plan_creates(workbench: Workbench) -> None:
    workbench.configure(data("one", 'for_each = toset(["a", "b.c"])\ninput = { size = 3, names = ["x"] }'))
    plan = plan_of(workbench)
    assert plan.actions == {"create": 2, "update": 0, "replace": 0, "delete": 0}
    first = plan.resources[0]
    assert (first.address, first.type, first.name, first.index) == (
        'terraform_data.one["a"]',
        "terraform_data",
        "one",
        "a",
    )
    assert (first.action, first.module_address, first.reason) == (Action.CREATE, "", None)
    assert AttributeChange("input.size", None, 3) in first.changes
    assert AttributeChange("input.names", None, ["x"]) in first.changes
    assert AttributeChange("id", None, None, known=False) in first.changes
    assert plan.applyable
    assert not plan.errored
    assert not plan.is_empty
    assert plan.progress_actions == {'terraform_data.one["a"]': "create", 'terraform_data.one["b.c"]': "create"}


def test_a_plan_without_changes_is_empty(workbench: Workbench) -> None:
    workbench.configure(data("one", 'input = "x"'))
    workbench.plan_and_apply()
    plan = plan_of(workbench)
    assert plan.is_empty
    assert [each.action for each in plan.resources] == [Action.NO_OP]
    assert plan.resources[0].changes == ()
    assert plan.drift == ()


def test_update_replace_and_delete_are_told_apart_with_their_reasons(workbench: Workbench) -> None:
    before = data("changed", 'input = "old"') + data("replaced", 'triggers_replace = "1"') + data("gone", 'input = "x"')
    workbench.configure(before)
    workbench.plan_and_apply()
    workbench.configure(data("changed", 'input = "new"') + data("replaced", 'triggers_replace = "2"'))
    plan = plan_of(workbench)
    found = {each.name: each for each in plan.resources}
    assert plan.actions == {"create": 0, "update": 1, "replace": 1, "delete": 1}
    assert AttributeChange("input", "old", "new") in found["changed"].changes
    assert found["replaced"].reason == "triggers_replace can't be changed in place"
    assert found["gone"].reason == "it is no longer in the configuration"


def test_a_tainted_resource_is_replaced_because_it_failed(workbench: Workbench) -> None:
    workbench.configure(data("bad", 'provisioner "local-exec" { command = "exit 3" }'))
    planned, _ = workbench.plan()
    workbench.apply(planned)
    plan = plan_of(workbench)
    assert (plan.resources[0].action, plan.resources[0].reason) == (
        Action.REPLACE,
        "its last creation or provisioning failed",
    )


def test_sensitive_values_are_masked_wherever_they_are(workbench: Workbench) -> None:
    secret = 'variable "s" {\n default = "hidden-word"\n sensitive = true\n}\n'
    body = 'input = { open = "seen", shut = var.s, list = [{ deep = "${var.s}!" }] }'
    workbench.configure(secret + data("one", body))
    plan = plan_of(workbench)
    changes = {each.path: each for each in plan.resources[0].changes}
    assert changes["input.open"].after == "seen"
    assert (changes["input.shut"].after, changes["input.shut"].sensitive) == (MASKED, True)
    assert changes["input.list[0].deep"].after == MASKED
    assert "hidden-word" not in repr(plan.resources[0].changes)


def test_a_change_of_outputs_alone_is_a_change(workbench: Workbench) -> None:
    workbench.configure('output "o" { value = "1" }')
    workbench.plan_and_apply()
    workbench.configure('output "o" { value = "2" }')
    plan = plan_of(workbench)
    assert plan.output_changes == ("o",)
    assert not plan.is_empty
    assert sum(plan.actions.values()) == 0


def test_resources_of_a_module_say_so(workbench: Workbench) -> None:
    workbench.configure('module "m" { source = "./m" }')
    (workbench.work / "m").mkdir()
    (workbench.work / "m" / "main.tf").write_text(data("one", "count = 1"))
    change = plan_of(workbench).resources[0]
    assert (change.module_address, change.address, change.index) == ("module.m", "module.m.terraform_data.one[0]", 0)


def test_a_destroy_plan_deletes(workbench: Workbench) -> None:
    workbench.configure(data("one", 'input = "x"'))
    workbench.plan_and_apply()
    assert plan_of(workbench, destroy=True).actions["delete"] == 1


def entry(actions: list[str], before: Any, after: Any, **more: Any) -> dict[str, Any]:
    change = {
        "actions": actions,
        "before": before,
        "after": after,
        "after_unknown": {},
        "before_sensitive": {},
        "after_sensitive": {},
    }
    change |= more.pop("change", {})
    base = {"address": "t.n", "mode": "managed", "type": "t", "name": "n", "provider_name": "p", "change": change}
    return base | more


def document(*changes: dict[str, Any], drift: list[dict[str, Any]] | None = None, **more: Any) -> bytes:
    return json.dumps(
        {"format_version": "1.2", "resource_changes": list(changes), "resource_drift": drift or [], **more}
    ).encode()


def test_what_the_cloud_fills_in_late_is_no_drift_to_a_person() -> None:
    port = entry(
        ["update"], {"device_id": "", "tags": None}, {"device_id": "9", "tags": []}, type="openstack_networking_port_v2"
    )
    server = entry(
        ["update"], {"power_state": "active"}, {"power_state": "shutoff"}, type="openstack_compute_instance_v2"
    )
    gone = entry(["delete"], {"id": "1"}, None, type="openstack_networking_port_v2")
    plan = read_plan(document(drift=[port, server, gone]))
    assert [each.type for each in plan.drift] == ["openstack_compute_instance_v2", "openstack_networking_port_v2"]
    assert [each.type for each in plan.harmless_drift] == ["openstack_networking_port_v2"]


def test_a_generated_password_is_masked_even_if_its_provider_does_not_call_it_sensitive() -> None:
    old = {"id": "pass-word-1", "result": "pass-word-1", "length": 11}
    change = read_plan(document(entry(["delete"], old, None, type="random_string"))).resources[0]
    assert "pass-word-1" not in repr(change.changes)
    assert AttributeChange("length", 11, None) in change.changes


def test_reads_deposed_and_imported_things_are_what_they_are() -> None:
    plan = read_plan(
        document(
            entry(["read"], None, {"id": "1"}, mode="data"),
            entry(["delete"], {"id": "1"}, None, deposed="abcd"),
            entry(["no-op"], {"id": "1"}, {"id": "1"}, change={"importing": {"id": "1"}}, address="t.imported"),
            entry(["forget"], {"id": "1"}, None, address="t.forgotten"),
        )
    )
    assert plan.actions == {"create": 0, "update": 0, "replace": 0, "delete": 1}
    assert [each.address for each in plan.changed] == ["t.n", "t.imported", "t.forgotten"]
    assert plan.resources[1].deposed
    assert plan.resources[2].importing
    assert not plan.is_empty


@pytest.mark.parametrize("actions", [["delete", "create"], ["create", "delete"], ["create", "forget"]])
def test_both_orders_of_a_replacement_are_one_action(actions: list[str]) -> None:
    paths = {"replace_paths": [["network", 0, "port"], ["name"]]}
    change = read_plan(
        document(entry(actions, {}, {}, change=paths, action_reason="replace_because_cannot_update"))
    ).resources[0]
    assert (change.action, change.reason) == (Action.REPLACE, "network[0].port, name can't be changed in place")


def test_an_unknown_reason_is_shown_as_it_is() -> None:
    assert (
        read_plan(document(entry(["delete"], {}, None, action_reason="delete_because_so"))).resources[0].reason
        == "delete because so"
    )


def test_a_failed_plan_is_known_by_its_own_word() -> None:
    plan = read_plan(document(errored=True, applyable=False))
    assert (plan.errored, plan.applyable) == (True, False)
    assert read_plan(document(errored=True)).applyable is False  # Terraform before 1.7 has no such word


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"format_version": "2.0"}',
        b'{"format_version": "1.2", "resource_changes": [{}]}',
        document(entry(["dance", "sing"], {}, {})),
        document(entry(["dance"], {}, {})),
    ],
)
def test_what_is_no_plan_is_refused(content: bytes) -> None:
    with pytest.raises(PlanError):
        read_plan(content)
