"""The `threads` dispatcher: a bounded pool inside the hub that runs operations and recovers those of dead workers.

One process per data folder dispatches, whichever holds `<data>/dispatcher.lock`; the others wait for the lock and take
over when it falls free. Whoever adds an operation rings the doorbell (`<data>/doorbell`, a FIFO), so that work starts
at once.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from app.db import db
from app.lifecycle import operations
from app.lifecycle.operations import Operation
from app.logs import get_logger

log = get_logger(__name__)
TICK_SECONDS = 1.0


class HubStopping(Exception):  # noqa: N818 - not an error: the hub ends and another will go on
    """The hub ends: leave the operation as it is, it will be adopted."""


@dataclass(frozen=True)
class Context:
    """What a task may ask of the worker that runs it."""

    worker: str
    stopping: threading.Event

    def pause(self, seconds: float) -> None:
        """Wait.

        Raises:
            HubStopping: the hub ends.
        """
        if self.stopping.wait(seconds):
            raise HubStopping


@dataclass(frozen=True)
class Task:
    """How a kind of operation is run. `run` is safe to run again; `fail` ends what `run` could not."""

    run: Callable[[str, Context], None]
    fail: Callable[[str, str, str], None]


@dataclass(frozen=True)
class Periodic:
    """Something done now and then beside the operations."""

    name: str
    seconds: float
    run: Callable[[], None]


@dataclass
class Doorbell:
    """Wakes the dispatcher, whichever process it is in.

    A ring that nobody hears is no loss: the dispatcher also looks by itself.
    """

    path: Path

    def ring(self) -> None:
        """Wake the dispatcher."""
        with contextlib.suppress(OSError):
            descriptor = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)
            try:
                os.write(descriptor, b"!")
            finally:
                os.close(descriptor)

    def open(self) -> int:
        """The descriptor to listen on."""
        with contextlib.suppress(FileExistsError):
            os.mkfifo(self.path, 0o600)
        return os.open(self.path, os.O_RDWR | os.O_NONBLOCK)


def _hear(bell: int, seconds: float) -> None:
    """Wait until the bell rings, at most so long. Not by select, which knows no descriptor from 1024 on."""
    ring = select.poll()
    ring.register(bell, select.POLLIN)
    ring.poll(seconds * 1000)
    with contextlib.suppress(BlockingIOError):
        os.read(bell, 4096)


@dataclass
class Dispatcher:
    """Runs at most `slots` operations at once. `at_start` is done once, before the first of them."""

    app: Flask
    tasks: Mapping[str, Task]
    data: Path
    slots: int
    lease_seconds: float
    periodic: Sequence[Periodic] = ()
    at_start: Sequence[Callable[[], None]] = ()
    stopping: threading.Event = field(default_factory=threading.Event)
    _active: set[str] = field(default_factory=set)
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)
    _has_led: bool = False

    def __post_init__(self) -> None:
        self.doorbell = Doorbell(self.data / "doorbell")

    def start(self) -> None:
        """Compete for the lock, and dispatch once it is ours, in a thread."""
        thread = threading.Thread(target=self._compete, name="dispatcher", daemon=True)
        self._threads.append(thread)
        thread.start()

    def stop(self, seconds: float = 5) -> None:
        """Ask all to end and wait for it."""
        self.stopping.set()
        self.doorbell.ring()
        deadline = time.monotonic() + seconds
        for thread in list(self._threads):
            thread.join(max(0.0, deadline - time.monotonic()))

    def _compete(self) -> None:
        with (self.data / "dispatcher.lock").open("a") as lock:
            while not self.stopping.is_set():
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    self.stopping.wait(0.25)
                    continue
                try:
                    self._lead()
                except Exception:
                    log.exception("dispatcher met an error while it led and begins again")
                    self.stopping.wait(TICK_SECONDS)

    def _lead(self) -> None:
        """Be the dispatcher until the hub ends.

        1. Take back at once what died with an earlier process of this machine.
        2. Do what is done at the start; start what is done now and then.
        3. Until the hub ends: renew leases, claim what is due, wait for the doorbell.
        4. Give back what still runs; the next dispatcher adopts it.
        """
        worker = operations.worker_name()
        bell = self.doorbell.open()
        try:
            self._adopt(worker)
            self._begin()
            self._serve(worker, bell)
        finally:
            os.close(bell)
        with self.app.app_context(), self._guard:
            operations.release(self._active, worker)

    def _serve(self, worker: str, bell: int) -> None:
        renewed = time.monotonic()
        with ThreadPoolExecutor(self.slots, "operation") as pool:
            while not self.stopping.is_set():
                try:
                    if time.monotonic() - renewed > self.lease_seconds / 4:
                        self._renew(worker)
                        renewed = time.monotonic()
                    self._claim_due(pool, worker)
                    _hear(bell, TICK_SECONDS)
                except Exception:
                    log.exception("dispatcher met an error and goes on")
                    self.stopping.wait(TICK_SECONDS)

    def _adopt(self, worker: str) -> None:
        while not self.stopping.is_set():
            try:
                with self.app.app_context():
                    gone = operations.abandon_workers_of_this_machine(worker)
            except Exception:
                log.exception("dispatcher met an error before its first round and tries again")
                self.stopping.wait(TICK_SECONDS)
            else:
                log.info("dispatcher leads", worker=worker, slots=self.slots, adopted=gone)
                return

    def _begin(self) -> None:
        """Once, however often this dispatcher begins to lead."""
        if self._has_led or self.stopping.is_set():
            return
        self._has_led = True
        for work in self.at_start:
            with self.app.app_context():
                try:
                    work()
                except Exception:
                    log.exception("work at the start met an error and is left out")
                    db.session.rollback()
        for each in self.periodic:
            thread = threading.Thread(target=self._repeat, args=(each,), name=each.name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _renew(self, worker: str) -> None:
        with self._guard:
            held = set(self._active)
        if held:
            with self.app.app_context():
                operations.renew(held, worker, self.lease_seconds)

    def _claim_due(self, pool: ThreadPoolExecutor, worker: str) -> None:
        with self._guard:
            held = set(self._active)
        if len(held) >= self.slots:
            return
        with self.app.app_context():
            for operation in operations.due(self.slots - len(held), list(self.tasks), held):
                if operations.claim(operation, worker, self.lease_seconds):
                    with self._guard:
                        self._active.add(operation.id)
                    pool.submit(self._work, operation.id, operation.kind, worker)

    def _work(self, operation_id: str, kind: str, worker: str) -> None:
        """Run one claimed operation to its end; an error of the task ends it as failed."""
        task = self.tasks[kind]
        with self.app.app_context():
            try:
                task.run(operation_id, Context(worker, self.stopping))
            except HubStopping:
                return
            except Exception as error:
                log.exception("operation failed", operation=operation_id, kind=kind)
                db.session.rollback()
                self._fail(task, operation_id, worker, error)
            finally:
                db.session.remove()
                if not self.stopping.is_set():
                    with self._guard:
                        self._active.discard(operation_id)
                    self.doorbell.ring()

    def _fail(self, task: Task, operation_id: str, worker: str, error: Exception) -> None:
        try:
            task.fail(operation_id, f"The hub met an error it did not expect: {_in_words(error)}", worker)
        except Exception:
            # The lease runs out and the operation is tried again.
            log.exception("operation could not be ended", operation=operation_id)
            db.session.rollback()

    def _repeat(self, periodic: Periodic) -> None:
        while not self.stopping.wait(periodic.seconds):
            with self.app.app_context():
                try:
                    periodic.run()
                except Exception:
                    log.exception("periodic work met an error and goes on", name=periodic.name)
                    db.session.rollback()


def _in_words(error: Exception) -> str:
    """What a person may read of it: an error of the database quotes statements and what they were given."""
    if isinstance(error, SQLAlchemyError):
        return f"{type(error).__name__}, of its database; the hub's log has the details."
    return f"{type(error).__name__}: {error}"


def operation_of(operation_id: str) -> Operation:
    """The row of an operation, as it stands now."""
    operation = db.session.get(Operation, operation_id, populate_existing=True)
    if operation is None:
        raise LookupError(f"no operation {operation_id}")
    return operation
