"""Credentials: when they are refreshed (`RefreshPolicy`), and their state (`CredentialsStatus`)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Literal

from . import _validation
from ._validation import invalid

_LONGEST = 1.7e308  # seconds; finite
_MAX_TIMEOUT = 24 * 3600.0  # seconds; clocks and locks of some systems overflow at longer ones

State = Literal["empty", "fresh", "stale", "expired", "rejected"]


@dataclass(frozen=True)
class RefreshPolicy:
    """When credentials are refreshed and when they expire. Times are `timedelta` or seconds.

    Args:
        refresh_after: older credentials are stale: they stay in use, and are refreshed in the background. Each process
            draws a moment between half of this time and all of it, so that not all ask at once. The Moss API may replace
            it, by 1 minute to 24 hours, with `Cache-Control: max-age`.
        expire_after: older credentials are not used; `None`: they never expire. The default covers a weekend (63 hours)
            without the Moss API.
        attempt_timeout: longest time for one request, from name lookup to the last byte; at most a day.
        attempts: most requests of `create`, `from_env` and `refresh`, 1 or more; a background refresh makes one.
        total_timeout: longest time for all attempts of those calls and the pauses between them; at most a day.
        max_rejections: token creation is suspended after this number of rejections in a row (HTTP 401, 403, 404, 410) ...
        rejection_window: ... over at least this time; 0 or more. Fewer may be a short fault of the Moss API.
        max_retry_after: longest `Retry-After` that is obeyed.

    Raises:
        InvalidArgument: a value is out of range, or `refresh_after` is longer than `expire_after`; `field` names it.
    """

    refresh_after: timedelta | float = timedelta(hours=1)
    expire_after: timedelta | float | None = timedelta(hours=72)
    attempt_timeout: timedelta | float = timedelta(seconds=5)
    attempts: int = 3
    total_timeout: timedelta | float = timedelta(seconds=8)
    max_rejections: int = 3
    rejection_window: timedelta | float = timedelta(minutes=10)
    max_retry_after: timedelta | float = timedelta(minutes=5)

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name in ("attempts", "max_rejections"):
                if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                    raise invalid(each.name, "must be an integer >= 1")
            elif each.name != "expire_after" or value is not None:
                time = _validation.seconds(value, _LONGEST)
                if time is None or (time == 0 and each.name != "rejection_window"):
                    raise invalid(each.name, "must be a timedelta or a number of seconds, finite and positive")
        for name in ("attempt_timeout", "total_timeout"):
            if seconds(getattr(self, name)) > _MAX_TIMEOUT:
                raise invalid(name, "must be at most 24 hours")
        if self.expire_after is not None and seconds(self.refresh_after) > seconds(self.expire_after):
            problem = "is longer than expire_after, so credentials would expire before their refresh"
            raise invalid("refresh_after", problem, "pass a shorter refresh_after")


@dataclass(frozen=True)
class CredentialsStatus:
    """The state of the credentials. It contains no secret, and a health check may show it.

    Args:
        state: "empty" (not fetched yet), "fresh", "stale" (in use, a refresh is due), "expired" (too old to use) or
            "rejected" (the Moss API rejected the request repeatedly).
        age: seconds since the Moss API last confirmed them; `None` when empty or static.
        last_error: class name of the latest failure since the last success, or `None`.
        next_attempt_in: seconds until the next refresh may start, 0.0 if it may start now; `None` if none is due.
        fingerprint: 12 hexadecimal digits that tell API keys apart, or `None`; a hash of the key ID, not of the secret.
    """

    state: State
    age: float | None
    last_error: str | None
    next_attempt_in: float | None
    fingerprint: str | None


def seconds(value: timedelta | float) -> float:
    """A time of a policy in seconds."""
    return value.total_seconds() if isinstance(value, timedelta) else float(value)
