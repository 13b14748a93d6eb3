"""A check, the verdict in it, and the loop that turns judges into checks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

from ..errors import InvalidArgument

if TYPE_CHECKING:
    from .found import Found

Status = Literal["ok", "warn", "fail", "skip"]
Value = TypeVar("Value")


class Check(NamedTuple):
    """One check. No text contains a secret, a token or a response body."""

    name: str  # stable: the link of the chain, and its part after a dot, such as `livekit.tls`
    status: Status
    """`fail`: calls do not work. `warn`: they work, but not for everyone or not for long. `skip`: not checked."""
    detail: str  # what was tried, and the result
    remedy: str = ""  # what to do, where something is wrong
    ms: float = 0.0  # milliseconds that it took


class Verdict(NamedTuple):
    """What a judge says: a check without its name."""

    status: Status
    detail: str
    remedy: str = ""
    seconds: float | None = None  # how long it took, where the judge has measured that

    @property
    def text(self) -> str:
        return f"{self.detail}: {self.remedy}" if self.remedy else self.detail


ok = partial(Verdict, "ok")
warn = partial(Verdict, "warn")
fail = partial(Verdict, "fail")
skip = partial(Verdict, "skip")


class Ended(Exception):
    """Ends a check early with a verdict; without one, something is missing that an earlier check had to find."""

    def __init__(self, verdict: Verdict | None = None) -> None:
        super().__init__()
        self.verdict = verdict


def need(value: Value | None) -> Value:
    """The value that an earlier check has found; without it the check ends."""
    if value is None:
        raise Ended
    return value


def run(judges: Mapping[str, Callable[[Found], Verdict]], found: Found, otherwise: str) -> Iterator[Check]:
    """Each check as soon as it is done; `otherwise`: the reason where something is missing."""
    for name, judge in judges.items():
        start = time.monotonic()
        try:
            verdict = judge(found)
        except Ended as ended:
            verdict = ended.verdict or skip(otherwise)
        except InvalidArgument as error:
            verdict = fail(error.message, error.remedy or "correct the value")
        seconds = 0.0 if verdict.status == "skip" else time.monotonic() - start
        if verdict.seconds is not None:
            seconds = verdict.seconds
        found.statuses[name] = verdict.status
        check = Check(name, verdict.status, verdict.detail, verdict.remedy, round(seconds * 1000, 1))
        yield found.options.redactor.clean(check)
