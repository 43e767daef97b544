"""Operations: one active writer a subject, claimed by one worker, held by a lease."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select

from app.db import db, iso, new_id, now
from app.lifecycle import operations
from app.lifecycle.operations import Busy, Operation, State
from tests.lifecycle.at_once import at_once
from tests.lifecycle.conftest import context_of
from tests.lifecycle.rows import events_of, operation_in

KINDS = ["plan"]
PRINT_NAME = "from app.lifecycle.operations import worker_name; print(worker_name(), flush=True)"


def enqueue(subject: str, *, actor: str = "ada", writes: bool = True) -> Operation:
    """A plan on the subject, committed."""
    operation = operations.enqueue("plan", "cluster", subject, actor=actor, writes=writes)
    db.session.commit()
    return operation


def running(worker: str, lease: float | None) -> Operation:
    """An operation that a worker runs, its lease ending in so many seconds."""
    operation = operation_in(State.RUNNING)
    operation.worker = worker
    operation.lease_until = None if lease is None else now() + timedelta(seconds=lease)
    db.session.commit()
    return operation


def fresh(operation: Operation) -> Operation:
    """The row as it stands in the database."""
    return db.session.get_one(Operation, operation.id, populate_existing=True)


@pytest.fixture
def nothing_else(session: None) -> None:
    """Ends what other tests left active, so that `due` shows only the test's own."""
    for operation in db.session.scalars(select(Operation).where(Operation.status.in_(operations.ACTIVE))):
        operations.end(operation, State.FAILED, source="test")
    db.session.commit()


def test_an_operation_begins_queued_with_an_event(session: None) -> None:
    operation = enqueue(new_id(), actor="ada")
    assert (operation.status, operation.attempt, operation.is_active) == ("queued", 0, True)
    assert [(e.from_status, e.to_status, e.source) for e in events_of(operation)] == [(None, "queued", "ada")]


def test_a_second_writer_is_refused_with_who_and_since_when(session: None) -> None:
    subject = new_id()
    first = enqueue(subject, actor="ada")
    with pytest.raises(Busy) as refused:
        enqueue(subject, actor="bob")
    assert refused.value.status == 409
    assert refused.value.kind == "busy"
    assert refused.value.extra == {"by": "ada", "since": iso(first.created_at), "operation": first.id}
    assert "ada" in refused.value.detail


def test_a_reader_is_never_refused_and_refuses_nobody(session: None) -> None:
    subject = new_id()
    enqueue(subject, writes=False)
    enqueue(subject)
    enqueue(subject, writes=False)


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELLED])
def test_once_it_has_ended_the_next_may_begin(session: None, state: State) -> None:
    subject = new_id()
    first = enqueue(subject)
    assert operations.claim(first, "w", 30)
    operations.end(first, state, source="w", error="because")
    db.session.commit()
    assert (first.status, first.error, first.lease_until) == (state, "because", None)
    assert first.ended_at is not None
    assert enqueue(subject).id != first.id


def test_of_many_that_enqueue_at_once_one_wins_and_the_others_learn_of_it(hub: Flask) -> None:
    for _ in range(5):
        subject = new_id()

        def one(actor: str, subject: str = subject) -> str:
            try:
                enqueue(subject, actor=actor)
            except Busy as refused:
                return str(refused.extra.get("by", "unnamed"))
            return "won"

        outcomes = at_once(hub, one, [f"person-{i}" for i in range(6)])
        assert outcomes.count("won") == 1
        winner = f"person-{outcomes.index('won')}"
        assert set(outcomes) == {"won", winner}
        with context_of(hub):
            found = select(func.count()).select_from(Operation).where(Operation.subject_id == subject)
            assert db.session.scalar(found) == 1


def test_of_many_workers_one_claims_a_queued_operation(hub: Flask) -> None:
    with context_of(hub):
        operation_id = operation_in(State.QUEUED).id

    def one(worker: str) -> bool:
        return operations.claim(db.session.get_one(Operation, operation_id), worker, 30)

    won = at_once(hub, one, [f"w{i}" for i in range(6)])
    with context_of(hub):
        operation = db.session.get_one(Operation, operation_id)
        assert won.count(True) == 1
        assert operation.worker == f"w{won.index(True)}"
        assert operation.attempt == 1
        assert [event.to_status for event in events_of(operation)] == ["running"]


