"""The figures as a table for the terminal and as docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.settings import ROOT
from tests.bench.figures import Figure, Verdict

PAGE = ROOT / "docs" / "benchmarks.md"
_HEADINGS = ("What", "Goal", "Measured", "", "Original")
_INTRODUCTION = """\
# Benchmarks

Made by `python -m tests.bench --write`, which runs everything anew (`make bench` measures without writing); don't edit
it by hand.
The hub is the real one with its default settings (gunicorn, SQLite), the cloud is the sandbox, Terraform and provider
are real, and clients, load generator and sandbox share the machine with the hub. Ratios compare things that were run
side by side in the same run, in turns, and are of medians. "Original" is what the original MC Hub does on a
machine of this size.
"""


@dataclass(frozen=True)
class Chapter:
    """One benchmark: how it was measured, and what came out."""

    title: str
    method: str
    figures: Sequence[Figure]


def table(chapters: Sequence[Chapter]) -> str:
    """For the terminal."""
    rows = [_row(figure) for chapter in chapters for figure in chapter.figures]
    widths = [max(len(row[column]) for row in [_HEADINGS, *rows]) for column in range(len(_HEADINGS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    head = "  ".join(cell.ljust(width) for cell, width in zip(_HEADINGS, widths, strict=True)).rstrip()
    return "\n".join([head, "-" * len(head), *lines])


def page(machine: Mapping[str, str], chapters: Sequence[Chapter]) -> str:
    """The page of the documentation."""
    parts = [_INTRODUCTION, "\n".join(f"- {name}: {value}" for name, value in machine.items())]
    for chapter in chapters:
        parts.append(f"\n## {chapter.title}\n\n{chapter.method}\n")
        lines = ["| " + " | ".join(_HEADINGS) + " |", "|---|---|---|---|---|"]
        lines += ["| " + " | ".join(_row(figure)) + " |" for figure in chapter.figures]
        parts.append("\n".join(lines))
        notes = [f"- {figure.subject}: {figure.note}" for figure in chapter.figures if figure.note]
        if notes:
            parts.append("\n" + "\n".join(notes))
    return "\n".join(parts) + "\n"


def missed(chapters: Sequence[Chapter]) -> list[Figure]:
    """The figures that miss their goal."""
    return [figure for chapter in chapters for figure in chapter.figures if figure.verdict is Verdict.MISSED]


def _row(figure: Figure) -> tuple[str, str, str, str, str]:
    original = f"[{figure.original}]" if figure.original else ""
    return figure.subject, figure.goal, figure.measured, figure.verdict.value, original
