"""Flow: sends one request until it succeeds, as a generator that yields attempts and receives what came back.

It decides when to retry; a driver waits and sends. Sync and async callers share it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from typing import Any, NamedTuple, TypeVar

from ..errors import MossVoiceError
from .model import Answer, Attempt, Failure, Request, Response, TransportError

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


def with_retries(
    request: Request,
    classify: Callable[[Response], tuple[Result, bool]],
    unavailable: type[MossVoiceError],
    policy: RetryPolicy,
    timing: Timing,
) -> Flow[Result | Failure]:
    """Sends the request until `classify` says that a retry does not help, or the policy ends it.

    `classify` returns what a response means, and whether another attempt may bring a better one. Without a response, the
    failure has the class `unavailable`. The text of a failure says how many attempts were made.
    """
    end = timing.mono() + policy.total_timeout
    delay, number = 0.0, 1
    while True:
        timeout = min(policy.attempt_timeout, end - timing.mono() - delay)
        answer = yield Attempt(request, delay, timeout)
        result: Result | Failure
        requested = None
        if isinstance(answer, TransportError):
            message = f"request to {request.peer.name} failed: {answer.message}"
            result, retry = Failure(unavailable, message, answer.remedy), answer.retry
        else:
            result, retry = classify(answer)
            asked = retry_after(answer, timing.wall()) if retry else None
            requested = None if asked is None else min(asked, policy.max_retry_after)
        delay = min(_MAX_BACKOFF, _FIRST_BACKOFF * 2 ** (number - 1)) * timing.uniform(0.5, 1.0)
        delay = max(delay, requested or 0.0)
        if not retry or number == policy.attempts or end - timing.mono() - delay < _SHORTEST_ATTEMPT:
            if not isinstance(result, Failure):
                return result
            count = f" ({number} attempts)" if number > 1 else ""
            return result._replace(message=result.message + count, retry_after=requested)
        number += 1


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
