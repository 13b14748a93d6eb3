"""Durations: the standard library's type, and how one is written in a text that people read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta
else:
    try:  # the C type alone: until Python 3.12 the module `datetime` is larger, and not needed for a first token
        from _datetime import timedelta
    except ImportError:  # an interpreter without CPython's accelerator
        from datetime import timedelta

__all__ = ["format_duration", "timedelta"]

_DAY = 86400
# Unit in seconds, its name, and the shortest duration written in it; up to four days, hours are easier to compare.
_UNITS = (
    (365 * _DAY, "year", 2 * 365 * _DAY),
    (_DAY, "day", 4 * _DAY),
    (3600, "hour", 2 * 3600),
    (60, "minute", 2 * 60),
)


def format_duration(seconds: float) -> str:
    """`0.4 seconds`, `90 seconds`, `10 minutes`, `72 hours`, `30 days`: three significant digits."""
    size, name = next(((size, name) for size, name, shortest in _UNITS if seconds >= shortest), (1, "second"))
    number = _number(seconds / size)
    return f"{number} {name}" if number == "1" else f"{number} {name}s"


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"
