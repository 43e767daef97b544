"""Who may reach the hub before there are accounts (spec/clusters.md, last section)."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import pytest
from apiflask import APIFlask
from flask import Response
from flask.testing import FlaskClient
from pydantic import SecretStr

from app import create_app
from app.accounts.perimeter import start_up_token
from app.bodies import MAX_BYTES
from app.serving import prepare
from app.serving import url as printed_url
from app.settings import Settings
from tests.conftest import PUBLIC_KEY

TOKEN = "a-token-that-only-a-test-knows"


def app_bound_to(address: str, folder: Path, **more: object) -> APIFlask:
    """The app of a hub that listens there."""
    settings = Settings(data=folder / "data", bind=address, **more)  # type: ignore[arg-type]
    application = create_app(settings)
    application.testing = True
    prepare(application, settings)
    return application


@pytest.fixture
def open_client(tmp_path: Path) -> FlaskClient:
    """A client of a hub that others can reach; it asks for the token."""
    return app_bound_to("0.0.0.0", tmp_path, token=SecretStr(TOKEN)).test_client()


def code(client: FlaskClient, method: str = "GET", path: str = "/api/clusters", **given: object) -> int:
    """The status of one answer."""
    return client.open(path, method=method, **given).status_code  # type: ignore[arg-type]


HOSTS = [
    "localhost",
    "LOCALHOST",
    "localhost:5000",
    "localhost:1",
    "127.0.0.1",
    "127.0.0.1:5000",
    "[::1]",
    "[::1]:5000",
]
FOREIGN = [
    *("evil.example", "evil.example:5000", "localhost.evil.example", "127.0.0.1.nip.io", "localhost@evil.example"),
    *("[::2]", "127.0.0.2", "10.0.0.1", "0.0.0.0", "localhost:5000.evil.example", "[::1", "::1", "", " ", "a b", "é"),
    *("2130706433", "0x7f.1", "localhost\t.evil.example", "localhost,evil.example", "localhost/evil"),
]


@pytest.mark.parametrize("host", HOSTS)
def test_the_hubs_own_names_are_served(client: FlaskClient, host: str) -> None:
    assert code(client, headers={"Host": host}) == 200


@pytest.mark.parametrize("host", FOREIGN)
@pytest.mark.parametrize("path", ["/", "/api/clusters", "/static/nothing", "/healthz"])
def test_any_other_name_is_refused_for_it_may_be_rebound(client: FlaskClient, host: str, path: str) -> None:
    assert code(client, path=path, headers={"Host": host}) in (400, 403)


def test_a_name_of_the_settings_is_served(tmp_path: Path) -> None:
    client = app_bound_to("127.0.0.1", tmp_path, hosts="Hub.example, other.example").test_client()
    assert code(client, headers={"Host": "hub.example:5000"}) == 200
    assert code(client, headers={"Host": "other.example"}) == 200
    assert code(client, headers={"Host": "third.example"}) == 403


@pytest.mark.parametrize("address", ["127.0.0.5", "::1", "127.0.0.1", "localhost"])
def test_a_hub_answers_to_the_address_it_listens_on(tmp_path: Path, address: str) -> None:
    client = app_bound_to(address, tmp_path).test_client()
    assert code(client, headers={"Host": f"[{address}]:5000" if ":" in address else f"{address}:5000"}) == 200


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("127.0.0.1", "http://localhost:5000/"),
        ("localhost", "http://localhost:5000/"),
        ("::1", "http://localhost:5000/"),
        ("127.0.0.5", "http://127.0.0.5:5000/"),
        ("0.0.0.0", "http://localhost:5000/?token=t"),
        ("::", "http://localhost:5000/?token=t"),
        ("192.0.2.7", "http://192.0.2.7:5000/?token=t"),
        ("2001:db8::7", "http://[2001:db8::7]:5000/?token=t"),
        ("hub.example", "http://hub.example:5000/?token=t"),
    ],
)
def test_the_address_that_is_printed_can_be_opened(tmp_path: Path, address: str, url: str) -> None:
    settings = Settings(data=tmp_path / "data", bind=address, token=SecretStr("t"))
    assert printed_url(create_app(settings), settings) == url


@pytest.mark.parametrize("host", ["192.0.2.7:5000", "[2001:db8::7]:5000", platform.node()])
def test_a_hub_that_others_reach_answers_to_any_address_and_its_own_name(open_client: FlaskClient, host: str) -> None:
    assert code(open_client, headers={"Host": host, "Authorization": f"Bearer {TOKEN}"}) == 200


def test_a_hub_that_others_reach_refuses_a_rebound_name_even_with_the_token(open_client: FlaskClient) -> None:
    given = {"Host": "evil.example", "Authorization": f"Bearer {TOKEN}"}
    assert code(open_client, headers=given) == 403


OTHERS = [
    *("http://evil.example", "https://localhost", "http://localhost:9999", "http://127.0.0.1", "null", ""),
    *("http://localhost.evil.example", "file://", "http://localhost@evil.example", "http://[::1]"),
]


@pytest.mark.parametrize("origin", OTHERS)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_a_page_of_another_origin_is_refused(client: FlaskClient, origin: str, method: str) -> None:
    assert code(client, method, headers={"Origin": origin}, json={} if method in ("POST", "PUT") else None) == 403


def test_the_hubs_own_pages_are_served(client: FlaskClient) -> None:
    given = {"Host": "localhost:5000", "Origin": "http://localhost:5000", "Sec-Fetch-Site": "same-origin"}
    assert code(client, "POST", json={}, headers=given) == 422


def test_what_a_browser_calls_cross_site_may_look_but_not_change(client: FlaskClient) -> None:
    crossing = {"Sec-Fetch-Site": "cross-site"}
    assert code(client, path="/create-cluster", headers=crossing) == 200  # a link from elsewhere
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert code(client, method, headers=crossing) == 403


FORMS = ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x", "application/xml", ""]


@pytest.mark.parametrize("media_type", FORMS)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/clusters"),
        ("PUT", "/api/clusters/a.b"),
        ("POST", "/api/clusters/a.b/apply"),
        ("POST", "/api/clusters/a.b/cancel"),
        ("POST", "/api/clusters/a.b/retry"),
    ],
)
def test_the_api_takes_only_json(client: FlaskClient, method: str, path: str, media_type: str) -> None:
    answer = client.open(path, method=method, data=b'{"plan": "x"}', content_type=media_type or None)
    assert answer.status_code == 415
    assert answer.mimetype == "application/problem+json"
    assert answer.json is not None
    assert answer.json["type"].endswith("unsupported-media-type")


@pytest.mark.parametrize("media_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_json_by_any_spelling_is_json(client: FlaskClient, media_type: str) -> None:
    assert code(client, "POST", data=b"{}", content_type=media_type) == 422


def filled(size: int) -> bytes:
    """A JSON object of exactly so many bytes."""
    frame = len(json.dumps({"template": ""}))
    return json.dumps({"template": "x" * (size - frame)}).encode()


def test_a_body_of_four_mebibytes_is_read_and_one_byte_more_is_413(client: FlaskClient) -> None:
    assert code(client, "POST", data=filled(MAX_BYTES), content_type="application/json") == 422
    answer = client.post("/api/clusters", data=filled(MAX_BYTES + 1), content_type="application/json")
    assert answer.status_code == 413
    assert answer.mimetype == "application/problem+json"


def test_loopback_asks_for_no_token(client: FlaskClient, settings: Settings) -> None:
    assert start_up_token(settings) is None
    assert code(client) == 200


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_every_loopback_address_is_one(tmp_path: Path, address: str) -> None:
    assert start_up_token(Settings(data=tmp_path, bind=address)) is None


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.7", "hub.example", "128.0.0.1"])
def test_any_other_address_has_a_token_that_outlives_a_restart(tmp_path: Path, address: str) -> None:
    first = start_up_token(Settings(data=tmp_path / "a", bind=address))
    assert first is not None
    assert len(first) >= 40
    assert start_up_token(Settings(data=tmp_path / "a", bind=address)) == first
    assert start_up_token(Settings(data=tmp_path / "b", bind=address)) != first


def test_without_the_token_there_is_401_and_how_to_get_in(open_client: FlaskClient) -> None:
    answer = open_client.get("/api/clusters")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json is not None
    assert "Bearer" in answer.json["detail"]
    page = open_client.get("/", headers={"Accept": "text/html"})
    assert page.status_code == 401
    assert page.mimetype == "text/html"


WRONG = ["", "x", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "é", "\x00"]


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_token_opens_nothing(open_client: FlaskClient, wrong: str) -> None:
    assert open_client.get("/", query_string={"token": wrong}).status_code == 401
    if wrong.isascii() and wrong.isprintable():
        assert code(open_client, headers={"Authorization": f"Bearer {wrong}"}) == 401
        open_client.set_cookie("mchub_token_5000", wrong)
        assert code(open_client) == 401


def test_the_token_is_a_bearer_token_for_programs(open_client: FlaskClient) -> None:
    for given in (f"Bearer {TOKEN}", f"bearer  {TOKEN}"):
        assert code(open_client, headers={"Authorization": given}) == 200
    for given in (TOKEN, f"Basic {TOKEN}", "Bearer", "Bearer "):
        assert code(open_client, headers={"Authorization": given}) == 401


def test_the_token_in_the_url_becomes_a_cookie_and_leaves_the_address_bar(open_client: FlaskClient) -> None:
    answer = open_client.get("/create-cluster", query_string={"template": "a b&c", "token": TOKEN})
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/create-cluster?template=a+b%26c"
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie  # a link in a chat leads in
    assert cookie.startswith("mchub_token_5000=")  # another hub of this machine has another
    assert open_client.get("/create-cluster").status_code == 200


def test_a_token_in_the_url_changes_nothing(open_client: FlaskClient) -> None:
    assert code(open_client, "POST", path=f"/api/clusters?token={TOKEN}", json={}) == 401


REDIRECTS = {
    "//evil.example": "/evil.example",
    "///evil.example/x": "/evil.example/x",
    "/\\evil.example": "/%5Cevil.example",
    "/\t/evil.example": "/%09/evil.example",
    "/\r\nX: y": "/%0D%0AX%3A%20y",
    "/a b?c#d": "/a%20b%3Fc%23d",
}


@pytest.mark.parametrize("path", REDIRECTS)
def test_the_way_in_never_leads_to_another_host(open_client: FlaskClient, path: str) -> None:
    answer = open_client.get("/", query_string={"token": TOKEN}, environ_overrides={"PATH_INFO": path})
    assert answer.status_code == 302
    assert answer.headers["Location"] == REDIRECTS[path]


def test_what_is_open_without_the_token_says_nothing(open_client: FlaskClient) -> None:
    assert open_client.get("/healthz").json == {"status": "ok"}
    assert open_client.get("/static/../app/settings.py").status_code in (401, 404)
    assert open_client.get("/static/..%2fapp/settings.py").status_code in (401, 404)


@pytest.fixture
def with_a_form(app: APIFlask) -> FlaskClient:
    """A client of the app with a page that takes a form, as pages of later issues will."""

    @app.post("/a-form")
    @app.doc(hide=True)
    def a_form() -> str:
        return "taken"

    app.config["WTF_CSRF_ENABLED"] = True
    return app.test_client()


def csrf_token(client: FlaskClient) -> str:
    """The token that a page carries."""
    page = client.get("/create-cluster").get_data(as_text=True)
    return page.split('name="csrf-token" content="', 1)[1].split('"', 1)[0]


def test_a_form_without_its_csrf_token_is_refused(with_a_form: FlaskClient) -> None:
    token = csrf_token(with_a_form)
    assert with_a_form.post("/a-form", data={}).status_code == 400
    assert with_a_form.post("/a-form", data={"csrf_token": token[:-1] + "x"}).status_code == 400
    assert with_a_form.post("/a-form", data={"csrf_token": token}).status_code == 200


def test_a_csrf_token_of_another_session_is_refused(app: APIFlask, with_a_form: FlaskClient) -> None:
    other = csrf_token(app.test_client())
    assert with_a_form.post("/a-form", data={"csrf_token": other}).status_code == 400


def assert_safe(answer: Response) -> None:
    """The headers that every answer carries."""
    policy = answer.headers["Content-Security-Policy"]
    for directive in ("default-src 'self'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"):
        assert directive in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/create-cluster", "/api/clusters", "/api/clusters/none", "/nothing", "/api/docs"])
def test_every_answer_carries_the_security_headers(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert_safe(answer)
    assert "no-" in answer.headers["Cache-Control"]


def test_refusals_carry_them_too(client: FlaskClient) -> None:
    assert_safe(client.get("/", headers={"Host": "evil.example"}))


def test_the_session_cookie_stays_with_the_hub(client: FlaskClient) -> None:
    cookie = client.get("/create-cluster").headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert cookie.startswith("mchub_session_5000=")


def test_no_key_of_a_person_is_in_a_refusal(client: FlaskClient) -> None:
    answer = client.post("/api/clusters", json={"parameters": {"public_keys": PUBLIC_KEY}})
    assert PUBLIC_KEY not in answer.get_data(as_text=True)
