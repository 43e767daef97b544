"""What calls take, described in the OpenAPI document: JSON bodies, read strictly with every field named; queries."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from flask import Flask, request
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from app.errors import BadRequest, FieldError, Invalid, UnsupportedMediaType

MAX_BYTES = 4 * 1024 * 1024
MAX_ERRORS = 100
MOST_DIGITS = 300
Body = TypeVar("Body", bound=BaseModel)
View = TypeVar("View", bound=Callable[..., Any])

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_BRACKET = re.compile(r"[\[\]{}]")
_CLOSES = {"]": "[", "}": "{"}
_WORDS = {
    "missing": "This field is required.",
    "extra_forbidden": "There is no such field.",
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "string_unicode": "is not valid Unicode text",
    "timezone_aware": "needs a time zone, such as 2026-11-23T18:00:00Z",
}


def read_body(model: type[Body]) -> Body:
    """The body of the present request as `model`.

    Raises:
        UnsupportedMediaType: it does not call itself JSON.
        BadRequest: it is no JSON.
        Invalid: it is JSON, but not right; every error names its field.
    """
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("Send the body as JSON, with “Content-Type: application/json”.")
    content = request.get_data(cache=False)
    try:
        found = json.loads(
            content.decode(), object_pairs_hook=_once, parse_constant=_no_number, parse_int=_whole_number
        )
    except ValueError as error:
        raise BadRequest(f"The body is not JSON: {error}.", kind="not-json") from error
    except RecursionError as error:
        if _is_closed(content.decode()):
            raise Invalid("The body is nested too deeply.", [FieldError("", "is nested too deeply")]) from error
        raise BadRequest("The body is not JSON: its brackets are not closed.", kind="not-json") from error
    if not isinstance(found, dict):
        raise Invalid("The body must be a JSON object.", [FieldError("", "must be an object")])
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        raise Invalid(
            "Some values are not right.", [_field_error(each) for each in error.errors(include_url=False)[:MAX_ERRORS]]
        ) from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of which no key stands twice: readers differ in which of the two they take (RFC 8259, 4)."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        raise Invalid("A key of the body stands twice.", [FieldError(twice, "stands there twice")])
    return found


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")


def _whole_number(digits: str) -> int:
    """A whole number; Python reads none of thousands of digits, and nothing here needs them."""
    if len(digits) > MOST_DIGITS:
        raise Invalid("A number of the body is too long.", [FieldError("", f"has a number of {len(digits)} digits")])
    return int(digits)


def _is_closed(text: str) -> bool:
    """Whether all brackets outside of strings are closed: as much as can be told of what no parser here survives."""
    still_open: list[str] = []
    for bracket in _BRACKET.findall(_STRING.sub("", text)):
        if bracket in _CLOSES.values():
            still_open.append(bracket)
        elif not still_open or still_open.pop() != _CLOSES[bracket]:
            return False
    return not still_open


def _field_error(error: ErrorDetails) -> FieldError:
    path = ".".join(str(part) for part in error["loc"] if part != "[key]")
    kind, message = error["type"], error["msg"]
    if kind == "value_error":
        message = message.removeprefix("Value error, ")
    elif kind in _WORDS:
        message = _WORDS[kind]
    elif kind == "json_invalid":
        message = "is not valid Unicode text" if "surrogate" in message or "hex" in message else "cannot be read"
    else:
        message = message.replace("Input should be", "must be").replace("Value should have", "must have")
        message = message.replace("String should", "must").replace("List should have", "must have")
    return FieldError(path, message)


def takes(model: type[BaseModel]) -> Callable[[View], View]:
    """Give a view the body of its request, checked, as `body`; the OpenAPI document shows the model."""

    def decorate(view: View) -> View:
        @wraps(view)
        def reading(*args: Any, **kwargs: Any) -> Any:
            return view(*args, body=read_body(model), **kwargs)

        reading.body_model = model  # type: ignore[attr-defined]
        return reading  # type: ignore[return-value]

    return decorate


def describe_bodies(app: Flask, document: dict[str, Any]) -> dict[str, Any]:
    """Add the request bodies of all views to an OpenAPI document."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for rule in app.url_map.iter_rules():
        model = getattr(app.view_functions[rule.endpoint], "body_model", None)
        path = document["paths"].get(openapi_path(rule.rule))
        if model is None or path is None:
            continue
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
        reference = {"$ref": f"#/components/schemas/{model.__name__}"}
        for method in rule.methods or ():
            if method.lower() in path:
                path[method.lower()]["requestBody"] = {
                    "required": True,
                    "content": {"application/json": {"schema": reference}},
                }
    return document


def reads(**query: str) -> Callable[[View], View]:
    """Say in the document what a view reads of the query: names, and what each is for."""

    def decorate(view: View) -> View:
        view.query = query  # type: ignore[attr-defined]
        return view

    return decorate


def describe_queries(app: Flask, document: dict[str, Any]) -> None:
    """Add what all views read of the query to an OpenAPI document."""
    for rule in app.url_map.iter_rules():
        query = getattr(app.view_functions[rule.endpoint], "query", {})
        path = document["paths"].get(openapi_path(rule.rule), {})
        for call in (path[method.lower()] for method in rule.methods or () if method.lower() in path):
            call.setdefault("parameters", []).extend(
                {"name": name, "in": "query", "description": words, "schema": {"type": "string"}}
                for name, words in query.items()
            )


def openapi_path(rule: str) -> str:
    """A route as OpenAPI writes it: `/clusters/{hostname}`."""
    parts = []
    for part in rule.split("/"):
        is_variable = part.startswith("<") and part.endswith(">")
        parts.append("{" + part[1:-1].rpartition(":")[2] + "}" if is_variable else part)
    return "/".join(parts)
