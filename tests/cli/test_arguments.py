"""Types of arguments: values in and values out."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable
from typing import Any

import pytest

from moss_voice_server._cli._arguments import duration, nonblank, pair, ttl

TAKEN: list[tuple[Callable[[str], Any], dict[str, Any]]] = [
    (duration, {"30s": 30, "15m": 900, "2h": 7200, "90": 90, "1h30m": 5400, "1h1m1s": 3661, "0": 0, "3d": 259200}),
    (ttl, {"5m": 300, "60": 60, "30s": 30}),
    (pair, {"plan=gold": ("plan", "gold"), "a=": ("a", ""), "a=b=c": ("a", "b=c"), " a =b": (" a ", "b")}),
    (nonblank, {" a ": " a "}),
]
REFUSED: list[tuple[Callable[[str], Any], list[str], str]] = [
    (
        duration,
        ["", " ", "15 m", "m", "-1", "+5", "1.5h", "15x", "1m1h", "1e3", "nan", "\u0661m", "9" * 10],
        "invalid duration",
    ),
    (ttl, ["5", "59"], "write 5"),
    (pair, ["", "plan", "=gold", "="], "KEY=VALUE"),
    (nonblank, ["", " \t"], "is empty"),
]


def test_types() -> None:
    """Durations, lives of tokens, pairs and texts that are not blank."""
    for convert, values in TAKEN:
        assert values == {text: convert(text) for text in values}


def test_other_texts() -> None:
    """Other texts are refused, with the forms that are taken."""
    for convert, texts, message in REFUSED:
        for text in texts:
            with pytest.raises(ArgumentTypeError, match=message):
                convert(text)
