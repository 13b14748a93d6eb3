"""The claims of a token as LiveKit reads them, and the time at which they are judged."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite
from typing import Any, NamedTuple

_NUMBER = re.compile(r"\s*-?[0-9]+(\.[0-9]+)?\s*")
_MILLISECONDS = 1e11  # the year 5138 in seconds, and 1973 in milliseconds
_SERVER_GRANTS = ("agent", "roomCreate", "roomAdmin", "roomList", "roomRecord", "ingressAdmin", "recorder")


class Facts(NamedTuple):
    claims: Mapping[str, Any]  # by the names that LiveKit reads
    video: Mapping[str, Any]  # the video grant in the same form; {} where there is none
    now: float  # seconds since 1970
    size: int = 0  # bytes of the whole token

    def text(self, name: str) -> str:
        """A claim that is a string; "" for anything else."""
        value = self.claims.get(name)
        return value if isinstance(value, str) else ""

    @property
    def joins(self) -> bool:
        """Whether the token is for joining, even if it fails at it: every token without a server's grants."""
        return self.claims.get("video") is not None and (self.can_join or not self.is_for_servers)

    @property
    def can_join(self) -> bool:
        return self.video.get("roomJoin") is True

    @property
    def is_for_servers(self) -> bool:
        """Whether the token grants something that only a backend needs."""
        return any(self.video.get(name) is True for name in _SERVER_GRANTS)

    @property
    def identity(self) -> str:
        """Who joins, as LiveKit reads it."""
        return self.text("sub") if self.claims.get("sub") not in (None, "") else self.text("jti")

    def time(self, name: str) -> float | None:
        """A time in seconds since 1970; `None` where it is absent, not a time, or in milliseconds."""
        value = seconds(self.claims.get(name))
        return None if value is None or value > _MILLISECONDS else value

    def is_in_milliseconds(self, name: str) -> bool:
        """Whether a time seems to count milliseconds."""
        return (seconds(self.claims.get(name)) or 0) > _MILLISECONDS


def seconds(value: object) -> float | None:
    """A time as LiveKit reads it: a number, also in a string; `None` for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if isfinite(number) else None
