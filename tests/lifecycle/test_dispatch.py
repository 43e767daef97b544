"""The dispatcher: bounded, awake at once, alive whatever happens, and replaced when it is killed."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from flask import Flask
from pytest_mock import MockerFixture
from sqlalchemy import text, update
from sqlalchemy.exc import OperationalError

from app.db import db, now
from app.lifecycle import dispatch, operations
from app.lifecycle.dispatch import Context, Dispatcher, Doorbell, Periodic, Task, operation_of
from app.lifecycle.operations import Operation, State
from app.lifecycle.status import StatusEvent, transition
from app.settings import Settings
from tests.lifecycle.conftest import context_of
from tests.lifecycle.rows import operation_in
from tests.processes import wait_until

Run = Callable[[str, Context], None]
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Room:
    """Starts dispatchers on one app and ends them all."""

    app: Flask
    data: Path
    begun: list[str] = field(default_factory=list)
    started: list[Dispatcher] = field(default_factory=list)

    def dispatcher(self, run: Run, *, slots: int = 2, lease: float = 30, **more: object) -> Dispatcher:
        """A running dispatcher whose operations do `run`."""

        def noting(operation_id: str, context: Context) -> None:
            self.begun.append(operation_id)
            run(operation_id, context)

        made = Dispatcher(
            app=self.app, tasks={"plan": Task(noting, failed)}, data=self.data, slots=slots, lease_seconds=lease, **more  # type: ignore[arg-type]
        )  # fmt: skip
        self.started.append(made)
        made.start()
        return made

    def queue(self) -> str:
        """An operation that waits for a worker; the doorbell is rung."""
        with context_of(self.app):
            operation_id = operation_in(State.QUEUED).id
        Doorbell(self.data / "doorbell").ring()
        return operation_id

    def row(self, operation_id: str) -> Operation:
        """The operation as it stands now."""
        with context_of(self.app):
            return operation_of(operation_id)

    def ends(self, operation_id: str, state: State) -> Operation:
        """Wait until the operation has that state."""
        wait_until(lambda: self.row(operation_id).status == state, f"the operation is {state}", 20)
        return self.row(operation_id)


@pytest.fixture
def room(app: Flask, settings: Settings) -> Iterator[Room]:
    """Where dispatchers are started."""
    found = Room(app, settings.data)
    yield found
    for each in found.started:
        each.stop()


def succeed(operation_id: str, _context: Context) -> None:
    """A task that ends well."""
    operation = operation_of(operation_id)
    operations.end(operation, State.SUCCEEDED, source="test")
    db.session.commit()


def failed(operation_id: str, error: str, worker: str) -> None:
    """What a task does with an error that it did not expect."""
    operation = operation_of(operation_id)
    operations.end(operation, State.FAILED, source=worker, error=error)
    db.session.commit()


def last(operation_id: str, context: Context) -> None:
    """A task that lasts until the hub ends."""
    while True:
        context.pause(0.01)


def test_an_operation_is_run_once_and_to_its_end(room: Room) -> None:
    room.dispatcher(succeed)
    operation_id = room.queue()
    operation = room.ends(operation_id, State.SUCCEEDED)
    assert room.begun == [operation_id]
    assert (operation.attempt, operation.worker) == (1, operations.worker_name())
    assert operation.started_at is not None


def test_what_was_queued_while_no_dispatcher_ran_is_found(room: Room) -> None:
    operation_id = room.queue()
    room.dispatcher(succeed)
    room.ends(operation_id, State.SUCCEEDED)


def test_at_most_as_many_run_at_once_as_there_are_slots(room: Room) -> None:
    present, most, guard, go_on = 0, 0, threading.Lock(), threading.Event()

    def count(operation_id: str, context: Context) -> None:
        nonlocal present, most
        with guard:
            present += 1
            most = max(most, present)
        go_on.wait(20)
        with guard:
            present -= 1
        succeed(operation_id, context)

    queued = [room.queue() for _ in range(7)]
    room.dispatcher(count, slots=3)
    wait_until(lambda: len(room.begun) == 3, "three run")
    room.queue()  # the bell alone makes no room
    go_on.set()
    for operation_id in queued:
        room.ends(operation_id, State.SUCCEEDED)
    assert most == 3


def test_a_task_that_raises_ends_failed_with_its_words(room: Room) -> None:
    def break_(_operation_id: str, _context: Context) -> None:
        raise RuntimeError("the wheel came off")

    room.dispatcher(break_)
    operation = room.ends(room.queue(), State.FAILED)
    assert operation.error is not None
    assert "RuntimeError: the wheel came off" in operation.error


def test_what_a_failed_task_had_not_committed_is_undone(room: Room) -> None:
    def half(operation_id: str, _context: Context) -> None:
        transition(operation_of(operation_id), State.CANCELLED, source="test")
        raise RuntimeError("no")

    room.dispatcher(half)
    room.ends(room.queue(), State.FAILED)


def test_a_task_that_cannot_even_be_failed_is_tried_again_after_its_lease(room: Room, mocker: MockerFixture) -> None:
    mocker.patch.object(dispatch, "TICK_SECONDS", 0.05)

    def stumble(operation_id: str, context: Context) -> None:
        if len(room.begun) == 1:
            raise RuntimeError("first")
        succeed(operation_id, context)

    made = room.dispatcher(stumble, lease=0.2)
    made.tasks = {"plan": Task(made.tasks["plan"].run, mocker.Mock(side_effect=RuntimeError("second")))}
    assert room.ends(room.queue(), State.SUCCEEDED).attempt == 2


def test_the_doorbell_wakes_at_once(room: Room, mocker: MockerFixture) -> None:
    mocker.patch.object(dispatch, "TICK_SECONDS", 60)
    room.dispatcher(succeed)
    room.ends(room.queue(), State.SUCCEEDED)
    room.ends(room.queue(), State.SUCCEEDED)


def test_a_ring_that_nobody_hears_is_no_error(tmp_path: Path) -> None:
    Doorbell(tmp_path / "doorbell").ring()
    bell = Doorbell(tmp_path / "doorbell")
    bell.open()
    for _ in range(100_000):
        bell.ring()


def test_a_bell_that_was_not_rung_is_made_up_for_by_looking(room: Room) -> None:
    room.dispatcher(succeed)
    with context_of(room.app):
        operation_id = operation_in(State.QUEUED).id
    room.ends(operation_id, State.SUCCEEDED)


def test_stop_ends_tasks_and_gives_back_what_ran(room: Room) -> None:
    made = room.dispatcher(last)
    operation_id = room.queue()
    wait_until(lambda: room.begun, "it runs")
    made.stop()
    operation = room.row(operation_id)
    assert operation.status == State.RUNNING
    assert operation.lease_until is not None
    assert operation.lease_until < now()
    assert not any(thread.is_alive() for thread in made._threads)


def test_the_next_dispatcher_takes_over_what_was_given_back(room: Room) -> None:
    first = room.dispatcher(last)
    operation_id = room.queue()
    wait_until(lambda: room.begun, "it runs")
    room.dispatcher(succeed)
    first.stop()
    assert room.ends(operation_id, State.SUCCEEDED).attempt == 2


def test_of_two_dispatchers_on_one_folder_one_works(room: Room) -> None:
    room.dispatcher(last, slots=1)
    room.queue()
    wait_until(lambda: room.begun, "the first has no free slot")
    waiting = room.queue()
    room.dispatcher(succeed)
    wait_until(lambda: len(room.started[1]._threads) == 1, "the second competes")
    assert room.row(waiting).status == State.QUEUED
    room.started[0].stop()
    room.ends(waiting, State.SUCCEEDED)


def test_a_lease_is_renewed_as_long_as_the_task_lasts(room: Room, mocker: MockerFixture) -> None:
    mocker.patch.object(dispatch, "TICK_SECONDS", 0.05)
    room.dispatcher(last, lease=0.4)
    operation_id = room.queue()
    wait_until(lambda: room.begun, "it runs")
    first = room.row(operation_id).lease_until
    assert first is not None
    wait_until(lambda: now() > first and (room.row(operation_id).lease_until or first) > now(), "it was renewed")
    assert room.begun == [operation_id]


def test_an_operation_of_a_kind_nobody_knows_stays_and_holds_nobody_up(room: Room) -> None:
    with context_of(room.app):
        strange = [operation_in(State.QUEUED).id for _ in range(5)]
        db.session.execute(update(Operation).values(kind="dance"))  # of a hub of another version
        db.session.commit()
    room.dispatcher(succeed, slots=2)
    room.ends(room.queue(), State.SUCCEEDED)
    assert {room.row(each).status for each in strange} == {State.QUEUED}


def test_an_error_of_periodic_work_does_not_end_it(room: Room) -> None:
    calls: list[int] = []

    def now_and_then() -> None:
        calls.append(1)
        raise RuntimeError("not this time")

    made = room.dispatcher(succeed, periodic=[Periodic("test", 0.01, now_and_then)])
    wait_until(lambda: len(calls) >= 3, "it goes on")
    room.ends(room.queue(), State.SUCCEEDED)
    made.stop()
    assert not any(thread.is_alive() for thread in made._threads)


@pytest.mark.parametrize("step", ["due", "abandon_workers_of_this_machine", "renew"])
def test_an_error_of_the_database_does_not_end_the_dispatcher(room: Room, mocker: MockerFixture, step: str) -> None:
    mocker.patch.object(dispatch, "TICK_SECONDS", 0.05)
    real = getattr(operations, step)
    broken = mocker.patch.object(operations, step, side_effect=OperationalError("SELECT", {}, Exception("away")))
    room.dispatcher(last, lease=0.2)
    operation_id = room.queue()
    wait_until(lambda: broken.call_count >= 2, "it tried again")
    broken.side_effect = real
    wait_until(lambda: room.row(operation_id).status == State.RUNNING, "it works again")


def test_a_dispatcher_with_more_than_1024_open_files_hears_its_bell(room: Room, mocker: MockerFixture) -> None:
    mocker.patch.object(dispatch, "TICK_SECONDS", 60)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        made = room.dispatcher(succeed)
        room.ends(room.queue(), State.SUCCEEDED)
        room.ends(room.queue(), State.SUCCEEDED)
        made.stop()
    finally:
        for each in opened:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_dispatcher_that_cannot_begin_to_lead_tries_again(room: Room, mocker: MockerFixture) -> None:
    mocker.patch.object(dispatch, "TICK_SECONDS", 0.05)
    real, failures = Doorbell.open, iter([OSError(24, "Too many open files")] * 3)

    def opens(bell: Doorbell) -> int:
        for failure in failures:
            raise failure
        return real(bell)

    mocker.patch.object(Doorbell, "open", opens)
    room.dispatcher(succeed)
    room.ends(room.queue(), State.SUCCEEDED)


def test_work_at_the_start_is_done_once_before_any_operation_and_its_errors_hold_nobody_up(
    room: Room, mocker: MockerFixture
) -> None:
    mocker.patch.object(dispatch, "TICK_SECONDS", 0.05)
    done: list[int] = []

    def tidy() -> None:
        done.append(len(room.begun))
        assert db.session.get(Operation, operation_id) is not None

    def break_() -> None:
        raise RuntimeError("not today")

    operation_id = room.queue()
    real, failures = Dispatcher._serve, iter([OSError("once"), OSError("twice")])

    def serves(made: Dispatcher, worker: str, bell: int) -> None:
        for failure in failures:
            raise failure
        real(made, worker, bell)

    mocker.patch.object(Dispatcher, "_serve", serves)
    room.dispatcher(succeed, at_start=[break_, tidy])
    room.ends(operation_id, State.SUCCEEDED)
    assert done == [0]


def test_what_the_database_was_given_stands_in_no_error(room: Room) -> None:
    def break_(_operation_id: str, _context: Context) -> None:
        db.session.execute(text("SELECT nothing FROM nowhere WHERE a = :a"), {"a": "correct-horse-battery"})

    room.dispatcher(break_)
    operation = room.ends(room.queue(), State.FAILED)
    assert operation.error is not None
    assert "OperationalError" in operation.error
    assert "nowhere" not in operation.error
    assert "correct-horse" not in operation.error


def test_no_error_of_the_database_quotes_what_a_statement_was_given(room: Room) -> None:
    with context_of(room.app), pytest.raises(OperationalError) as found:
        db.session.execute(text("SELECT nothing FROM nowhere WHERE a = :a"), {"a": "correct-horse-battery"})
    assert "correct-horse" not in str(found.value)


def test_the_longest_name_of_a_worker_fits_wherever_it_stands() -> None:
    longest = f"{'h' * 64}:{2**22}:{2**63}"
    for column in (Operation.worker, StatusEvent.source):
        assert column.type.length >= len(longest)


LASTING = """
import sys
from pathlib import Path
from app import create_app
from app.lifecycle.dispatch import Dispatcher, Task
from app.settings import Settings

