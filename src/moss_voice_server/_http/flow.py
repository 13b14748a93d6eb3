"""Flow: sends one request until it succeeds, as a generator that yields attempts and receives what came back.

It decides when to retry; a driver waits and sends. Sync and async callers share it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from typing import Any, NamedTuple, TypeVar

from .model import Answer, Attempt, Request, Response, TransportError

Result = TypeVar("Result")
Flow = Generator[Attempt, Answer, Result]

TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""The statuses of errors that may pass (RFC 9110, RFC 6585)."""
_FIRST_BACKOFF, _MAX_BACKOFF = 0.5, 4.0  # seconds
_SHORTEST_ATTEMPT = 0.05  # seconds; an attempt with less time than this cannot succeed


class Pause(NamedTuple):
    """Wait `delay` seconds and send nothing."""

    delay: float


Steps = Generator[Attempt | Pause, Any, Result]
"""Several flows with pauses between them: it yields what to send or how long to wait, and receives what came back.

Every flow is one, without pauses.
"""


class RetryPolicy(NamedTuple):
    """How often and how long to try, in seconds."""

    attempts: int
    attempt_timeout: float
    total_timeout: float
    max_retry_after: float


class Timing(NamedTuple):
    """The clocks and the random numbers that a flow uses."""

    mono: Callable[[], float]
    wall: Callable[[], float]
    uniform: Callable[[float, float], float]


class Effort(NamedTuple):
    """What a result took."""

    attempts: int
    retry_after: float | None
    """Seconds that the server asked the client to wait, within `RetryPolicy.max_retry_after`."""


def with_retries(
    request: Request,
    classify: Callable[[Answer], tuple[Result, bool]],
    policy: RetryPolicy,
    timing: Timing,
) -> Flow[tuple[Result, Effort]]:
    """Sends the request until `classify` says that a retry does not help, or the policy ends it.

    `classify` returns the result of an answer, and whether another attempt may bring a better one.
    """
    end = timing.mono() + policy.total_timeout
    delay, number = 0.0, 1
    while True:
        timeout = min(policy.attempt_timeout, end - timing.mono() - delay)
        answer = yield Attempt(request, delay, timeout)
        result, retry = classify(answer)
        requested = _requested_delay(answer, policy, timing) if retry else None
        delay = min(_MAX_BACKOFF, _FIRST_BACKOFF * 2 ** (number - 1)) * timing.uniform(0.5, 1.0)
        delay = max(delay, requested or 0.0)
        if not retry or number == policy.attempts or end - timing.mono() - delay < _SHORTEST_ATTEMPT:
            return result, Effort(number, requested)
        number += 1


def _requested_delay(answer: Answer, policy: RetryPolicy, timing: Timing) -> float | None:
    if isinstance(answer, TransportError):
        return None
    requested = retry_after(answer, timing.wall())
    return None if requested is None else min(requested, policy.max_retry_after)


def retry_after(response: Response, now: float) -> float | None:
    """The seconds of a valid `Retry-After` (RFC 9110, section 10.2.3), or `None`."""
    value = response.headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]+", value):
        return float(value)  # infinite for very many digits; the policy's maximum makes it finite
    date = http_date(value)
    return date - now if date is not None and date > now else None


def http_date(value: str) -> float | None:
    """Seconds since 1970 of a date in a header (RFC 9110, section 5.6.7); `None` if it is not a valid one."""
    # Not at the top: importing it takes a fifth of the time that importing this package takes.
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError, OverflowError, OSError):
        return None
