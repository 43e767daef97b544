"""The pages as the server gives them: where they lead, what they may load, what they say when something is wrong."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from app.settings import ROOT

HTML = {"Accept": "text/html", "Host": "localhost"}
PAGES = ["/?list", "/create-cluster", "/api/docs", "/clusters/nobody.sandbox.test"]


@pytest.fixture
def built(app: APIFlask, tmp_path: Path) -> Path:
    """A front end that was built: one style sheet under a fingerprinted name."""
    dist = tmp_path / "static" / "dist"
    dist.mkdir(parents=True)
    (dist / "manifest.json").write_text(json.dumps({"app.css": "app-0A1B2C3D.css"}))
    (dist / "app-0A1B2C3D.css").write_text("body { margin: 0; }")
    app.static_folder = str(dist.parent)
    return dist


def test_the_empty_hub_leads_to_the_form(client: FlaskClient) -> None:
    answer = client.get("/", headers=HTML)
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/create-cluster"


def test_the_list_itself_can_be_asked_for_while_it_is_empty(client: FlaskClient) -> None:
    answer = client.get("/?list", headers=HTML)
    assert answer.status_code == 200
    assert "No cluster yet" in answer.text


@pytest.mark.parametrize("path", PAGES)
def test_no_page_has_script_or_style_inline(client: FlaskClient, path: str) -> None:
    text = client.get(path, headers=HTML).text
    scripts = [tag for tag in re.findall(r"<script\b[^>]*>", text) if "application/json" not in tag]
    assert scripts
    assert all("src=" in tag for tag in scripts)
    assert not re.search(r"<style\b|\sstyle=|\son\w+=|javascript:", text)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_forbids_what_it_does_not_bring_along(client: FlaskClient, path: str) -> None:
    policy = client.get(path, headers=HTML).headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("path", ["/clusters/nobody.sandbox.test", "/clusters/nobody.sandbox.test/edit", "/nowhere"])
def test_what_is_not_there_is_said_on_a_page(client: FlaskClient, path: str) -> None:
    answer = client.get(path, headers=HTML)
    assert answer.status_code == 404
    assert answer.mimetype == "text/html"
    assert "<h1" in answer.text


def test_what_a_person_typed_into_the_address_is_shown_as_text(client: FlaskClient) -> None:
    answer = client.get("/clusters/%3Cimg%20src=x%20onerror=alert(1)%3E", headers=HTML)
    assert "<img" not in answer.text


def test_a_built_file_is_named_after_its_content_and_kept_by_browsers(client: FlaskClient, built: Path) -> None:
    page = client.get("/create-cluster", headers=HTML).text
    assert 'href="/static/dist/app-0A1B2C3D.css"' in page
    assert "are not built" not in page
    with client.get("/static/dist/app-0A1B2C3D.css", headers=HTML) as sheet:
        assert "immutable" in sheet.headers["Cache-Control"]
    assert "immutable" not in client.get("/create-cluster", headers=HTML).headers["Cache-Control"]


GZIP = {**HTML, "Accept-Encoding": "gzip, deflate, br"}


def test_a_built_file_is_sent_compressed_to_whoever_takes_that(client: FlaskClient, built: Path) -> None:
    content = (built / "app-0A1B2C3D.css").read_bytes()
    (built / "app-0A1B2C3D.css.gz").write_bytes(gzip.compress(content))
    with client.get("/static/dist/app-0A1B2C3D.css", headers=GZIP) as packed:
        assert gzip.decompress(packed.data) == content
        assert (packed.headers["Content-Encoding"], packed.mimetype) == ("gzip", "text/css")
        assert "Accept-Encoding" in packed.headers["Vary"]
        assert "immutable" in packed.headers["Cache-Control"]
        assert packed.headers["X-Content-Type-Options"] == "nosniff"
        tag = packed.headers["ETag"]
    with client.get("/static/dist/app-0A1B2C3D.css", headers={**GZIP, "If-None-Match": tag}) as again:
        assert again.status_code == 304


@pytest.mark.parametrize("encodings", ["", "identity", "br", "gzip;q=0", "identity, gzip;q=0.0"])
def test_to_anybody_else_it_is_sent_as_it_is(client: FlaskClient, built: Path, encodings: str) -> None:
    content = (built / "app-0A1B2C3D.css").read_bytes()
    (built / "app-0A1B2C3D.css.gz").write_bytes(gzip.compress(content))
    with client.get("/static/dist/app-0A1B2C3D.css", headers={**HTML, "Accept-Encoding": encodings}) as plain:
        assert plain.data == content
        assert "Content-Encoding" not in plain.headers
        assert "Accept-Encoding" in plain.headers["Vary"]  # a cache must not give it to all


def test_what_has_no_compressed_form_is_sent_as_it_is(client: FlaskClient, built: Path) -> None:
    with client.get("/static/dist/app-0A1B2C3D.css", headers=GZIP) as plain:
        assert plain.data == (built / "app-0A1B2C3D.css").read_bytes()
    assert client.get("/static/dist/none.css", headers=GZIP).status_code == 404
    assert client.get("/static/dist/%2e%2e/%2e%2e/app/settings.py", headers=GZIP).status_code == 404


def test_a_new_build_is_seen_without_a_restart(client: FlaskClient, built: Path) -> None:
    client.get("/create-cluster", headers=HTML)
    (built / "manifest.json").write_text(json.dumps({"app.css": "app-11111111-later.css"}))
    assert "app-11111111-later.css" in client.get("/create-cluster", headers=HTML).text


def test_a_page_without_its_scripts_says_how_to_build_them(client: FlaskClient, app: APIFlask, tmp_path: Path) -> None:
    app.static_folder = str(tmp_path)
    assert "npm run build" in client.get("/create-cluster", headers=HTML).text


def test_the_lock_file_names_no_download_address() -> None:
    assert "resolved" not in (ROOT / "package-lock.json").read_text()
