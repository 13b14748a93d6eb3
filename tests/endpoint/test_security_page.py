"""Security page: every test that docs/security.md names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent
PAGE = TESTS.parent / "docs" / "security.md"
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE.read_text(encoding="utf-8"))))


@pytest.mark.parametrize(("file", "name"), NAMED, ids=["::".join(each) for each in NAMED])
def test_exists(file: str, name: str) -> None:
    """A line of the checklist is shown by a test of this name in this file."""
    source = (TESTS / file).read_text(encoding="utf-8")
    assert re.search(rf"^(async )?def {name}\(", source, re.MULTILINE), f"{file} has no {name}"


def test_every_line_is_shown() -> None:
    """Each line of the four tables of tests names at least one."""
    page = PAGE.read_text(encoding="utf-8").partition("## What is yours to do")[0]
    rows = [row for row in page.splitlines() if row.startswith("| ") and not row.startswith(("| what holds", "| ---"))]
    assert len(rows) > 40
    assert [] == [row for row in rows if "::test_" not in row]
