"""Pages of a list, all in one form: `{"items", "total", "next"}` (spec/clusters.md, "Lists")."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

from sqlalchemy import Select, func, select

from app.db import db
from app.errors import FieldError, Invalid

MOST_PER_PAGE = 200
LAST_PAGE = 1_000_000
HISTORY_PER_PAGE = 100
Row = TypeVar("Row")


@dataclass(frozen=True)
class Page:
    """Which part of a list is asked for, from 1, and how many stand on it.

    Raises:
        Invalid: there are no such pages.
    """

    number: int
    size: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= LAST_PAGE:
            raise Invalid("Unknown page.", [FieldError("page", f"must be 1 to {LAST_PAGE}")])
        if not 1 <= self.size <= MOST_PER_PAGE:
            raise Invalid("Unknown page.", [FieldError("per_page", f"must be 1 to {MOST_PER_PAGE}")])

    @property
    def offset(self) -> int:
        """How many stand before it."""
        return (self.number - 1) * self.size

    def next(self, path: str, total: int, **query: object) -> str | None:
        """The URL of the page after it; None after the last. What is empty of the query is left out."""
        if self.number * self.size >= total:
            return None
        given = {**query, "page": self.number + 1, "per_page": self.size}
        return f"{path}?" + urlencode({name: value for name, value in given.items() if value})


def page_of(rows: Select[Row], page: Page, path: str, as_json: Callable[[Row], dict[str, Any]]) -> dict[str, Any]:
    """One page of what a statement finds, counted."""
    total = db.session.scalar(select(func.count()).select_from(rows.order_by(None).subquery())) or 0
    found = db.session.scalars(rows.offset(page.offset).limit(page.size))
    return {"items": [as_json(row) for row in found], "total": total, "next": page.next(path, total)}
