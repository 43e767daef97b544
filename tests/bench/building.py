"""What the hub adds to Terraform: to a plan, to an apply, to the first byte of output, and to many plans at once."""

from __future__ import annotations

import http.client
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

from tests.bench.bare import bare_copy
from tests.bench.client import Client
from tests.bench.figures import Figure
from tests.bench.place import Place, fresh_name
from tests.bench.report import Chapter
from tests.clusters.test_line import body

DOMAIN = "sandbox.test"
AT_ONCE = 20


def plans(place: Place, pairs: int) -> Chapter:
    """From POST to `plan_ready`, beside bare init, plan and show of the same folder."""
    client = place.client()
    plan_once(client)  # warm: provider, caches, connection to the cloud
    hub_seconds, bare_seconds = [], []
    for number in range(pairs):
        hostname, seconds = _planned(client)
        hub_seconds.append(seconds)
        bare_seconds.append(bare_copy(place, hostname, f"plan{number}").plan())
        _discard(client, hostname)
    client.close()
    whole, init = median(sum(each.values()) for each in bare_seconds), median(each["init"] for each in bare_seconds)
    rest = median(each["plan"] + each["show"] for each in bare_seconds)
    through = median(hub_seconds)
    return Chapter(
        "Plan",
        "POST of the example cluster until its event `plan_ready`, polled at a browser's pace, beside bare "
        "`terraform init`, `plan -out` and `show -json` of the very main.tf.json and module that the hub wrote, with "
        f"the same arguments and environment; {pairs} pairs, warm.",
        [
            Figure("Plan: hub over bare", through / whole, at_most=1.05, original="1.055"),
            Figure("Plan: through the hub", through, "s"),
            Figure("Plan: bare init, plan and show", whole, "s"),
            Figure(
                "Plan: brought by the prepared init", init * 1000, "ms", note="bare `init`, which the hub need not run"
            ),
            Figure(
                "Plan: the hub's own",
                (through - rest) * 1000,
                "ms",
                original="69 ms",
                note="through the hub, less bare plan and show",
            ),
            Figure("Plan: hub over bare, both without init", through / rest),
        ],
    )


def applies(place: Place, pairs: int) -> Chapter:
    """From POST of the apply to its end, beside bare apply of an equal cluster's plan."""
    client = place.client()
    hub_seconds, bare_seconds = [], []
    for number in range(pairs):
        hostname, _ = _planned(client)
        name = hostname.partition(".")[0]
        bare = bare_copy(place, hostname, f"apply{number}", (name, f"{name}bare"))
        bare.plan()
        for turn in ("hub", "bare") if number % 2 == 0 else ("bare", "hub"):
            if turn == "hub":
                hub_seconds.append(_applied(client, hostname))
            else:
                bare_seconds.append(bare.apply())
    client.close()
    through, alone = median(hub_seconds), median(bare_seconds)
    return Chapter(
        "Apply",
        "POST of the apply until the event that leaves `build_running` (outputs read, the state kept and encrypted), "
        f"beside bare `terraform apply` of the plan of an equal cluster under another name; {pairs} pairs in turns.",
        [
            Figure("Apply: hub over bare", through / alone, at_most=1.05),
            Figure("Apply: through the hub", through, "s"),
            Figure("Apply: bare", alone, "s"),
            Figure("Apply: the hub's own", (through - alone) * 1000, "ms"),
        ],
    )


def first_output(place: Place, times: int) -> Chapter:
    """From the click to the first byte of Terraform in the browser's log stream; the first is the hub's very first."""
    client = place.client()
    seconds = []
    for _ in range(times + 1):
        began = time.monotonic()
        created = client.accepted("POST", "/api/clusters", body(fresh_name()))
        _first_event(place.hub.port, f"/api/clusters/{created['hostname']}/operations/{created['operation']['id']}/log")
        seconds.append(time.monotonic() - began)
        client.leaves(created["hostname"], "plan_running")
        _discard(client, created["hostname"])
    client.close()
    return Chapter(
        "First output",
        "POST of a new cluster until the first byte of Terraform's log arrives at the client's event stream.",
        [
            Figure("Click to first output", median(seconds[1:]), "s", at_most=1.0, note=f"median of {times}"),
            Figure("Click to first output: slowest", max(seconds[1:]), "s", at_most=1.0),
            Figure(
                "Click to first output: first since the hub's start",
                seconds[0],
                "s",
                at_most=1.0,
                note="signs in to the cloud, asks for all its resources and for Terraform's version",
            ),
        ],
    )


def many_creates(place: Place) -> Chapter:
    """20 POSTs at the same moment, on a hub that has no prepared init yet."""
    names = [fresh_name() for _ in range(AT_ONCE)]

    def create(name: str) -> dict[str, Any]:
        client = place.client()
        try:
            return client.accepted("POST", "/api/clusters", body(name))
        finally:
            client.close()

    began = time.time()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        created = list(pool.map(create, names))
    answered = time.time() - began
    client = place.client()
    ended = [client.leaves(each["hostname"], "plan_running") for each in created]
    seconds = max(at for _, at in ended) - began
    for each in created:
        _discard(client, each["hostname"])
    client.close()
    failed = sum(status != "plan_ready" for status, _ in ended)
    return Chapter(
        f"{AT_ONCE} creates at once",
        f"{AT_ONCE} clients POST a cluster each at the same moment to a hub that has prepared no init yet; "
        "4 operations run at once, the others wait.",
        [
            Figure(f"{AT_ONCE} creates: failed", failed, at_most=0, original="6 of 48"),
            Figure(f"{AT_ONCE} creates: all answered after", answered, "s"),
            Figure(f"{AT_ONCE} creates: all planned after", seconds, "s"),
            Figure(f"{AT_ONCE} creates: a plan every", seconds / AT_ONCE, "s"),
        ],
    )


def plan_once(client: Client) -> None:
    """A cluster that is planned and dropped again."""
    hostname, _ = _planned(client)
    _discard(client, hostname)


def _planned(client: Client) -> tuple[str, float]:
    """A new cluster's hostname, and the seconds from POST to `plan_ready`."""
    document = body(fresh_name())
    began = time.time()
    hostname = str(client.accepted("POST", "/api/clusters", document)["hostname"])
    status, at = client.leaves(hostname, "plan_running")
    assert status == "plan_ready", client.get(f"/api/clusters/{hostname}/status").json
    return hostname, at - began


def _applied(client: Client, hostname: str) -> float:
    """Seconds of an apply through the hub."""
    plan = client.get(f"/api/clusters/{hostname}/plan").json["id"]
    began = time.time()
    client.accepted("POST", f"/api/clusters/{hostname}/apply", {"plan": plan})
    status, at = client.leaves(hostname, "build_running")
    assert not status.endswith("_error"), client.get(f"/api/clusters/{hostname}/status").json
    return at - began


def _discard(client: Client, hostname: str) -> None:
    answer = client.ask("DELETE", f"/api/clusters/{hostname}?confirm={hostname}")
    assert answer.status == 204, answer.body


def _first_event(port: int, path: str) -> None:
    """Wait for the first line of the log that comes down the event stream."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path, headers={"Accept": "text/event-stream"})
    response = connection.getresponse()
    assert response.status == 200, response.read()
    while not (line := response.readline()).startswith(b"data:"):
        assert line, "the stream ended without a line"
    connection.close()
