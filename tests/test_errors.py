"""One family of errors: problem+json for programs, a page for browsers; an unexpected one says nothing of itself."""

from __future__ import annotations

import pytest
from apiflask import APIFlask
from flask import redirect
from flask.testing import FlaskClient
from werkzeug.wrappers import Response

from app.errors import BadRequest, FieldError, Invalid, NotFound

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def failing(app: APIFlask) -> FlaskClient:
    """A client of an app with views that fail in every way."""

    def add(path: str, error: Exception) -> None:
        def view() -> str:
            raise error

        app.add_url_rule(path, path, app.doc(hide=True)(view))

    for root in ("/api", ""):
        add(f"{root}/unexpected", RuntimeError("the password is correct-horse-battery"))
        add(f"{root}/missing", NotFound("There is no <b>such</b> thing."))
        add(f"{root}/invalid", Invalid("Wrong.", [FieldError("a.b", "must be right")]))
    return app.test_client()


@pytest.mark.parametrize(("path", "status"), [("unexpected", 500), ("missing", 404), ("invalid", 422), ("none", 404)])
def test_programs_get_a_problem_and_browsers_a_page(failing: FlaskClient, path: str, status: int) -> None:
    problem = failing.get(f"/api/{path}", headers=HTML)
    assert (problem.status_code, problem.mimetype) == (status, "application/problem+json")
    assert problem.get_json().keys() >= {"type", "title", "status", "detail"}
    page = failing.get(f"/{path}", headers=HTML)
    assert (page.status_code, page.mimetype) == (status, "text/html")
    assert "<b>such" not in page.get_data(as_text=True)


def test_an_unexpected_error_is_in_the_log_and_not_in_the_answer(
    failing: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    for path in ("/api/unexpected", "/unexpected"):
        answer = failing.get(path, headers=HTML).get_data(as_text=True)
        assert "correct-horse" not in answer
        assert "RuntimeError" not in answer
        assert "Traceback" not in answer
    assert "unexpected error in GET /api/unexpected" in caplog.text


def test_errors_stand_in_every_422_and_nowhere_for_nothing() -> None:
    assert Invalid("x").as_json()["errors"] == []
    assert "errors" not in BadRequest("x").as_json()
    found = Invalid("x", [FieldError("a", "b")], extra={"more": 1}, kind="special").as_json()
    assert (found["errors"], found["more"]) == ([{"field": "a", "message": "b"}], 1)
    assert found["type"].endswith("/special")


def test_a_method_that_a_path_does_not_take_says_which_it_takes(failing: FlaskClient) -> None:
    answer = failing.patch("/api/clusters", json={})
    assert answer.status_code == 405
    assert {"GET", "POST"} <= set(answer.headers["Allow"].replace(" ", "").split(","))


def test_a_redirect_of_the_framework_is_no_error(app: APIFlask) -> None:
    @app.get("/away/")
    @app.doc(hide=True)
    def away() -> Response:
        return redirect("/")

    assert app.test_client().get("/away").status_code == 308
