"""Clock: how far this machine's clock is from the servers', by the `Date` of their answers."""

from __future__ import annotations

from typing import NamedTuple

from .._http.model import Response
from .._inspect.times import LEEWAY, length
from .check import Check, Stopwatch
from .reach import date_of

NAMES = ("clock",)
_NEAR = 30.0  # seconds; further off is worth a word
_LIFE = 15 * 60.0  # seconds that a token lives by default
_REMEDY = "set this machine's clock, with NTP (timedatectl set-ntp true); a laptop or WSL that slept may be behind"


class Reading(NamedTuple):
    """By how many seconds this machine's clock is ahead of a server's."""

    who: str
    ahead: float

    @classmethod
    def of(cls, who: str, response: Response, before: float, after: float) -> Reading | None:
        """From an answer, asked for at `before` and received at `after`; its `Date` counts whole seconds."""
        date = date_of(response)
        return None if date is None else cls(who, (before + after) / 2 - (date + 0.5))


def check(readings: list[Reading], watch: Stopwatch) -> Check:
    """The verdict; LiveKit's clock counts, where it told the time, because it judges the tokens."""
    if not readings:
        return watch.skip(NAMES[0], "nobody told the time")
    who, ahead = readings[-1]
    off = abs(ahead)
    rest = "".join(f"; {_off(each.ahead)} {each.who}'s" for each in readings[:-1] if abs(each.ahead - ahead) > LEEWAY)
    detail = f"this machine's clock is {_off(ahead)} {who}'s{rest}"
    if ahead > LEEWAY:
        return watch.fail(
            NAMES[0],
            f"{detail}; LiveKit takes new tokens for not yet valid, beyond {LEEWAY:g} s",
            _REMEDY,
        )
    if ahead < -(_LIFE + LEEWAY):
        return watch.fail(NAMES[0], f"{detail}; a token of 15 minutes has expired before it is used", _REMEDY)
    if off > LEEWAY:
        return watch.warn(
            NAMES[0], f"{detail}; tokens end so much earlier, and LiveKit Cloud may take them for revoked", _REMEDY
        )
    if off > _NEAR:
        return watch.warn(NAMES[0], f"{detail}; LiveKit allows for {LEEWAY:g} s", _REMEDY)
    return watch.ok(NAMES[0], f"{detail}; LiveKit allows for {LEEWAY:g} s")


def _off(ahead: float) -> str:
    if abs(ahead) < 2:
        return "the same as"
    return f"{length(abs(ahead))} {'ahead of' if ahead > 0 else 'behind'}"
