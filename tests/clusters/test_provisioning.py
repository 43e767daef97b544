"""From the end of a build to success: probes note their answers, and the cluster moves on when all services answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from pytest_mock import MockerFixture

from app.clusters import probes
from app.clusters.equipment import equipment
from app.clusters.models import Cluster
from app.clusters.probes import Answer, Prober, note, public_address, targets_of
from app.db import db, now
from tests.clusters.rows import keep_cluster, moves, remove_all

LONG_AGO, JUST_NOW = timedelta(minutes=61), timedelta(seconds=0)


def answers(*oks: bool) -> list[Answer]:
    """What the services said."""
    words = {True: "200 after 0.1 s", False: "502 after 0.1 s"}
    return [Answer(name, f"https://{name}", ok, words[ok], now()) for name, ok in zip("ab", oks, strict=False)]


def provisioning(status: str = "provisioning_running", since: timedelta = timedelta(seconds=5), **more: Any) -> Cluster:
    """A cluster whose build has ended so long ago."""
    return keep_cluster(status=status, provisioning_since=now() - since, **more)


def status_of(cluster: Cluster) -> str:
    """The status that stands in the database now."""
    return db.session.get_one(Cluster, cluster.id, populate_existing=True).status


def shown(client: FlaskClient, cluster: Cluster) -> dict[str, Any]:
    """The status document."""
    found: dict[str, Any] = client.get(f"/api/clusters/{cluster.hostname}/status").get_json()
    return found


pytestmark = pytest.mark.usefixtures("session")


def test_when_all_answer_it_is_a_success(hub_client: FlaskClient) -> None:
    cluster = provisioning()
    note(cluster.id, answers(True, True))
    document = shown(hub_client, cluster)
    assert (document["status"], document["indicator"]) == ("provisioning_success", "idle")
    assert [probe["ok"] for probe in document["probes"]] == [True, True]


@pytest.mark.parametrize("oks", [(False, False), (True, False), (False, True), ()])
def test_as_long_as_one_is_silent_it_goes_on(hub_client: FlaskClient, oks: tuple[bool, ...]) -> None:
    cluster = provisioning()
    note(cluster.id, answers(*oks))
    document = shown(hub_client, cluster)
    assert (document["status"], document["indicator"]) == ("provisioning_running", "in_progress")
    assert [probe["ok"] for probe in document["probes"]] == list(oks)


def test_a_build_passes_through_provisioning_for_at_least_a_second() -> None:
    cluster = provisioning(since=JUST_NOW)
    note(cluster.id, answers(True, True))
    assert status_of(cluster) == "provisioning_running"


def test_after_the_templates_limit_it_is_an_error_that_names_the_silent(hub_client: FlaskClient) -> None:
    cluster = provisioning(since=LONG_AGO)
    note(cluster.id, answers(True, False))
    document = shown(hub_client, cluster)
    assert (document["status"], document["indicator"]) == ("provisioning_error", "error")
    assert document["detail"].startswith("No answer of b within 60 minutes")


def test_success_still_arrives_if_the_services_do() -> None:
    cluster = provisioning("provisioning_error", since=LONG_AGO)
    note(cluster.id, answers(False, True))
    assert status_of(cluster) == "provisioning_error"
    note(cluster.id, answers(True, True))
    assert status_of(cluster) == "provisioning_success"


def test_late_answers_at_the_limit_are_a_success_and_no_error() -> None:
    cluster = provisioning(since=LONG_AGO)
    note(cluster.id, answers(True, True))
    assert status_of(cluster) == "provisioning_success"


def test_while_a_plan_waits_the_answers_are_shown_and_nothing_moves(hub_client: FlaskClient) -> None:
    cluster = provisioning("plan_ready", since=LONG_AGO, status_before="provisioning_running")
    note(cluster.id, answers(True, True))
    assert shown(hub_client, cluster)["status"] == "plan_ready"
    assert [probe["ok"] for probe in shown(hub_client, cluster)["probes"]] == [True, True]


def test_when_the_plan_is_dropped_provisioning_ends_as_it_would_have() -> None:
    cluster = provisioning("plan_ready", status_before="provisioning_running")
    moves(cluster, "provisioning_running")
    note(cluster.id, answers(True, True))
    assert status_of(cluster) == "provisioning_success"


def test_probes_that_come_too_late_change_nothing(mocker: MockerFixture) -> None:
    cluster = provisioning()

    def overtaken(*_: object) -> None:
        raise probes.Conflict("somebody planned a change")

    mocker.patch.object(probes, "_judge", overtaken)
    note(cluster.id, answers(True, True))
    assert status_of(cluster) == "provisioning_running"


def test_the_public_address_is_the_login_nodes() -> None:
    cluster = provisioning()
    assert public_address(cluster) is None
    for outputs, address in [
        ({"public_ip": {}}, None),
        ({"public_ip": "text"}, None),
        ({"public_ip": {"proxy1": "192.0.2.9"}}, "192.0.2.9"),
        ({"public_ip": {"a1": "192.0.2.9", "login1": "192.0.2.1", "login2": "192.0.2.2"}}, "192.0.2.1"),
    ]:
        cluster.outputs = outputs
        assert public_address(cluster) == address
    db.session.rollback()


def test_what_is_asked_comes_from_the_template() -> None:
    cluster = provisioning(outputs={"public_ip": {"login1": "192.0.2.1"}})
    found = targets_of(cluster, equipment().template("sandbox"))
    assert [(each.name, each.address) for each in found] == [("jupyterhub", "192.0.2.1"), ("freeipa", "192.0.2.1")]
    assert found[0].url == f"https://jupyter.{cluster.hostname}:8443/hub/login"
    assert found[0].timeout_seconds <= equipment().settings.probe_timeout_seconds


@pytest.fixture
def asked(mocker: MockerFixture) -> list[list[str]]:
    """Names of the clusters that each round asks; all services are silent."""
    remove_all()
    rounds: list[list[str]] = []

    async def ask_all(targets: list[probes.Target]) -> list[Answer]:
        rounds.append(sorted({target.url.split("/")[2].split(".")[1] for target in targets}))
        return [Answer(target.name, target.url, False, "no answer", now()) for target in targets]

    mocker.patch.object(probes, "_ask_all", ask_all)
    return rounds


ASKED = {"provisioning_running", "provisioning_error"}
NOT_ASKED = {"created", "plan_running", "build_running", "provisioning_success", "destroy_running", "build_error"}


def test_a_round_asks_those_who_are_being_provisioned_and_no_others(asked: list[list[str]]) -> None:
    for status in ASKED | NOT_ASKED:
        provisioning(status, name=status.replace("_", "-"))
    provisioning("plan_ready", name="planned", status_before="provisioning_running")
    provisioning("plan_ready", name="planned-before-build", status_before="build_success")
    Prober().round()
    assert asked == [["planned", "provisioning-error", "provisioning-running"]]


def test_each_has_its_own_pace_slower_after_the_limit(asked: list[list[str]], mocker: MockerFixture) -> None:
    clock = mocker.patch.object(probes.time, "monotonic", return_value=1000.0)
    provisioning(name="first")
    provisioning("provisioning_error", since=LONG_AGO, name="late")
    prober = Prober()
    base = equipment().settings.probe_seconds
    both = ["first", "late"]
    for seconds, wanted in [(0, both), (0.1, None), (base * 1.3, ["first"]), (base * 7.3, both)]:
        asked.clear()
        clock.return_value = 1000.0 + seconds
        prober.round()
        assert asked == ([] if wanted is None else [wanted])


def test_a_cluster_of_a_template_that_is_gone_stops_nobody(asked: list[list[str]]) -> None:
    provisioning(name="orphan", template="gone")
    provisioning(name="other")
    Prober().round()
    assert asked == [["other"]]


def test_a_hub_without_clusters_asks_nothing(asked: list[list[str]], hub: APIFlask) -> None:
    Prober().round()
    assert asked == []
