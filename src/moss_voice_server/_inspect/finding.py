"""Finding: one thing that is wrong, doubtful or worth knowing about a token, and what to do about it."""

from __future__ import annotations

from typing import Literal, NamedTuple

Severity = Literal["error", "warning", "info"]
ORDER: tuple[Severity, ...] = ("error", "warning", "info")

_SHOWN = 48  # characters of a name that a message quotes


class Finding(NamedTuple):
    """One finding. Neither text holds a secret, nor any value of the token but names of its fields."""

    code: str
    """A stable name of the rule."""
    severity: Severity
    """`error`: LiveKit refuses the token, ignores what it asks for, or it gives a secret away. `warning`: it works and is
    hardly meant so. `info`: good to know."""
    message: str
    remedy: str


def error(code: str, message: str, remedy: str) -> Finding:
    """LiveKit refuses the token, ignores what it asks for, or it gives a secret away."""
    return Finding(code, "error", message, remedy)


def warning(code: str, message: str, remedy: str) -> Finding:
    """It works, and is hardly meant so."""
    return Finding(code, "warning", message, remedy)


def info(code: str, message: str, remedy: str) -> Finding:
    """Good to know."""
    return Finding(code, "info", message, remedy)


def shown(name: object) -> str:
    """A field's name as a message may quote it: short, and without what a terminal would obey."""
    text = str(name)
    text = text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
    return text if text.isprintable() else ascii(text)[1:-1]


def kind(value: object) -> str:
    """What JSON calls a value."""
    kinds: dict[type, str] = {dict: "an object", list: "an array", str: "a string", bool: "a boolean"}
    return "null" if value is None else kinds.get(type(value), "a number")
