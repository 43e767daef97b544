"""The log of an operation: by byte offset, or followed live; no byte lost or twice, no secret shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from pytest_mock import MockerFixture
from werkzeug.test import TestResponse

from app.clusters import logs
from app.clusters.folders import put_away
from app.clusters.models import Cluster
from app.db import now
from app.lifecycle.operations import Operation, State
from tests.clusters.rows import ends, keep_cluster, keep_operation, moves, write_log

SECRET = "correct-horse-battery"


@dataclass
class Log:
    """An operation of a cluster, and where its log is served."""

    client: FlaskClient
    cluster: Cluster
    operation: Operation
    streams: list[TestResponse] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"/api/clusters/{self.cluster.hostname}/operations/{self.operation.id}/log"

    def holds(self, content: bytes) -> None:
        """These bytes are in it now."""
        write_log(self.cluster, self.operation, content)

    def read(self, offset: int = 0) -> tuple[bytes, int, bool]:
        """The bytes from an offset, the log's size, and whether that is all of it."""
        answer = self.client.get(self.url, query_string={"offset": offset})
        assert answer.status_code == 200
        assert answer.mimetype == "text/plain"
        return answer.data, int(answer.headers["X-Log-Size"]), answer.headers["X-Log-Complete"] == "true"

    def stream(self, **headers: str) -> Iterator[bytes]:
        """The events of the live log."""
        answer = self.client.get(self.url, headers={"Accept": "text/event-stream", **headers}, buffered=False)
        assert answer.status_code == 200
        assert answer.mimetype == "text/event-stream"
        self.streams.append(answer)
        return iter(answer.iter_encoded())

    def followed(self, **headers: str) -> list[tuple[int, str]]:
        """All events of a log that ends, each with the offset after it."""
        return parsed(b"".join(self.stream(**headers)))


def parsed(content: bytes) -> list[tuple[int, str]]:
    """Events as a browser reads them (HTML, "Interpreting an event stream"): their id and data; `end` without data."""
    found = []
    for event in content.decode().replace("\r\n", "\n").replace("\r", "\n").split("\n\n"):
        fields = [line.partition(": ") for line in event.split("\n")]
        ids = [value for name, _, value in fields if name == "id"]
        if ids:
            ended = ("event", ": ", "end") in fields
            data = "\n".join(value for name, _, value in fields if name.startswith("data"))
            found.append((int(ids[0]), "<end>" if ended else data))
    return found


@pytest.fixture
def log(hub_client: FlaskClient, session: None) -> Iterator[Log]:
    """The log of an operation that runs."""
    cluster = keep_cluster(secrets={"guest_passwd": SECRET})
    found = Log(hub_client, cluster, keep_operation(cluster))
    yield found
    for stream in found.streams:
        stream.close()


def test_a_log_that_does_not_exist_yet_is_empty_and_not_complete(log: Log) -> None:
    assert log.read() == (b"", 0, False)


def test_an_unfinished_line_waits_until_the_operation_has_ended(log: Log) -> None:
    log.holds(b"one\ntwo")
    assert log.read() == (b"one\n", 4, False)
    assert log.read(4) == (b"", 4, False)
    ends(log.operation)
    assert log.read(4) == (b"two", 7, True)


def test_reading_on_gives_every_byte_once(log: Log) -> None:
    content = "".join(f"line {i} é\n" for i in range(200_000)).encode()
    log.holds(content)
    ends(log.operation)
    found, complete = b"", False
    while not complete:
        piece, size, complete = log.read(len(found))
        assert len(piece) <= logs.PIECE
        assert size == len(content)
        found += piece
    assert found == content


def test_an_offset_beyond_the_end_gives_nothing(log: Log) -> None:
    log.holds(b"one\n")
    assert log.read(10**30) == (b"", 4, False)


@pytest.mark.parametrize("offset", ["-1", "x", "", "1.5"])
def test_an_offset_that_is_none_is_refused(log: Log, offset: str) -> None:
    answer = log.client.get(log.url, query_string={"offset": offset})
    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["field"] == "offset"


def test_secrets_are_masked_byte_for_byte_at_any_offset(log: Log) -> None:
    log.holds(f"the password is {SECRET}!\nrandom_string.x: Created [id=s3cr3t-made-here]\n".encode())
    whole, size, _ = log.read()
    assert SECRET.encode() not in whole
    assert b"s3cr3t-made-here" not in whole
    assert b"*" * len(SECRET) + b"!" in whole
    for offset in range(size):
        assert log.read(offset)[0] == whole[offset:]


def test_a_log_of_another_cluster_is_not_found(log: Log) -> None:
    other = keep_cluster()
    assert log.client.get(log.url.replace(log.cluster.hostname, other.hostname)).status_code == 404
    assert log.client.get(log.url.replace(log.operation.id, "none")).status_code == 404


