"""Check: what one look at a link of the chain found, and the stopwatch that makes checks."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Literal, NamedTuple

Status = Literal["ok", "warn", "fail", "skip"]
_SHOWN = 64  # characters of a text that somebody else wrote


class Check(NamedTuple):
    """One check. No text holds a secret, a token, or an answer's body."""

    name: str
    """Stable: the link of the chain, and the part of it after a dot, such as `livekit.tls`."""
    status: Status
    """`fail`: nobody gets through here. `warn`: it works, but not for all or not for long. `skip`: not looked at."""
    detail: str
    """What was tried and what came back."""
    remedy: str = ""
    """What to do, where something is wrong."""
    ms: float = 0.0
    """Milliseconds that it took."""


class Stopwatch:
    """Makes checks, with the time since it was started or since its last check."""

    def __init__(self, mono: Callable[[], float] = time.monotonic) -> None:
        self._mono = mono
        self._start = mono()

    def ok(self, name: str, detail: str) -> Check:
        """All is well."""
        return self._check(name, "ok", detail, "")

    def warn(self, name: str, detail: str, remedy: str) -> Check:
        """It works, but not for all or not for long."""
        return self._check(name, "warn", detail, remedy)

    def fail(self, name: str, detail: str, remedy: str) -> Check:
        """Nobody gets through."""
        return self._check(name, "fail", detail, remedy)

    def skip(self, name: str, detail: str, remedy: str = "") -> Check:
        """Not looked at, and why."""
        return self._check(name, "skip", detail, remedy)._replace(ms=0.0)

    def _check(self, name: str, status: Status, detail: str, remedy: str) -> Check:
        now = self._mono()
        spent, self._start = now - self._start, now
        return Check(name, status, detail, remedy, round(spent * 1000, 1))


def shown(text: object) -> str:
    """A text that somebody else wrote, such as an agent's name: short, and without what a terminal would obey."""
    shown = str(text)
    shown = shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "..."
    return shown if shown.isprintable() else ascii(shown)[1:-1]


def split(text: str, otherwise: str) -> tuple[str, str]:
    """Detail and remedy of one of this package's error texts, which end with the way out after a colon."""
    match = re.fullmatch(
        r"(.+?)(?:: |\. )((?:[A-Z]|check|set|copy|write|strip|keep|remove|create|shorten|it should)[^:]*)", text
    )
    return (match[1], match[2][0].lower() + match[2][1:]) if match else (text, otherwise)
