"""The documentation made from the code is in step with it, and the API does what its document says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import schemathesis
from apiflask import APIFlask
from hypothesis import HealthCheck, given, settings
from schemathesis.core import NotSet
from werkzeug.test import TestResponse

from app import create_app
from app.bodies import openapi_path
from app.db import db
from app.errors import MEDIA_TYPE
from app.reference import openapi_document, settings_page
from app.serving import prepare
from app.settings import ROOT, Settings
from tests.clusters.rows import keep_cluster, keep_operation

DOCS = ROOT / "docs"
DOCUMENT = json.loads(openapi_document())


def test_the_openapi_document_is_in_step() -> None:
    assert (DOCS / "openapi.json").read_text() == openapi_document(), "run `make docs`"


def test_the_settings_page_is_in_step() -> None:
    assert (DOCS / "settings.md").read_text() == settings_page(), "run `make docs`"


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_says_what_it_is_for(name: str) -> None:
    assert len(Settings.model_fields[name].description or "") > 20
    assert f"`MCHUB_{name.upper()}`" in settings_page()


def test_the_documents_do_not_name_this_machine() -> None:
    for path in (DOCS / "openapi.json", DOCS / "settings.md"):
        text = path.read_text()
        assert str(Path.home()) not in text
        assert str(ROOT) not in text


def test_every_call_of_the_api_is_in_the_document(app: APIFlask) -> None:
    hidden = {"/api/docs", "/api/openapi.json"}
    calls = {
        (openapi_path(rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/api") and rule.rule not in hidden
    }
    assert calls == {
        (path, method)
        for path, item in DOCUMENT["paths"].items()
        for method in item
        if method in ("get", "post", "put", "patch", "delete")
    }


def test_every_call_of_the_specification_is_there() -> None:
    paths = set(DOCUMENT["paths"])
    for wanted in (
        *("", "/{hostname}", "/{hostname}/plan", "/{hostname}/apply", "/{hostname}/cancel", "/{hostname}/status"),
        *("/{hostname}/operations", "/{hostname}/operations/{operation_id}/log", "/{hostname}/nodes"),
        *("/{hostname}/nodes/{name}/console", "/{hostname}/secrets", "/{hostname}/state/versions"),
    ):
        assert f"/api/clusters{wanted}" in paths
    assert {"/api/available-resources", "/api/templates", "/api/templates/{name}"} <= paths


CALLS = [
    (path, method, call)
    for path, item in DOCUMENT["paths"].items()
    for method, call in item.items()
    if method in ("get", "post", "put", "patch", "delete")
]


@pytest.mark.parametrize(("path", "method", "call"), CALLS, ids=[f"{method} {path}" for path, method, _ in CALLS])
def test_every_call_says_what_it_does_and_how_it_refuses(path: str, method: str, call: dict[str, object]) -> None:
    assert call.get("summary")
    answers = call["responses"]
    assert isinstance(answers, dict)
    assert {"401", "403"} <= set(answers)
    assert any(code.startswith("2") for code in answers)
    if method in ("post", "put"):
        assert {"413", "415"} <= set(answers)
    for code, answer in answers.items():
        assert answer["description"]
        if code >= "400":
            assert list(answer["content"]) == [MEDIA_TYPE]


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/api/clusters", {"q", "status", "project", "sort", "page", "per_page"}),
        ("/api/clusters/{hostname}/operations", {"page", "per_page"}),
        ("/api/clusters/{hostname}/timeline", {"page", "per_page"}),
        ("/api/clusters/{hostname}/state/versions", {"page", "per_page"}),
        ("/api/clusters/{hostname}/operations/{operation_id}/log", {"offset"}),
        ("/api/clusters/{hostname}/nodes/{name}/console", {"lines"}),
        ("/api/available-resources", {"project", "hostname", "template"}),
    ],
)
def test_what_a_query_may_carry_is_in_the_document(path: str, names: set[str]) -> None:
    given = [each for each in DOCUMENT["paths"][path]["get"].get("parameters", []) if each["in"] == "query"]
    assert {each["name"] for each in given} == names
    assert not any(each.get("required") for each in given)


def test_a_delete_may_be_confirmed_in_its_query() -> None:
    given = DOCUMENT["paths"]["/api/clusters/{hostname}"]["delete"]["parameters"]
    assert "confirm" in {each["name"] for each in given}


def test_every_reference_of_the_document_leads_somewhere() -> None:
    for reference in set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(DOCUMENT))):
        found = DOCUMENT
        for step in reference.split("/"):
            found = found[step]
        assert found


def test_the_page_of_the_document_lists_every_call(app: APIFlask) -> None:
    page = app.test_client().get("/api/docs").get_data(as_text=True)
    for path in DOCUMENT["paths"]:
        assert path in page


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[APIFlask]:
    """A hub without a cloud that has a cluster."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Settings, "cloud_environment", {})
        found = Settings(data=tmp_path_factory.mktemp("hub") / "data")
        application = create_app(found)
        prepare(application, found)
    with application.app_context():
        keep_operation(keep_cluster("known"))
        db.session.remove()
    yield application
    with application.app_context():
        db.engine.dispose()


def asked(hub: APIFlask, path: str, method: str, case: schemathesis.Case) -> TestResponse:
    """The answer to a call that schemathesis made up; every second one is about the cluster that there is."""
    names = dict(case.path_parameters or {})
    if "hostname" in names and len(names["hostname"]) % 2:
        names["hostname"] = "known.sandbox.test"
    url = path.format(**{name: quote(str(value), safe="") for name, value in names.items()})
    query = {name: str(value) for name, value in (case.query or {}).items()}
    if isinstance(case.body, NotSet):
        return hub.test_client().open(url, method=method, query_string=query)
    return hub.test_client().open(url, method=method, query_string=query, json=case.body)


@pytest.mark.parametrize(("path", "method", "call"), CALLS, ids=[f"{method} {path}" for path, method, _ in CALLS])
def test_whatever_is_sent_the_answer_is_a_documented_one(
    known: APIFlask, path: str, method: str, call: dict[str, object]
) -> None:
    operation = schemathesis.openapi.from_dict(DOCUMENT)[path][method.upper()]
    documented = call["responses"]
    assert isinstance(documented, dict)

    @given(case=operation.as_strategy())
    @settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    def holds(case: schemathesis.Case) -> None:
        answer = asked(known, path, method, case)
        if answer.status_code in (308, 404, 405):  # a name that is none, or that holds a slash: another route
            return
        assert str(answer.status_code) in documented
        if answer.status_code >= 400:
            assert answer.mimetype == MEDIA_TYPE
        elif answer.status_code == 200 and not path.endswith(("/log", "/console")):
            assert answer.mimetype == "application/json"
            assert answer.get_json() is not None

    holds()
