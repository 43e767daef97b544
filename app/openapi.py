"""The OpenAPI document at /api/openapi.json and its page at /api/docs; both come from the views and nothing else."""

from __future__ import annotations

from typing import Any

from apiflask import APIFlask
from flask import render_template

from app.bodies import describe_bodies, describe_queries
from app.errors import MEDIA_TYPE

Document = dict[Any, Any]
METHODS = ("get", "post", "put", "patch", "delete")
PROBLEM: Document = {
    "title": "Problem",
    "description": "RFC 9457. `errors` names each field that is wrong.",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
    "additionalProperties": True,
}
EVERYWHERE = {"401": "The start-up token is needed.", "403": "The Host or Origin is not this hub's."}
READING_A_BODY = {"400": "The body is not JSON."}
TAKING_A_BODY = {
    "413": "The body has more than 4 MiB.",
    "415": "The body does not call itself JSON.",
}


def _problems(document: Document) -> None:
    """Every refusal is a problem document, and some refusals can meet any call."""
    document.setdefault("components", {}).setdefault("schemas", {})["Problem"] = PROBLEM
    document["components"]["schemas"].pop("HTTPError", None)
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for path in document["paths"].values():
        for method, call in ((method, path[method]) for method in METHODS if method in path):
            answers = call["responses"]
            more = TAKING_A_BODY if method in ("post", "put", "patch") else {}
            more = {**more, **(READING_A_BODY if "requestBody" in call else {})}
            for code, words in {**EVERYWHERE, **more}.items():
                answers.setdefault(code, {"description": words})
            for code, answer in answers.items():
                if code >= "400":
                    answer["content"] = content


def init_openapi(app: APIFlask) -> None:
    """Complete the document with bodies and refusals, and serve a page that lists the calls."""
    app.config["AUTO_404_RESPONSE"] = False
    app.config["AUTO_VALIDATION_ERROR_RESPONSE"] = False

    @app.spec_processor
    def complete(document: Document | str) -> Document | str:
        if isinstance(document, dict):
            describe_bodies(app, document)
            describe_queries(app, document)
            _problems(document)
        return document

    @app.get("/api/docs")
    @app.doc(hide=True)
    def api_docs() -> str:
        return render_template("api_docs.html", section="api", document=app.spec)

    @app.get("/healthz")
    @app.doc(hide=True)
    def health() -> dict[str, str]:
        return {"status": "ok"}
