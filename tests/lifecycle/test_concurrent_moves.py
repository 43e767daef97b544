"""Status under many writers: one winner a move, an unbroken chain of events, nothing lost."""

from __future__ import annotations

from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from app.clusters.models import Cluster
from app.clusters.statuses import Status
from app.db import db
from app.errors import Conflict
from app.lifecycle.status import HasStatus, StatusMove, transition
from tests.lifecycle.at_once import at_once
from tests.lifecycle.conftest import context_of
from tests.lifecycle.rows import cluster_in, events_of
from tests.lifecycle.test_status_tables import CLUSTER_MOVES, expected

SHARED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
statuses = st.sampled_from(list(CLUSTER_MOVES))


def move(cluster_id: str, to: str) -> bool:
    """One writer: reads the row, moves it, commits. Whether it was this one that moved it."""
    cluster = db.session.get_one(Cluster, cluster_id)
    try:
        event = transition(cluster, to, source="writer")
        db.session.commit()
    except Conflict:
        db.session.rollback()
        return False
    return event is not None


def assert_chained(subject: HasStatus, start: str) -> int:
    """Each event begins where the one before it ended; the last one is the present status. How many there are."""
    status = start
    events = events_of(subject)
    for event in events:
        assert event.from_status == status
        assert expected(CLUSTER_MOVES, status, event.to_status, subject.status_before)
        status = event.to_status
    assert subject.status == status
    return len(events)


@given(start=statuses, to=statuses, writers=st.integers(2, 6))
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=SHARED)
def test_exactly_one_of_many_writers_makes_a_move(hub: Flask, start: str, to: str, writers: int) -> None:
    with context_of(hub):
        cluster = cluster_in(start)
    won = at_once(hub, lambda _: move(cluster.id, to), range(writers))
    with context_of(hub):
        found = db.session.get_one(Cluster, cluster.id)
        allowed = expected(CLUSTER_MOVES, start, to) and start != to
        assert sum(won) == assert_chained(found, start) == (1 if allowed else 0)


@given(paths=st.lists(st.lists(statuses, min_size=1, max_size=6), min_size=2, max_size=5))
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=SHARED)
def test_whatever_many_writers_try_the_events_form_one_chain(hub: Flask, paths: list[list[str]]) -> None:
    with context_of(hub):
        cluster = cluster_in("plan_ready", "provisioning_success")
    won = at_once(hub, lambda path: sum(move(cluster.id, to) for to in path), paths)
    with context_of(hub):
        assert sum(won) == assert_chained(db.session.get_one(Cluster, cluster.id), "plan_ready")


class ClusterWithTwoReaders(RuleBasedStateMachine):
    """Two sessions hold the same cluster; each moves it from what it last read. A model says who may win."""

    app: Flask

    def __init__(self) -> None:
        super().__init__()
        self.context = context_of(self.app)
        self.context.__enter__()
        self.cluster_id = cluster_in("created", "build_success").id
        db.session.remove()
        self.status = "created"
        self.read = {"a": "created", "b": "created"}
        self.moves = 0

    def teardown(self) -> None:
        self.context.__exit__(None, None, None)

    @rule(reader=st.sampled_from("ab"))
    def look(self, reader: str) -> None:
        self.read[reader] = self.status

    @rule(reader=st.sampled_from("ab"), to=statuses, commits=st.booleans())
    def try_to_move(self, reader: str, to: str, commits: bool) -> None:
        known = self.read[reader]
        cluster = db.session.get_one(Cluster, self.cluster_id, populate_existing=True)
        cluster.__dict__["status"] = known  # what this reader saw
        allowed = expected(CLUSTER_MOVES, known, to, "build_success")
        try:
            event = transition(cluster, to, source=reader)
        except StatusMove:
            assert not allowed or known != self.status
            assert to != known
            db.session.rollback()
        else:
            assert (event is None) == (to == known)
            if event is not None and commits:
                assert allowed
                assert known == self.status
                self.status = self.read[reader] = to
                self.moves += 1
                db.session.commit()
        db.session.rollback()
        db.session.remove()

    @precondition(lambda self: self.moves)
    @invariant()
    def the_row_and_its_events_agree(self) -> None:
        cluster = db.session.get_one(Cluster, self.cluster_id, populate_existing=True)
        assert cluster.status == self.status
        assert assert_chained(cluster, Status.CREATED) == self.moves


def test_two_readers_never_both_win(hub: Flask) -> None:
    ClusterWithTwoReaders.app = hub
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        ClusterWithTwoReaders,
        settings=settings(max_examples=20, stateful_step_count=20, deadline=None, derandomize=True),
    )
