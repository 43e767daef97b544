"""Every pair of statuses, held against the tables of the specification (written here again, not read from the code)."""

from __future__ import annotations

from itertools import product

import pytest
from flask import Flask
from sqlalchemy import text

from app.clusters.models import Cluster
from app.clusters.statuses import CLUSTER_STATUSES, Status
from app.db import db
from app.errors import Conflict
from app.lifecycle.operations import OPERATION_STATUSES, Operation, State
from app.lifecycle.status import Indicator, StatusMove, begin, transition
from tests.lifecycle.rows import cluster_in, events_of, operation_in

CLUSTERS = """
    created                 plan_running destroyed
    plan_running            plan_ready plan_error <before>
    plan_error              plan_running destroyed
    plan_ready              plan_running destroyed build_running destroy_running <before>
    build_running           build_success build_error provisioning_running provisioning_success
    build_error             plan_running destroyed
    build_success           plan_running destroyed
    provisioning_running    plan_running destroyed provisioning_success provisioning_error
    provisioning_success    plan_running destroyed
    provisioning_error      plan_running destroyed provisioning_success
    destroy_running         destroyed destroy_error
    destroy_error           plan_running destroyed
    destroyed
"""
OPERATIONS = """
    queued      running cancelled failed
    running     succeeded failed cancelled
    succeeded
    failed
    cancelled
"""


def parsed(table: str) -> dict[str, set[str]]:
    """A table as status -> where it may go; `<before>` stands for the status before."""
    rows = (line.split() for line in table.splitlines() if line.strip())
    return {words[0]: set(words[1:]) for words in rows}


CLUSTER_MOVES, OPERATION_MOVES = parsed(CLUSTERS), parsed(OPERATIONS)
BEFORE = "provisioning_error"


def expected(moves: dict[str, set[str]], start: str, to: str, before: str | None = None) -> bool:
    """Whether the specification allows the move."""
    return to in moves[start] or ("<before>" in moves[start] and to == before)


def test_the_words_on_the_wire_are_the_specifications() -> None:
    assert [status.value for status in Status] == list(CLUSTER_MOVES)
    assert {state.value for state in State} == set(OPERATION_MOVES)


@pytest.mark.parametrize("status", list(CLUSTER_MOVES))
def test_the_indicator_follows_from_the_word(status: str) -> None:
    wanted = (
        Indicator.IN_PROGRESS if status.endswith("_running")
        else Indicator.ERROR if status.endswith("_error") else Indicator.IDLE
    )  # fmt: skip
    assert CLUSTER_STATUSES.indicators[status] is wanted


@pytest.mark.parametrize(("start", "to"), list(product(CLUSTER_MOVES, repeat=2)))
def test_a_cluster_moves_as_the_table_says_and_not_otherwise(session: None, start: str, to: str) -> None:
    cluster = cluster_in(start, BEFORE)
    _holds(cluster, start, to, allowed=expected(CLUSTER_MOVES, start, to, BEFORE))


@pytest.mark.parametrize(("start", "to"), list(product(OPERATION_MOVES, repeat=2)))
def test_an_operation_moves_as_the_table_says_and_not_otherwise(session: None, start: str, to: str) -> None:
    operation = operation_in(start)
    _holds(operation, start, to, allowed=expected(OPERATION_MOVES, start, to))


def _holds(subject: Cluster | Operation, start: str, to: str, *, allowed: bool) -> None:
    if start == to:
        assert transition(subject, to, source="test", detail="again") is None
    elif allowed:
        event = transition(subject, to, source="test", detail="why")
        assert event is not None
    else:
        with pytest.raises(StatusMove, match=f"is {start}: it cannot become {to}"):
            transition(subject, to, source="test")
    db.session.commit()
    moved = allowed and start != to
    assert subject.status == (to if moved else start)
    found = [(event.from_status, event.to_status, event.detail, event.source) for event in events_of(subject)]
    assert found == ([(start, to, "why", "test")] if moved else [])


@pytest.mark.parametrize("status", sorted(set(CLUSTER_MOVES) - {"plan_running", "plan_ready"}))
def test_only_a_plan_leads_back_to_the_status_before(session: None, status: str) -> None:
    back = next(each for each in CLUSTER_MOVES if each != status and each not in CLUSTER_MOVES[status])
    with pytest.raises(StatusMove):
        transition(cluster_in(status, back), back, source="test")
    db.session.rollback()


@pytest.mark.parametrize("planning", ["plan_running", "plan_ready"])
def test_a_plan_leads_back_to_the_status_before_and_to_no_other(session: None, planning: str) -> None:
    with pytest.raises(StatusMove):
        transition(cluster_in(planning, "build_success"), "provisioning_success", source="test")
    db.session.rollback()
    cluster = cluster_in(planning, "build_success")
    assert transition(cluster, "build_success", source="test") is not None
    db.session.rollback()


def test_a_disallowed_move_is_a_409_for_the_caller() -> None:
    assert issubclass(StatusMove, Conflict)
    assert StatusMove("").status == 409


def test_a_status_that_is_none_is_an_error_of_the_program(session: None) -> None:
    cluster = cluster_in("created")
    with pytest.raises(StatusMove):
        transition(cluster, "finished", source="test")
    db.session.rollback()


def test_the_event_of_its_birth_comes_from_nowhere(session: None) -> None:
    cluster = cluster_in("created")
    cluster.status = ""
    begin(cluster, Status.CREATED, source="ada", detail="hello")
    db.session.commit()
    (event,) = events_of(cluster)
    assert (event.from_status, event.to_status, event.indicator) == (None, "created", "idle")


def test_further_columns_change_with_the_status_or_not_at_all(session: None) -> None:
    cluster = cluster_in("plan_ready")
    transition(cluster, "build_running", source="test", also={"plan_id": "p"})
    assert cluster.plan_id == "p"
    transition(cluster, "build_running", source="test", also={"plan_id": "other"})
    assert cluster.plan_id == "p"
    db.session.rollback()


def test_the_status_and_its_event_are_one_transaction(hub: Flask, session: None) -> None:
    cluster = cluster_in("created")
    transition(cluster, "plan_running", source="test")
    db.session.rollback()
    assert events_of(cluster) == []
    assert db.session.get_one(Cluster, cluster.id, populate_existing=True).status == "created"


def test_a_move_that_was_overtaken_is_refused_and_leaves_no_event(session: None) -> None:
    cluster = cluster_in("plan_running")
    with db.engine.begin() as other:
        other.execute(text("UPDATE clusters SET status = 'plan_error' WHERE id = :id"), {"id": cluster.id})
    with pytest.raises(StatusMove, match="became plan_error meanwhile"):
        transition(cluster, "plan_ready", source="test")
    db.session.commit()
    assert events_of(cluster) == []


def test_each_table_names_a_row_for_every_status() -> None:
    for table in (CLUSTER_STATUSES, OPERATION_STATUSES):
        assert set(table.moves) == set(table.indicators)
        assert {to for targets in table.moves.values() for to in targets} <= set(table.moves)