def test_a_stream_gives_every_line_and_ends(log: Log) -> None:
    log.holds(b"one\n\nthree\n")
    ends(log.operation)
    assert log.followed() == [(11, "one\n\nthree"), (11, "<end>")]


def test_a_stream_goes_on_after_what_the_browser_saw_last(log: Log) -> None:
    log.holds(b"one\ntwo\n")
    ends(log.operation)
    assert log.followed(**{"Last-Event-ID": "4"}) == [(8, "two"), (8, "<end>")]
    assert log.followed(**{"Last-Event-ID": "8"}) == [(8, "<end>")]


@pytest.mark.parametrize("last", ["x", "-1", "\xb2", "9" * 5000, "1.5"])
def test_a_last_event_that_is_no_offset_is_refused(log: Log, last: str) -> None:
    answer = log.client.get(log.url, headers={"Accept": "text/event-stream", "Last-Event-ID": last})
    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["field"] == "Last-Event-ID"


def test_a_stream_follows_what_is_written_meanwhile(log: Log, mocker: MockerFixture) -> None:
    mocker.patch.object(logs, "PAUSE_SECONDS", 0.01)
    mocker.patch.object(logs, "LOOK_SECONDS", 0.01)
    log.holds(b"one\n")
    events = log.stream()
    assert next(events).startswith(b"retry")
    assert parsed(next(events)) == [(4, "one")]
    log.holds(b"one\ntwo\nth")
    assert parsed(next(events)) == [(8, "two")]
    ends(log.operation)
    assert parsed(b"".join(events)) == [(10, "th"), (10, "<end>")]


def test_a_long_log_is_cut_between_lines(log: Log) -> None:
    lines = [f"{i} " + "é" * 500 for i in range(3000)]
    log.holds("\n".join(lines).encode() + b"\n")
    ends(log.operation)
    events = log.followed()[:-1]
    assert len(events) > 2
    assert "\n".join(data for _, data in events).split("\n") == lines


def test_a_carriage_return_does_not_break_an_event(log: Log) -> None:
    log.holds(b"10%\r20%\r\ndone\n")
    ends(log.operation)
    assert log.followed()[0] == (14, "10%\n20%\ndone")


def test_a_quiet_stream_says_that_it_lives(log: Log, mocker: MockerFixture) -> None:
    mocker.patch.object(logs, "KEEP_ALIVE_SECONDS", 0.01)
    mocker.patch.object(logs, "PAUSE_SECONDS", 0.01)
    events = log.stream()
    next(events)
    assert next(events).startswith(b":")


def test_the_last_lines_of_a_destroy_reach_those_who_follow_it(log: Log, mocker: MockerFixture) -> None:
    mocker.patch.object(logs, "PAUSE_SECONDS", 0.01)
    mocker.patch.object(logs, "LOOK_SECONDS", 0.01)
    log.holds(b"one\n")
    events = log.stream()
    next(events)
    assert parsed(next(events)) == [(4, "one")]
    log.holds(b"one\nDestroy complete!\n")
    ends(log.operation)
    moves(log.cluster, "destroyed", destroyed_at=now() - timedelta(seconds=1))
    put_away(log.cluster.hostname)
    assert parsed(b"".join(events)) == [(22, "Destroy complete!"), (22, "<end>")]


def open_slots(hub: APIFlask) -> int:
    """How many more streams the process would take."""
    return int(hub.extensions["log_streams"]._value)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_stream_that_is_left_early_gives_its_place_back(hub: APIFlask, log: Log, method: str) -> None:
    free = open_slots(hub)
    for read in (0, 1):
        answer = log.client.open(log.url, method=method, headers={"Accept": "text/event-stream"}, buffered=False)
        for _ in range(read if method == "GET" else 0):
            next(iter(answer.iter_encoded()))
        answer.close()
        assert open_slots(hub) == free


def test_more_streams_than_the_process_holds_are_refused(hub: APIFlask, log: Log) -> None:
    slots = hub.extensions["log_streams"]
    taken = open_slots(hub)
    for _ in range(taken):
        slots.acquire()
    try:
        answer = log.client.get(log.url, headers={"Accept": "text/event-stream"})
        assert answer.status_code == 503
        assert log.read() == (b"", 0, False)
    finally:
        slots.release(taken)


def test_the_history_lists_operations_newest_first(log: Log) -> None:
    ends(log.operation, State.FAILED)
    second = keep_operation(log.cluster, State.QUEUED)
    answer = log.client.get(f"/api/clusters/{log.cluster.hostname}/operations").get_json()
    assert [each["id"] for each in answer["items"]] == [second.id, log.operation.id]
    assert [each["state"] for each in answer["items"]] == ["queued", "failed"]
    one = log.client.get(f"/api/clusters/{log.cluster.hostname}/operations/{second.id}").get_json()
    assert one == answer["items"][0]
