"""Credentials: how they are kept fresh (`RefreshPolicy`) and how they are at the moment (`CredentialsStatus`)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import timedelta
from math import isfinite
from typing import Literal

from .errors import InvalidArgument

_LONGEST_WAIT = 24 * 3600.0  # seconds

State = Literal["empty", "fresh", "stale", "expired", "rejected"]


@dataclass(frozen=True)
class RefreshPolicy:
    """When credentials are fetched again, and how patiently. Times are `timedelta` or seconds.

    Args:
        refresh_after: credentials older than this are renewed in the background while they go on serving. Each process draws its
            own moment between half of it and all of it, so that a fleet does not ask at once. The Moss API may move it, to
            between 1 minute and 24 hours, with `Cache-Control: max-age`.
        expire_after: credentials older than this serve no more, also where nobody asked for a token meanwhile and so nobody
            renewed them; `None`: they serve for ever. The default carries an application over a weekend (63 hours) without
            the Moss API.
        attempt_timeout: how long one request may take, from name look-up to the last byte.
        attempts: how many requests `create`, `from_env` and `refresh` make at most; the background makes one.
        total_timeout: how long those calls take at most, all attempts and pauses together.
        denials: so many refusals in a row (401, 403, 404, 410) ...
        rejection_window: ... over at least this time stop minting; fewer may be a mishap at the other end.
        max_retry_after: the longest `Retry-After` that is obeyed.

    Raises:
        InvalidArgument: for a time that is not positive and finite, `attempts` or `max_rejections` below 1, a `refresh_after` beyond
            `expire_after`, or an `attempt_timeout` or `total_timeout` of more than a day.
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
                    raise InvalidArgument(f"{each.name} must be a whole number from 1 on", field=each.name)
            elif not (each.name == "expire_after" and value is None) and not _is_time(
                value, zero=each.name == "rejection_window"
            ):
                raise InvalidArgument(
                    f"{each.name} must be a timedelta or a number of seconds, finite and above zero", field=each.name
                )
        for name in ("attempt_timeout", "total_timeout"):
            if seconds(getattr(self, name)) > _LONGEST_WAIT:
                # The system's clocks and locks overflow somewhere beyond; and somebody is waiting.
                raise InvalidArgument(f"{name} must be a day at most: somebody is waiting for the fetch", field=name)
        if self.expire_after is not None and seconds(self.refresh_after) > seconds(self.expire_after):
            raise InvalidArgument(
                "refresh_after is beyond expire_after: credentials would expire before their renewal",
                field="refresh_after",
            )


@dataclass(frozen=True)
class CredentialsStatus:
    """How the credentials are. It holds nothing secret and may be shown on a health page.

    Args:
        state: "empty" (none yet), "fresh", "stale" (serving, renewal is due), "expired" (too old to serve), "rejected" (Moss has
            refused repeatedly).
        age: seconds since the Moss API last confirmed them; `None` when empty or given by hand.
        last_error: class name of the latest failure since the last success, or `None`.
        next_attempt_in: seconds until another attempt may be made, 0.0 when one may be made now; `None` when none is due.
        fingerprint: 12 hexadecimal digits that tell key ids apart, or `None`; a hash of the key id, not of the secret.
    """

    state: State
    age: float | None
    last_error: str | None
    next_attempt_in: float | None
    fingerprint: str | None


def seconds(value: timedelta | float) -> float:
    """A time of a policy as seconds."""
    return value.total_seconds() if isinstance(value, timedelta) else float(value)


def _is_time(value: object, *, zero: bool) -> bool:
    if not isinstance(value, (timedelta, int, float)) or isinstance(value, bool):
        return False
    try:
        number = seconds(value)
    except OverflowError:  # an int that no float can hold
        return False
    return isfinite(number) and (number > 0 or (zero and number == 0))
