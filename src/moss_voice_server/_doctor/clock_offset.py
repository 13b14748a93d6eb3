"""Measure how far this machine's clock is from the servers' clocks, by the `Date` header of their responses."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import NamedTuple

from .._duration import format_duration
from .._http.model import Response
from .._inspect.times import LEEWAY
from .check import Verdict, fail, need, ok, skip, warn
from .found import Found

_NOTABLE = 30.0  # seconds of offset that are worth a warning
_TTL = 15 * 60.0  # seconds that a token is valid by default
_REMEDY = "synchronize this machine's clock with NTP (timedatectl set-ntp true); a laptop or WSL may lag after sleep"


class ClockOffset(NamedTuple):
    """By how many seconds this machine's clock is ahead of a server's."""

    server: str
    ahead: float

    @classmethod
    def of(cls, server: str, response: Response, before: float, after: float) -> ClockOffset | None:
        """From a response, requested at `before` and received at `after`; its `Date` counts whole seconds."""
        try:  # RFC 9110, section 6.6.1
            date = parsedate_to_datetime(response.headers["date"]).timestamp()
        except (KeyError, TypeError, ValueError, OverflowError):
            return None
        return cls(server, (before + after) / 2 - (date + 0.5))

    def __str__(self) -> str:
        if abs(self.ahead) < 2:
            return f"in sync with {self.server}'s"
        return f"{format_duration(round(abs(self.ahead)))} {'ahead of' if self.ahead > 0 else 'behind'} {self.server}'s"


def clock(found: Found) -> Verdict:
    if not found.offsets:
        need(found.unchecked)
    return judge(found.offsets)


def judge(offsets: list[ClockOffset]) -> Verdict:
    """What the offsets mean; LiveKit's clock counts where it is known, because LiveKit judges the tokens."""
    if not offsets:
        return skip("no server sent a Date header")
    last = offsets[-1]
    rest = "".join(f"; {each}" for each in offsets[:-1] if abs(each.ahead - last.ahead) > LEEWAY)
    detail = f"this machine's clock is {last}{rest}"
    if last.ahead > LEEWAY:
        return fail(f"{detail}; LiveKit's leeway is {LEEWAY:g} s, so new tokens are not yet valid", _REMEDY)
    if last.ahead < -(_TTL + LEEWAY):
        return fail(f"{detail}; a token of 15 minutes expires before it is used", _REMEDY)
    if abs(last.ahead) > LEEWAY:
        return warn(
            f"{detail}; tokens expire earlier by that much, and LiveKit Cloud may treat them as revoked", _REMEDY
        )
    if abs(last.ahead) > _NOTABLE:
        return warn(f"{detail}; LiveKit's leeway is {LEEWAY:g} s", _REMEDY)
    return ok(f"{detail}; LiveKit's leeway is {LEEWAY:g} s")