def run(operation_id, context):
    print(operation_id, flush=True)
    while True:
        context.pause(1)

data = Path(sys.argv[1])
app, tasks = create_app(Settings(data=data)), {"plan": Task(run, print)}
dispatcher = Dispatcher(app=app, tasks=tasks, data=data, slots=2, lease_seconds=300)
dispatcher.start()
dispatcher.stopping.wait()
"""


@pytest.fixture
def other_process(room: Room) -> Iterator[subprocess.Popen[str]]:
    """A dispatcher of another process on the same folder; its operations last, and it prints their ids."""
    with subprocess.Popen(
        [sys.executable, "-c", LASTING, str(room.data)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as other:
        yield other
        other.kill()


def test_kill_9_of_the_dispatchers_process_hands_its_work_over_at_once(
    room: Room, other_process: subprocess.Popen[str]
) -> None:
    operation_id = room.queue()
    assert other_process.stdout is not None
    assert any(line.strip() == operation_id for line in other_process.stdout)
    room.dispatcher(succeed)
    assert room.row(operation_id).worker != operations.worker_name()
    other_process.send_signal(signal.SIGKILL)
    other_process.wait(10)
    operation = room.ends(operation_id, State.SUCCEEDED)
    assert (operation.attempt, operation.worker) == (2, operations.worker_name())


def test_an_operation_that_is_none_is_an_error_of_the_program(room: Room) -> None:
    with context_of(room.app), pytest.raises(LookupError):
        operation_of("nothing")