def test_of_many_workers_one_takes_over_an_expired_operation(hub: Flask) -> None:
    with context_of(hub):
        operation_id = running("dead", -1).id

    def one(worker: str) -> bool:
        return operations.claim(db.session.get_one(Operation, operation_id), worker, 30)

    won = at_once(hub, one, [f"w{i}" for i in range(6)])
    with context_of(hub):
        operation = db.session.get_one(Operation, operation_id)
        assert won.count(True) == 1
        assert (operation.worker, operation.attempt) == (f"w{won.index(True)}", 1)


def test_an_operation_whose_lease_holds_is_nobody_elses(session: None) -> None:
    operation = running("w", 30)
    assert not operations.claim(operation, "other", 30)
    assert fresh(operation).worker == "w"


def test_a_renewed_lease_cannot_be_taken_over(session: None) -> None:
    operation = running("w", -1)
    assert operations.renew([operation.id], "w", 30) == 1
    assert not operations.claim(operation, "other", 30)


def test_only_its_worker_renews_a_lease(session: None) -> None:
    operation = running("w", 5)
    assert operations.renew([operation.id], "other", 300) == 0
    until = fresh(operation).lease_until
    assert until is not None
    assert until < now() + timedelta(seconds=10)


def test_a_released_operation_is_due_at_once(nothing_else: None) -> None:
    operation = running("w", 30)
    assert operations.due(1, KINDS) == []
    operations.release([operation.id], "other")
    assert operations.due(1, KINDS) == []
    operations.release([operation.id], "w")
    assert [each.id for each in operations.due(1, KINDS)] == [operation.id]


def test_release_does_not_touch_what_has_ended(session: None) -> None:
    operation = running("w", 30)
    operations.end(operation, State.SUCCEEDED, source="w")
    db.session.commit()
    operations.release([operation.id], "w")
    assert fresh(operation).lease_until is None


def test_due_are_the_abandoned_first_then_the_queued_oldest_first(nothing_else: None) -> None:
    queued = [operation_in(State.QUEUED) for _ in range(3)]
    abandoned = running("dead", -1)
    running("alive", 30)
    operation_in(State.SUCCEEDED)
    assert [each.id for each in operations.due(3, KINDS)] == [abandoned.id, queued[0].id, queued[1].id]
    assert len(operations.due(10, KINDS)) == 4


def test_due_is_only_what_this_dispatcher_knows_and_does_not_hold(nothing_else: None) -> None:
    operation = running("w", -1)
    assert operations.due(10, ["apply"]) == []
    assert operations.due(10, KINDS, {operation.id}) == []


def test_a_cancel_is_noted_once(session: None) -> None:
    operation = operation_in(State.RUNNING)
    operations.request_cancel(operation)
    first = operation.cancel_requested_at
    operations.request_cancel(operation)
    assert operation.cancel_requested_at == first is not None


def test_a_worker_is_named_by_machine_process_and_start() -> None:
    machine, pid, started = operations.worker_name().rsplit(":", 2)
    assert (machine, pid) == (platform.node(), str(os.getpid()))
    assert started.isdigit()


def test_what_a_dead_process_of_this_machine_held_is_due_at_once(nothing_else: None) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PRINT_NAME],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    dead, recycled = running(ended, 300), running(f"{platform.node()}:{os.getpid()}:1", 300)
    running(operations.worker_name(), 300)
    running("another-machine:1:1", 300)
    running("", 300)
    assert operations.abandon_workers_of_this_machine(operations.worker_name()) == 2
    assert {each.id for each in operations.due(10, KINDS)} == {dead.id, recycled.id}


def test_what_a_living_process_of_this_machine_holds_stays_its_own(nothing_else: None) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", f"{PRINT_NAME}; input()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as living:  # fmt: skip
        assert living.stdout is not None
        operation = running(living.stdout.readline().strip(), 300)
        assert operations.abandon_workers_of_this_machine(operations.worker_name()) == 0
        assert operations.due(10, KINDS) == []
        living.kill()
        living.wait(10)
    assert operations.abandon_workers_of_this_machine(operations.worker_name()) == 1
    assert [each.id for each in operations.due(10, KINDS)] == [operation.id]
