"""The pages: HTML around what the API says. Thin: what moves is fetched by the browser."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from flask import Blueprint, Response, current_app, redirect, render_template, request, url_for
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

from app.accounts.service import DEFAULT_PROJECT, project_of
from app.clusters import queries, service

pages = Blueprint("clusters_pages", __name__)

PAGE_SIZE = 50
DEFAULT_TEMPLATE = "sandbox"


@cache
def _manifest(path: Path, changed_at: int) -> dict[str, str]:
    names: dict[str, str] = json.loads(path.read_text())
    return names


def _built() -> dict[str, str]:
    path = Path(current_app.static_folder or "") / "dist" / "manifest.json"
    try:
        return _manifest(path, path.stat().st_mtime_ns)
    except FileNotFoundError:
        return {}


@pages.app_template_global()
def asset(name: str) -> str:
    """The URL of a built file of `static/dist`, whose name carries the hash of its content."""
    return url_for("static", filename=f"dist/{_built().get(name, name)}")


@pages.app_template_global()
def assets_are_built() -> bool:
    """Whether `npm run build` has been run."""
    return bool(_built())


def _asks_for_what_is_built() -> bool:
    return request.endpoint == "static" and request.path.startswith("/static/dist/")


@pages.before_app_request
def serve_compressed() -> Response | None:
    """Of a built text, its gzip to whoever takes that; Flask says what it is, and what it is of, by its name."""
    if not _asks_for_what_is_built() or request.accept_encodings.quality("gzip") <= 0:
        return None
    try:
        return current_app.send_static_file(f"{(request.view_args or {})['filename']}.gz")
    except NotFound:
        return None


@pages.after_app_request
def keep_built_files(response: Response) -> Response:
    """Let browsers keep what is built: another content has another name."""
    if _asks_for_what_is_built() and response.status_code in (200, 206, 304):
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        response.vary.add("Accept-Encoding")
    return response


@pages.get("/")
def home() -> AnyResponse | str:
    """The list of clusters; while there is none, the way leads to the form (unless the list itself is asked for)."""
    page = max(1, request.args.get("page", 1, type=int))
    found = queries.list_clusters(queries.Listing(page=page, per_page=PAGE_SIZE))
    if found["total"] == 0 and "list" not in request.args:
        return redirect(url_for("clusters_pages.create_form"))
    return render_template(
        "clusters/list.html",
        section="clusters",
        clusters=found["items"],
        total=found["total"],
        page=page,
        has_more=found["next"] is not None,
    )


@pages.get("/create-cluster")
def create_form() -> str:
    """The form, filled by the browser with the template's default cluster."""
    return render_template(
        "clusters/form.html",
        section="create",
        hostname=None,
        project=request.args.get("project", DEFAULT_PROJECT),
        template_name=request.args.get("template", DEFAULT_TEMPLATE),
    )


@pages.get("/clusters/<hostname>")
def show(hostname: str) -> str:
    """A cluster's page."""
    cluster = service.get_cluster(hostname)
    return render_template("clusters/show.html", section="clusters", hostname=cluster.hostname)


@pages.get("/clusters/<hostname>/edit")
def edit_form(hostname: str) -> str:
    """The form, filled with a cluster's configuration."""
    cluster = service.get_cluster(hostname)
    return render_template(
        "clusters/form.html",
        section="clusters",
        hostname=cluster.hostname,
        project=project_of(cluster.project_id).name,
        template_name=cluster.template,
    )
