"""The house: files that a person reads in one sitting."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.settings import ROOT

LONGEST = 400
FILES = sorted(path for path in (ROOT / "app").rglob("*.py") if "versions" not in path.parts)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_has_one_subject_and_fewer_than_400_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST


def test_every_file_says_what_it_is_about() -> None:
    silent = [path for path in FILES if path.read_text().strip() and not path.read_text().lstrip().startswith('"""')]
    assert silent == []


def test_no_file_has_a_name_that_says_nothing() -> None:
    nothing = {"utils", "util", "helpers", "helper", "common", "misc", "manager2", "data"}
    assert [path for path in FILES if path.stem in nothing] == []
