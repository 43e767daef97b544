"""One family of errors: problem+json for the API (RFC 9457), a page for a browser.

Every error that a person may see is a `Problem` with a message they can act on. It becomes an answer in one place:
`register_error_handlers`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, make_response, render_template, request
from werkzeug.exceptions import HTTPException

PROBLEM_TYPE = "https://mchub.invalid/problems/"
MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one field (`parameters.instances.mgmt.type`), and what would be right."""

    field: str
    message: str


class Problem(Exception):  # noqa: N818 - the name that RFC 9457 gives it
    """An error with an HTTP status, a type, and words for a person."""

    status = 500
    kind = "internal"
    title = "Something went wrong"

    def __init__(
        self,
        detail: str,
        errors: Sequence[FieldError] = (),
        extra: Mapping[str, Any] | None = None,
        kind: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)
        self.extra = dict(extra or {})
        self.kind = kind or self.kind

    def as_json(self) -> dict[str, Any]:
        """The members of the problem document; `errors` stands in every 4xx to a JSON object that is wrong."""
        document: dict[str, Any] = {
            "type": PROBLEM_TYPE + self.kind,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors or self.status == 422:
            document["errors"] = [{"field": error.field, "message": error.message} for error in self.errors]
        return document | self.extra


class BadRequest(Problem):
    """The request cannot be read."""

    status, kind, title = 400, "bad-request", "The request cannot be read"


class Forbidden(Problem):
    """The hub does not serve this caller."""

    status, kind, title = 403, "forbidden", "Refused"


class Unauthorized(Problem):
    """The start-up token is missing or wrong."""

    status, kind, title = 401, "unauthorized", "The start-up token is needed"


class NotFound(Problem):
    """There is no such thing, or not for this caller."""

    status, kind, title = 404, "not-found", "Not found"


class Conflict(Problem):
    """The request does not fit what is so at present."""

    status, kind, title = 409, "conflict", "Not possible at present"


class Invalid(Problem):
    """Input that is refused, with the fields named."""

    status, kind, title = 422, "invalid", "Some values are not right"


class UnsupportedMediaType(Problem):
    """A body that is not JSON by its own declaration."""

    status, kind, title = 415, "unsupported-media-type", "Only JSON is taken"


class CloudUnavailable(Problem):
    """The cloud refused or did not answer."""

    status, kind, title = 502, "cloud-unavailable", "The cloud did not answer"


class TooManyStreams(Problem):
    """More open streams than this process holds."""

    status, kind, title = 503, "too-many-streams", "Too many open log streams"


class FromHttp(Problem):
    """An HTTP error raised by the framework, in this family's form."""

    title = "Refused"

    def __init__(self, error: HTTPException) -> None:
        super().__init__(error.description or error.name)
        self.status = error.code or 500
        self.title = error.name
        self.kind = error.name.lower().replace(" ", "-")


def wants_json() -> bool:
    """Whether the caller is a program: all below /api, and whoever does not ask for HTML."""
    if request.path.startswith("/api"):
        return True
    return request.accept_mimetypes.best_match(["text/html", "application/json"]) != "text/html"


def answer(problem: Problem) -> Response:
    """The HTTP answer of a problem."""
    if wants_json():
        response = make_response(json.dumps(problem.as_json()), problem.status)
        response.mimetype = MEDIA_TYPE
    else:
        response = make_response(render_template("error.html", problem=problem), problem.status)
    if problem.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def register_error_handlers(app: Flask) -> None:
    """Make every error of the app an answer in one of the two forms."""
    app.register_error_handler(Problem, answer)
    app.register_error_handler(HTTPException, lambda error: _http_error(error))

    def unexpected(error: Exception) -> Response:
        app.logger.exception("unexpected error in %s %s", request.method, request.path)
        return answer(Problem("The hub met an error it did not expect; its log has the details."))

    app.register_error_handler(Exception, unexpected)


def _http_error(error: HTTPException) -> Response:
    if error.code is not None and error.code < 400:
        return make_response(error.get_response())
    response = answer(FromHttp(error))
    for name, value in error.get_response().headers.items():
        if name in ("Allow", "Retry-After"):
            response.headers[name] = value
    return response
