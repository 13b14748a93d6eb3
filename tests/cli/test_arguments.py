"""Types of arguments: values in and values out."""

from __future__ import annotations

from argparse import ArgumentTypeError

import pytest

from moss_voice_server._cli._arguments import duration, nonblank, pair, ttl


def test_duration() -> None:
    """A time is a number of seconds, or hours, minutes and seconds with their letters."""
    for text, seconds in [
        ("30s", 30),
        ("15m", 900),
        ("2h", 7200),
        ("90", 90),
        ("1h30m", 5400),
        ("1h1m1s", 3661),
        ("0", 0),
        ("24h", 86400),
        ("3d", 259200),
    ]:
        assert seconds == duration(text)


def test_invalid_duration() -> None:
    """Anything else is refused, with the forms that are taken."""
    for text in ["", " ", "15 m", "m", "-1", "+5", "1.5h", "15x", "1m1h", "1e3", "nan", "\u0661m", "9" * 10]:
        with pytest.raises(ArgumentTypeError, match="invalid duration"):
            duration(text)


def test_pair() -> None:
    """The first equals sign parts key and value."""
    for text, expected in [
        ("plan=gold", ("plan", "gold")),
        ("a=", ("a", "")),
        ("a=b=c", ("a", "b=c")),
        (" a =b", (" a ", "b")),
    ]:
        assert expected == pair(text)


def test_invalid_pair() -> None:
    """Without a key, or without an equals sign, it is refused."""
    for text in ["", "plan", "=gold", "="]:
        with pytest.raises(ArgumentTypeError, match="write it as KEY=VALUE"):
            pair(text)


def test_nonblank() -> None:
    """A text passes as it is; a blank one is refused."""
    assert " a " == nonblank(" a ")
    for blank in ("", " \t"):
        with pytest.raises(ArgumentTypeError, match="is empty"):
            nonblank(blank)


def test_ttl_in_minutes() -> None:
    """A plain number under 60 was probably meant as minutes; with a unit, the library checks the range."""
    assert (300, 60, 90, 30) == (ttl("5m"), ttl("60"), ttl("90"), ttl("30s"))
    with pytest.raises(ArgumentTypeError, match="5 means 5 seconds; write 5m"):
        ttl("5")
