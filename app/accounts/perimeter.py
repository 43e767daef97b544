"""Who may reach the hub before there are accounts (spec/clusters.md, last section).

Loopback needs no token, but a page elsewhere must not drive the hub (Origin), nor a rebound name (Host). On any other
address a start-up token is asked for, as Jupyter does: once in the URL, then as a cookie, or as a bearer token.
"""

from __future__ import annotations

import hmac
import ipaddress
import platform
from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit

from flask import Flask, Response, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from app.errors import Forbidden, Unauthorized, UnsupportedMediaType
from app.secrets import cookie_key, url_token
from app.settings import Settings

OPEN_PATHS = ("/static/", "/healthz")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def _host_name(netloc: str) -> str:
    try:
        return (urlsplit("//" + netloc).hostname or "").lower()
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class Perimeter:
    """What a request must show to be served."""

    names: frozenset[str]
    any_address: bool
    token: str | None
    cookie: str = "mchub_token"

    def check_host(self) -> None:
        """Refuse a Host that is not this hub's: a name that was rebound to its address."""
        name = _host_name(request.host)
        if name in self.names or (self.any_address and _is_address(name)):
            return
        raise Forbidden(
            f"This hub does not answer to the name “{name or request.host}”. Use http://localhost, "
            "or add the name to MCHUB_HOSTS."
        )

    def check_origin(self) -> None:
        """Refuse a request that a page of another site makes."""
        origin = request.headers.get("Origin")
        if origin is not None and origin.lower() != f"{request.scheme}://{request.host}".lower():
            raise Forbidden("The request comes from a page of another site.")
        if request.headers.get("Sec-Fetch-Site") == "cross-site" and request.method not in SAFE_METHODS:
            raise Forbidden("The request comes from a page of another site.")

    def check_token(self) -> AnyResponse | None:
        """Ask for the start-up token; a token in the URL becomes a cookie and leaves the address bar."""
        if self.token is None or request.path.startswith(OPEN_PATHS):
            return None
        if self._fits(request.cookies.get(self.cookie)) or self._fits(self._bearer()):
            return None
        if self._fits(request.args.get("token")) and request.method in SAFE_METHODS:
            return self._welcome()
        raise Unauthorized(
            "Open the URL that the hub printed when it started: it carries the token. "
            "Programs send it as “Authorization: Bearer <token>”."
        )

    def _fits(self, given: str | None) -> bool:
        return given is not None and hmac.compare_digest(given.encode(), (self.token or "").encode())

    def _bearer(self) -> str | None:
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        return value.strip() if scheme.lower() == "bearer" else None

    def _welcome(self) -> AnyResponse:
        kept = [(name, value) for name, value in request.args.items(multi=True) if name != "token"]
        query = urlencode(kept)
        # A path that begins with two slashes would lead to another host; so would one that does once a tab is dropped.
        path = "/" + quote(request.path.lstrip("/"), safe="/")
        response = redirect(path + (f"?{query}" if query else ""))
        response.set_cookie(self.cookie, self.token or "", httponly=True, samesite="Lax", secure=request.is_secure)
        return response

    def guard(self) -> AnyResponse | None:
        """Check one request."""
        self.check_host()
        self.check_origin()
        answer = self.check_token()
        if answer is None and request.path.startswith("/api") and request.method in ("POST", "PUT", "PATCH"):
            _only_json()
        return answer


def _only_json() -> None:
    """Refuse other media types: a form of another site can send those without asking."""
    has_body = bool(request.content_length) or "chunked" in request.headers.get("Transfer-Encoding", "").lower()
    if has_body and request.mimetype != "application/json":
        raise UnsupportedMediaType("Send the body as JSON, with “Content-Type: application/json”.")


def start_up_token(settings: Settings) -> str | None:
    """The token that this hub asks for: none on loopback, else the setting's or one kept in `<data>/keys/token`.

    It is kept so that a hub that was restarted still knows the browsers it had.
    """
    if settings.is_loopback:
        return None
    return settings.token.get_secret_value() if settings.token else url_token(settings)


def perimeter_of(settings: Settings, token: str | None) -> Perimeter:
    """The perimeter for these settings."""
    names = {"localhost", "127.0.0.1", "::1", settings.bind.lower(), *settings.hosts}
    if not settings.is_loopback:
        names.add(platform.node().lower())
    # Cookies know no ports: two hubs on one machine must not overwrite each other's.
    cookie = f"mchub_token_{settings.port}"
    return Perimeter(frozenset(names), any_address=not settings.is_loopback, token=token, cookie=cookie)


def add_security_headers(response: Response) -> Response:
    """Headers on every answer: nothing inline, nothing from elsewhere, no frames."""
    response.headers.setdefault(
        "Content-Security-Policy",
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'",
    )
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    if not request.path.startswith("/static/"):
        response.headers.setdefault("Cache-Control", "private, no-cache")
    return response


def init_perimeter(app: Flask, settings: Settings) -> None:
    """Check every request of the app before anything else sees it."""
    app.secret_key = cookie_key(settings)
    perimeter = perimeter_of(settings, app.config["STARTUP_TOKEN"])
    app.before_request(perimeter.guard)
    app.after_request(add_security_headers)
