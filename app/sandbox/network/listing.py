"""Lists as Neutron gives them: filters, fields, sorting, pages (Networking API, "Filtering and Column Selection")."""

from typing import Any
from urllib.parse import urlencode

from werkzeug.datastructures import MultiDict

from ..errors import BadRequestError, NotFoundError

Json = dict[str, Any]
PAGING = {"fields", "limit", "marker", "page_reverse", "sort_key", "sort_dir"}
TAGS = {"tags", "tags-any", "not-tags", "not-tags-any"}


def is_true(text: object) -> bool:
    return str(text).lower() in {"true", "1", "yes", "on", "t", "y"}


def listed(key: str, documents: list[Json], query: MultiDict[str, str], address: str) -> Json:
    """The page of documents that the query asks for, with links to the next. Raises BadRequestError, NotFoundError."""
    known = set(documents[0]) if documents else None
    found = documents
    for name in query:
        if name not in PAGING:
            found = [each for each in found if _passes(each, name, query.getlist(name), known)]
    found = _sorted(found, query)
    found, links = _page(key, found, query, address)
    fields = query.getlist("fields")
    if fields:
        found = [{name: each[name] for name in fields if name in each} for each in found]
    return {key: found, **({f"{key}_links": links} if links else {})}


def _passes(document: Json, name: str, wanted: list[str], known: set[str] | None) -> bool:
    if name in TAGS:
        return _has_tags(document, name, [tag for value in wanted for tag in value.split(",")])
    if name == "fixed_ips":
        return _has_addresses(document, wanted)
    if name == "security_groups":
        return bool(set(wanted) & set(document.get("security_groups", ())))
    if known is not None and name not in known:
        raise BadRequestError(
            f"Invalid input for operation: Filter parameters {{'{name}'}} are not supported.".replace("{{", "{")
        )
    value = document[name]
    if isinstance(value, bool):
        return any(is_true(text) == value for text in wanted)
    return ("" if value is None else str(value)) in wanted


def _has_tags(document: Json, name: str, wanted: list[str]) -> bool:
    tags = set(document["tags"])
    found = bool(tags & set(wanted)) if name.endswith("any") else set(wanted) <= tags
    return found != name.startswith("not")


def _has_addresses(document: Json, wanted: list[str]) -> bool:
    """`fixed_ips=ip_address=10.0.0.5&fixed_ips=subnet_id=...`: of each kind that is named, one must fit."""
    by_kind: dict[str, list[str]] = {}
    for text in wanted:
        kind, _, value = text.partition("=")
        by_kind.setdefault(kind, []).append(value)
    return all(
        any(
            any(part in each["ip_address"] for part in values)
            if kind == "ip_address_substr"
            else each.get(kind) in values
            for each in document["fixed_ips"]
        )
        for kind, values in by_kind.items()
    )


def _sorted(documents: list[Json], query: MultiDict[str, str]) -> list[Json]:
    keys, directions = query.getlist("sort_key"), query.getlist("sort_dir")
    if directions and len(directions) != len(keys):
        raise BadRequestError("The number of sort_keys and sort_dirs must be same")
    found = list(documents)
    for key, direction in reversed(list(zip(keys, directions or ["asc"] * len(keys), strict=True))):
        if direction not in {"asc", "desc"}:
            raise BadRequestError("The sort_dir must be 'asc' or 'desc'")
        if documents and key not in documents[0]:
            raise BadRequestError(f"{key} is invalid attribute for sort_keys")
        found.sort(key=lambda each: str(each[key]), reverse=direction == "desc")
    return found


def _page(key: str, documents: list[Json], query: MultiDict[str, str], address: str) -> tuple[list[Json], list[Json]]:
    limit_text, marker = query.get("limit"), query.get("marker")
    if limit_text is not None and not limit_text.isdigit():
        raise BadRequestError(
            f"Invalid input for operation: Limit must be an integer 0 or greater and not '{limit_text}'."
        )
    start = 0
    if marker:
        ids = [each["id"] for each in documents]
        if marker not in ids:
            raise NotFoundError(f"Could not find marker {marker}.", f"{key}NotFoundError")
        start = ids.index(marker) + 1
    rest = documents[start:]
    limit = int(limit_text or 0)
    if not limit or len(rest) <= limit:
        return rest, []
    page = rest[:limit]
    following = [(name, value) for name in query for value in query.getlist(name) if name != "marker"]
    return page, [{"rel": "next", "href": f"{address}?{urlencode([*following, ('marker', page[-1]['id'])])}"}]
