"""The result of one check, and the stopwatch that creates results."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, NamedTuple

from ..errors import MossVoiceError

Status = Literal["ok", "warn", "fail", "skip"]


class Check(NamedTuple):
    """One check. No text contains a secret, a token or a response body."""

    name: str
    """Stable: the link of the chain, and its part after a dot, such as `livekit.tls`."""
    status: Status
    """`fail`: calls do not work. `warn`: they work, but not for everyone or not for long. `skip`: not checked."""
    detail: str
    """What was tried, and the result."""
    remedy: str = ""
    """What to do, where something is wrong."""
    ms: float = 0.0
    """Milliseconds that it took."""


class Stopwatch:
    """Creates checks with the time since it was created or since its last check."""

    def __init__(self, mono: Callable[[], float] = time.monotonic) -> None:
        self._mono = mono
        self._start = mono()

    def ok(self, name: str, detail: str) -> Check:
        """A check that passed."""
        return self.result(name, "ok", detail, "")

    def warn(self, name: str, detail: str, remedy: str) -> Check:
        """A check with a warning."""
        return self.result(name, "warn", detail, remedy)

    def fail(self, name: str, detail: str, remedy: str) -> Check:
        """A check that failed."""
        return self.result(name, "fail", detail, remedy)

    def skip(self, name: str, detail: str, remedy: str = "") -> Check:
        """A check that was skipped, and why."""
        return self.result(name, "skip", detail, remedy)._replace(ms=0.0)

    def result(self, name: str, status: Status, detail: str, remedy: str) -> Check:
        """A check with this status."""
        now = self._mono()
        spent, self._start = now - self._start, now
        return Check(name, status, detail, remedy, round(spent * 1000, 1))


def cause_and_remedy(error: MossVoiceError, otherwise: str) -> tuple[str, str]:
    """The two parts of an error; `otherwise`: the remedy of an error without one."""
    return str(error).removesuffix(f": {error.remedy}"), error.remedy or otherwise
