"""Nova's microversions: which one a request speaks (API guide, "Microversions")."""

from flask import g, request

from ..errors import BadRequestError, NotAcceptableError

Microversion = tuple[int, int]
LOWEST: Microversion = (2, 1)
HIGHEST: Microversion = (2, 96)


def requested() -> Microversion:
    """Reads both headers, the newer first. Raises BadRequestError, NotAcceptableError."""
    text = None
    for each in request.headers.get("OpenStack-API-Version", "").split(","):
        kind, _, version = each.strip().partition(" ")
        if kind == "compute":
            text = version.strip()
    text = text or request.headers.get("X-OpenStack-Nova-API-Version")
    if text is None:
        return LOWEST
    if text == "latest":
        return HIGHEST
    major, _, minor = text.partition(".")
    if not (major.isdigit() and minor.isdigit()):
        raise BadRequestError(f"API Version String {text} is of invalid format. Must be of format MajorNum.MinorNum.")
    found = (int(major), int(minor))
    if not LOWEST <= found <= HIGHEST:
        raise NotAcceptableError(
            f"Version {text} is not supported by the API. Minimum is {as_text(LOWEST)} and maximum is"
            f" {as_text(HIGHEST)}."
        )
    return found


def as_text(version: Microversion) -> str:
    return f"{version[0]}.{version[1]}"


def speaks(minor: int) -> bool:
    """Whether the request speaks 2.<minor> or later."""
    version: Microversion = g.get("microversion", LOWEST)
    return version >= (2, minor)
