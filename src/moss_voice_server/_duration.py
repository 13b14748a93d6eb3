"""Span: a length of time in words, for the texts that people read."""

from __future__ import annotations


def spoken(seconds: float) -> str:
    """`0.4 seconds`, `90 seconds`, `10 minutes`, `72 hours`: rounded to what matters to a reader."""
    for size, name in ((3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{_number(seconds / size)} {name}"
    return f"{_number(seconds)} seconds"


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"
