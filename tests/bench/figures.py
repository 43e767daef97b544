"""A measured figure beside its goal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a figure stands to its goal."""

    MET = "met"
    MISSED = "MISSED"
    NONE = ""


@dataclass(frozen=True)
class Figure:
    """One figure. `original` is what the original MC Hub does on a machine of this size, where that is known."""

    subject: str
    value: float
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None
    original: str = ""
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        """Whether the goal is met; a figure without a goal has no verdict, one that is no number misses."""
        if self.at_most is None and self.at_least is None:
            return Verdict.NONE
        low = self.at_least is None or self.value >= self.at_least
        high = self.at_most is None or self.value <= self.at_most
        return Verdict.MET if low and high else Verdict.MISSED

    @property
    def goal(self) -> str:
        """The goal in words."""
        if self.at_most is not None:
            return f"<= {_number(self.at_most)} {self.unit}".rstrip()
        return f">= {_number(self.at_least)} {self.unit}".rstrip() if self.at_least is not None else ""

    @property
    def measured(self) -> str:
        """The figure in words."""
        return f"{_number(self.value)} {self.unit}".rstrip()


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "none"
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values lie: nearest rank."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]
