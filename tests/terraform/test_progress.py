"""Progress is read from the log as Terraform writes it, in pieces of any size."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.terraform.plan import read_plan
from app.terraform.progress import Diagnostic, ProgressReader, ResourceState, Severity, type_of
from tests.terraform.conftest import Workbench


def line(kind: str, **more: object) -> bytes:
    event = {"@level": "info", "@message": "m", "@timestamp": "2026-01-02T03:04:05.000006Z", "type": kind, **more}
    return json.dumps(event).encode() + b"\n"


def hook(address: str, action: str | None = None, **more: object) -> dict[str, object]:
    return {"resource": {"addr": address, "resource_type": type_of(address)}, "action": action, **more}


def summary(operation: str = "apply") -> bytes:
    return line("change_summary", changes={"add": 1, "change": 2, "remove": 3, "import": 4, "operation": operation})


APPLY = b"".join(
    [
        line("version", terraform="1.11.4"),
        b"a line that is no event\n",
        b"[1, 2]\n",
        b'{"type": "apply_start"}\n',
        line("apply_start", hook=hook("x.a", "create")),
        line("apply_start", hook=hook("data.x.read", "read")),
        line("apply_progress", hook=hook("x.a", "create", elapsed_seconds=10)),
        line("provision_start", hook=hook("x.a", provisioner="remote-exec")),
        line("provision_progress", hook=hook("x.a", provisioner="remote-exec", output="é" * 20)),
        line("apply_start", hook=hook("x.b", "update")),
        line("apply_errored", hook=hook("x.b", "update")),
        line("apply_complete", hook=hook("x.a", "create", id_value="1")),
        line("diagnostic", diagnostic={"severity": "warning", "summary": "w", "detail": ""}),
        line(
            "diagnostic",
            diagnostic={
                "severity": "error",
                "summary": "no",
                "detail": "quota",
                "address": "x.b",
                "range": {"filename": "main.tf", "start": {"line": 7}},
            },
        ),
        summary(),
    ]
)


def seen(reader: ProgressReader) -> list[tuple[str, ResourceState]]:
    return [(each.address, each.state) for each in reader.resources]


def test_each_resource_goes_its_way_and_reads_do_not_count() -> None:
    reader = ProgressReader(["x.c"])
    reader.feed(APPLY)
    assert seen(reader) == [("x.c", ResourceState.QUEUED), ("x.a", ResourceState.DONE), ("x.b", ResourceState.FAILED)]
    assert (reader.done, reader.total) == (1, 3)
    failed = reader.resources[2]
    assert failed.diagnostic == Diagnostic(Severity.ERROR, "no", "quota", "x.b", "main.tf:7")
    assert failed.started_at == failed.ended_at == datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert [each.severity for each in reader.diagnostics] == [Severity.WARNING, Severity.ERROR]
    assert reader.has_error
    assert reader.change_summary is not None
    assert (reader.change_summary.operation, reader.change_summary.imported) == ("apply", 4)
    assert reader.outcome_seen
    assert list(reader.plain_lines)[:2] == ["a line that is no event", "[1, 2]"]


@given(st.lists(st.integers(0, len(APPLY))))
def test_pieces_of_any_size_give_the_same(cuts: list[int]) -> None:
    whole, pieces = ProgressReader(), ProgressReader()
    whole.feed(APPLY)
    edges = [0, *sorted(cuts), len(APPLY)]
    for start, end in pairwise(edges):
        pieces.feed(APPLY[start:end])
    assert pieces.resources == whole.resources
    assert pieces.diagnostics == whole.diagnostics
    assert pieces.plain_lines == whole.plain_lines


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail(junk: bytes) -> None:
    reader = ProgressReader()
    reader.feed(junk + b"\n" + APPLY)
    assert reader.done == 1


def test_a_line_without_its_end_waits() -> None:
    reader = ProgressReader()
    reader.feed(summary()[:-1])
    assert not reader.outcome_seen
    reader.feed(b"\n")
    assert reader.outcome_seen


def test_a_provisioner_says_what_it_does() -> None:
    reader = ProgressReader()
    reader.feed(line("apply_start", hook=hook("x.a", "create")))
    reader.feed(line("provision_progress", hook=hook("x.a", provisioner="remote-exec", output="copying")))
    assert (reader.resources[0].message, reader.resources[0].state) == ("copying", ResourceState.RUNNING)
    reader.feed(line("provision_errored", hook=hook("x.a", provisioner="remote-exec")))
    assert reader.resources[0].message == "m"


@pytest.mark.parametrize("order", [("delete", "create"), ("create", "delete")])
def test_a_replacement_is_done_when_both_halves_are(order: tuple[str, str]) -> None:
    reader = ProgressReader({"x.a": "replace"})
    for action, state in zip(order, (ResourceState.RUNNING, ResourceState.DONE), strict=True):
        reader.feed(line("apply_start", hook=hook("x.a", action)) + line("apply_complete", hook=hook("x.a", action)))
        assert reader.resources[0].state is state
    assert reader.resources[0].action == "replace"


def test_planned_changes_queue_resources_and_reads_do_not() -> None:
    reader = ProgressReader()
    for address, action in (("x.a", "replace"), ("data.x.b", "read"), ("x.c", "noop")):
        reader.feed(line("planned_change", change={"resource": {"addr": address}, "action": action}))
    assert [(each.address, each.action, each.type) for each in reader.resources] == [("x.a", "replace", "x")]


def test_times_without_fraction_or_zone_or_sense_are_tolerated() -> None:
    reader = ProgressReader()
    for time in ("2026-01-02T03:04:05Z", "2026-01-02T04:04:05+01:00", "2026-01-02T03:04:05"):
        reader.feed(json.dumps({"type": "log", "@timestamp": time}).encode() + b"\n")
        assert reader.last_event_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    reader.feed(b'{"type": "log", "@timestamp": "soon"}\n')
    assert reader.last_event_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("openstack_x.y", "openstack_x"),
        ('module.a["b.c"].module.d.openstack_x.y["e.f"]', "openstack_x"),
        ("module.a[0].data.openstack_x.y[1]", "openstack_x"),
        ("data.openstack_x.y", "openstack_x"),
    ],
)
def test_the_type_is_in_the_address(address: str, kind: str) -> None:
    assert type_of(address) == kind


def test_a_real_apply_is_followed_from_plan_to_failure(workbench: Workbench) -> None:
    workbench.configure(
        """
        resource "terraform_data" "good" { input = "x" }
        resource "terraform_data" "bad" {
          input = terraform_data.good.id
          provisioner "local-exec" { command = "echo working; exit 3" }
        }
        resource "terraform_data" "never" { input = terraform_data.bad.id }
        """
    )
    planned, _ = workbench.plan()
    applied, _ = workbench.apply(planned)
    reader = ProgressReader(read_plan((planned / "plan.json").read_bytes()).progress_actions)
    assert reader.total == 3
    reader.feed(Path(applied / "log").read_bytes())
    assert dict(seen(reader)) == {
        "terraform_data.good": ResourceState.DONE,
        "terraform_data.bad": ResourceState.FAILED,
        "terraform_data.never": ResourceState.QUEUED,
    }
    assert not reader.outcome_seen
    bad = next(each for each in reader.resources if each.address == "terraform_data.bad")
    assert bad.diagnostic is not None
    assert "exit status 3" in bad.diagnostic.detail
