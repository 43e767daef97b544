"""Who asks while another asks waits for that answer, once; a cloud that is known to fail is waited for by nobody."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from app.cloud.flights import Flights
from app.cloud.resources import ResourceCache, Resources
from app.errors import CloudUnavailable
from tests.processes import wait_until

LONG = 20.0


def never() -> str:
    """A question that must not be asked."""
    raise AssertionError("asked again")


def away() -> str:
    """A cloud that fails at once."""
    raise CloudUnavailable("away", kind="cloud-unreachable")


class Slow:
    """A cloud that answers when it is told to, well or not."""

    def __init__(self) -> None:
        self.asked = 0
        self.begun = threading.Event()
        self._ends = threading.Event()
        self._error: CloudUnavailable | None = None

    def __call__(self) -> str:
        self.asked += 1
        self.begun.set()
        assert self._ends.wait(LONG)
        if self._error is not None:
            raise self._error
        return "late"

    def end(self, error: CloudUnavailable | None = None) -> None:
        """Answer."""
        self._error = error
        self._ends.set()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Browsers."""
    with ThreadPoolExecutor(16) as found:
        yield found


@pytest.fixture
def slow() -> Iterator[Slow]:
    """A slow cloud, which ends in any case."""
    found = Slow()
    yield found
    found.end()


def ask(
    pool: ThreadPoolExecutor, flights: Flights[str], question: Callable[[], str], wait: float = LONG
) -> Future[str]:
    """Somebody asks."""
    return pool.submit(flights.get, "key", question, wait_seconds=wait)


def under_way(pool: ThreadPoolExecutor, flights: Flights[str], slow: Slow) -> Future[str]:
    """Somebody asks the slow cloud and has no answer yet."""
    first = ask(pool, flights, slow)
    assert slow.begun.wait(LONG)
    return first


def test_all_who_wait_share_the_error_and_nobody_asks_again(pool: ThreadPoolExecutor, slow: Slow) -> None:
    flights = Flights[str](60)
    everybody = [under_way(pool, flights, slow), *(ask(pool, flights, slow) for _ in range(8))]
    wait_until(lambda: all(each.running() for each in everybody), "all ask")
    slow.end(CloudUnavailable("out of order"))
    for each in everybody:
        with pytest.raises(CloudUnavailable, match="out of order"):
            each.result(LONG)
    assert slow.asked == 1


def test_a_failure_is_told_for_a_while_and_then_the_cloud_is_asked_again() -> None:
    flights = Flights[str](60, failure_seconds=0.2)
    with pytest.raises(CloudUnavailable):
        flights.get("key", away, wait_seconds=LONG)
    failed = time.monotonic()
    with pytest.raises(CloudUnavailable, match="away") as again:
        flights.get("key", never, wait_seconds=LONG)
    assert again.value.kind == "cloud-unreachable"
    wait_until(lambda: time.monotonic() - failed > 0.2, "it is over")
    assert flights.get("key", lambda: "back", wait_seconds=LONG) == "back"
    assert flights.get("key", never, wait_seconds=LONG) == "back"


def test_while_a_failing_cloud_is_asked_anew_nobody_waits(pool: ThreadPoolExecutor, slow: Slow) -> None:
    flights = Flights[str](60, failure_seconds=0)
    with pytest.raises(CloudUnavailable):
        flights.get("key", away, wait_seconds=LONG)
    first = under_way(pool, flights, slow)
    for _ in range(3):
        with pytest.raises(CloudUnavailable, match="away"):
            flights.get("key", never, wait_seconds=LONG)
    slow.end()
    assert first.result(LONG) == "late"
    assert flights.get("key", never, wait_seconds=LONG) == "late"


def test_nobody_waits_longer_than_the_clouds_timeout_and_the_next_not_at_all(
    pool: ThreadPoolExecutor, slow: Slow
) -> None:
    flights = Flights[str](60)
    first = under_way(pool, flights, slow)
    with pytest.raises(CloudUnavailable, match="in time"):
        flights.get("key", never, wait_seconds=0.05)
    began = time.monotonic()
    with pytest.raises(CloudUnavailable, match="in time"):
        flights.get("key", never, wait_seconds=LONG)
    assert time.monotonic() - began < LONG / 2
    slow.end()
    assert first.result(LONG) == "late"
    assert flights.get("key", never, wait_seconds=LONG) == "late"


def test_what_was_asked_before_a_change_is_no_answer_after_it(pool: ThreadPoolExecutor, slow: Slow) -> None:
    flights = Flights[str](60)
    first = under_way(pool, flights, slow)
    assert flights.get("key", lambda: "after", wait_seconds=LONG, token="change") == "after"
    slow.end()
    assert first.result(LONG) == "late"
    assert flights.get("key", never, wait_seconds=LONG, token="change") == "after"


def test_an_error_of_the_program_is_told_and_not_kept() -> None:
    flights = Flights[str](60)
    with pytest.raises(AssertionError):
        flights.get("key", never, wait_seconds=LONG)
    assert flights.get("key", lambda: "well", wait_seconds=LONG) == "well"


def test_while_resources_are_asked_for_in_vain_the_last_ones_are_there_at_once(pool: ThreadPoolExecutor) -> None:
    cache, begun, goes_on = ResourceCache(ttl_seconds=0, failure_seconds=0), threading.Event(), threading.Event()

    def hangs() -> Resources:
        begun.set()
        assert goes_on.wait(LONG)
        raise CloudUnavailable("away")

    def fails() -> Resources:
        raise CloudUnavailable("away")

    cache.get("p", lambda: Resources(volume_types=("a",)))
    assert cache.get("p", fails).stale
    first = pool.submit(cache.get, "p", hangs)
    assert begun.wait(LONG)
    found = cache.get("p", hangs)
    assert (found.stale, found.volume_types, found.errors) == (True, ("a",), ("away",))
    goes_on.set()
    assert first.result(LONG).stale
