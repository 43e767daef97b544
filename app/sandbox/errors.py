"""The cloud's refusals, and how each service words them on the wire."""

from typing import Any


class CloudError(Exception):
    """A refusal: HTTP status, message, and the name that Neutron calls it by (its `type`)."""

    status = 500
    kind = "CloudError"

    def __init__(self, message: str, kind: str | None = None, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind or type(self).kind
        self.headers = headers or {}


class BadRequestError(CloudError):
    status = 400
    kind = "HTTPBadRequest"


class UnauthorizedError(CloudError):
    status = 401
    kind = "HTTPUnauthorized"


class ForbiddenError(CloudError):
    status = 403
    kind = "PolicyNotAuthorized"


class NotFoundError(CloudError):
    status = 404
    kind = "HTTPNotFound"


class MethodNotAllowedError(CloudError):
    status = 405
    kind = "HTTPMethodNotAllowed"


class NotAcceptableError(CloudError):
    status = 406
    kind = "HTTPNotAcceptable"


class ConflictError(CloudError):
    status = 409
    kind = "HTTPConflict"


class OverLimitError(CloudError):
    """Cinder's answer to a request over quota (Nova answers 403, Neutron 409)."""

    status = 413
    kind = "OverLimit"


class InjectedError(CloudError):
    """A failure that a fault rule asked for."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message, "InjectedFault")
        self.status = status


TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    409: "Conflict",
    413: "Request Entity Too Large",
    415: "Unsupported Media Type",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}

# Nova's and Cinder's names of a fault (compute API guide, "Faults").
FAULT_NAMES = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    429: "overLimit",
    503: "serviceUnavailable",
}


def in_words_of(service: str, error: CloudError) -> dict[str, Any] | str:
    """The body of a refusal: JSON for all services but Glance, which answers with a small HTML page."""
    title = TITLES.get(error.status, "Error")
    if service == "identity" or error.status == 401:
        return {"error": {"code": error.status, "message": error.message, "title": title}}
    if service == "network":
        return {"NeutronError": {"type": error.kind, "message": error.message, "detail": ""}}
    if service == "image":
        return (
            f"<html>\n <head>\n  <title>{error.status} {title}</title>\n </head>\n <body>\n"
            f"  <h1>{error.status} {title}</h1>\n  {error.message}<br /><br />\n\n\n\n </body>\n</html>"
        )
    if service in {"compute", "volume"}:
        fault: dict[str, Any] = {"code": error.status, "message": error.message}
        if error.status in {413, 429}:
            fault["retryAfter"] = "0"
        return {FAULT_NAMES.get(error.status, "computeFault"): fault}
    return {"error": error.message}
