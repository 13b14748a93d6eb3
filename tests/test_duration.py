"""`format_duration`: the unit and the digits that a reader needs."""

from __future__ import annotations

import pytest

from moss_voice_server._duration import format_duration

SHOWN = {
    0.05: "0.05 seconds",
    1: "1 second",
    4.999938271: "5 seconds",
    8.5: "8.5 seconds",
    90: "90 seconds",
    600: "10 minutes",
    72 * 3600: "72 hours",
    10_000 * 3600: "417 days",
    10 * 365 * 86400: "10 years",
}


@pytest.mark.parametrize(("seconds", "expected"), SHOWN.items())
def test_format_duration(seconds: float, expected: str) -> None:
    """A time has the unit that fits and at most three digits that matter."""
    assert expected == format_duration(seconds)
