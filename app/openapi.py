"""The OpenAPI document at /api/openapi.json and its page at /api/docs; both come from the views and nothing else."""

from __future__ import annotations

from typing import Any

from apiflask import APIFlask
from flask import render_template

from app.bodies import describe_bodies


def init_openapi(app: APIFlask) -> None:
    """Describe bodies in the document, and serve a page that lists the calls."""
    app.config["AUTO_404_RESPONSE"] = False
    app.config["AUTO_VALIDATION_ERROR_RESPONSE"] = False

    @app.spec_processor
    def complete(document: dict[Any, Any] | str) -> dict[Any, Any] | str:
        return describe_bodies(app, document) if isinstance(document, dict) else document

    @app.get("/api/docs")
    @app.doc(hide=True)
    def api_docs() -> str:
        return render_template("api_docs.html", section="api", document=app.spec)

    @app.get("/healthz")
    @app.doc(hide=True)
    def health() -> dict[str, str]:
        return {"status": "ok"}
