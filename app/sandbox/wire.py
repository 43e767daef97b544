"""What every view needs of the request being answered."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from flask import current_app, g, request

from .cloud import Cloud
from .errors import BadRequestError
from .identity.models import Caller

Json = dict[str, Any]
Reply = Json | tuple[Json | str, int] | tuple[Json | str, int, dict[str, str]]
View = TypeVar("View", bound=Callable[..., Any])

PUBLIC_VIEWS: set[Callable[..., Any]] = set()

SERVICES = ("identity", "compute", "network", "image", "volume")


def public(view: View) -> View:
    """Marks a view that needs no token: version documents, and signing in."""
    PUBLIC_VIEWS.add(view)
    return view


def cloud() -> Cloud:
    return cast(Cloud, current_app.extensions["cloud"])


def caller() -> Caller:
    """Whose token the request carries."""
    return cast(Caller, g.caller)


def service() -> str:
    """The service that is addressed: the first part of the path."""
    return request.path.split("/", 2)[1]


def url(path: str) -> str:
    """The absolute URL of a path such as `/compute/v2.1/servers`."""
    return cloud().options.url + path


def body() -> Json:
    """The request's JSON object; any other body is refused in the words that Nova uses."""
    found = request.get_json(silent=True, force=True)
    if not isinstance(found, dict):
        raise BadRequestError("Malformed request body")
    return found


def part(key: str) -> Json:
    """The object under the one key that a body has, such as `server` or `network`."""
    found = body().get(key)
    if not isinstance(found, dict):
        raise BadRequestError(f"Invalid input for field/attribute {key}. '{key}' is a required property")
    return found


def page_limit(largest: int) -> int:
    """The `limit` of the query, no more than the service's own limit. Raises BadRequestError."""
    text = request.args.get("limit")
    if text is None:
        return largest
    if not text.isdigit():
        raise BadRequestError(f"Invalid input for query parameter limit: {text}. limit must be an integer")
    return min(int(text), largest) or largest
