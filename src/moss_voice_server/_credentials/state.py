"""State of the cache: pure rules over one immutable record, two clocks and a random number.

    empty ── success ──▶ fresh ── refresh_after ──▶ stale ── expire_after ──▶ expired
                           ▲                          │                          │
                           └──────── success ─────────┴──────── success ─────────┤
                                                                                 │
    any ── `max_rejections` in a row over `rejection_window` ──▶ rejected ───────┘

A fresh or stale value is served. One rejection makes a fresh value stale: it is still served, and a refresh is due.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf
from typing import Any, Generic, NamedTuple

from .._http.model import Failure
from ..credentials import CredentialsStatus, RefreshPolicy, State, seconds
from .source import Fetched, NotModified, Result, Value

Uniform = Callable[[float, float], float]

# Jitter is always the upper half of the figure (AWS Architecture Blog, "Exponential Backoff And Jitter"): it spreads the
# processes of a fleet, and never asks much earlier than the figure says.
_JITTER = (0.5, 1.0)
_LONGEST_EXPONENT = 5  # both backoffs reach their maximum by 2**5, and larger powers would overflow after long outages

# Callers that wait: the first failure is over soon in most outages, and a burst of calls must not become a burst of requests.
FOREGROUND_BACKOFF = 1.0
MAX_FOREGROUND_BACKOFF = 30.0
# After a rejection only a person can help: long enough to stop a retry loop, short enough to test a corrected key.
REJECTED_FOREGROUND_BACKOFF = (1.0, 5.0)

# No caller waits while the cached value is served, so an outage is asked about rarely: at most every 10 minutes.
BACKGROUND_BACKOFF = 30.0
MAX_BACKGROUND_BACKOFF = 600.0
# Nothing is served in this state: ask often enough to notice within a minute that requests are accepted again.
REJECTED_BACKGROUND_BACKOFF = (30.0, 60.0)


class Instant(NamedTuple):
    """One moment on both clocks."""

    wall: float
    mono: float

    def since(self, then: Instant) -> float:
        """Elapsed seconds: the larger of the two clocks' answers.

        The monotonic clock stops while a machine sleeps or a function is frozen, and the wall clock can be set back. The
        larger answer errs towards an early refresh.
        """
        return max(self.wall - then.wall, self.mono - then.mono, 0.0)


NEVER = Instant(-inf, -inf)


@dataclass(frozen=True)
class CacheState(Generic[Value]):
    """All that the cache remembers. It is replaced as a whole, so a reader always sees one generation."""

    value: Value | None = None
    fetched_at: Instant = NEVER
    refresh_after: float = 0.0
    """Seconds after `fetched_at` when a refresh is due; drawn at random from the upper half of `max_refresh_after`."""
    max_refresh_after: float = 0.0
    expire_after: float = inf
    etag: str = ""
    failure: Failure | None = None
    """The latest failure since the last success."""
    failed_at: Instant = NEVER
    failures: int = 0
    """Failures in a row."""
    foreground_backoff: float = 0.0
    """Seconds after `failed_at` during which `refresh()` raises that failure instead of asking again."""
    background_backoff: float = 0.0
    """The same for background refreshes while credentials are served, or the state is rejected."""
    rejections: int = 0
    """Rejections in a row."""
    first_rejected_at: Instant = NEVER
    is_rejected: bool = False
    previous: Value | None = None
    """The value before this one, if it was another."""
    replaced_at: Instant = NEVER
    fresh_until: Instant = NEVER
    """The value is fresh until either clock gets here: all that a mint looks at."""


def state_at(state: CacheState[Any], now: Instant) -> State:
    """Which of the five states it is."""
    if state.value is None:
        return "empty"
    if state.is_rejected:
        return "rejected"
    age = now.since(state.fetched_at)
    if age >= state.expire_after:
        return "expired"
    return "stale" if age >= state.refresh_after or state.rejections else "fresh"


def is_served(name: State) -> bool:
    """Whether a value in this state may be used."""
    return name in ("fresh", "stale")


def after(
    state: CacheState[Value], result: Result[Value], policy: RefreshPolicy, now: Instant, uniform: Uniform
) -> CacheState[Value]:
    """The state after a refresh."""
    if isinstance(result, Failure):
        return after_failure(state, result, policy, now, uniform)
    return after_success(state, result, policy, now, uniform)


def after_success(
    state: CacheState[Value],
    result: Fetched[Value] | NotModified,
    policy: RefreshPolicy,
    now: Instant,
    uniform: Uniform,
) -> CacheState[Value]:
    """The state after a new value, or after the confirmation of the cached one."""
    expire_after = inf if policy.expire_after is None else seconds(policy.expire_after)
    longest = seconds(policy.refresh_after) if result.max_age is None else result.max_age
    max_refresh_after = min(longest, expire_after)
    refresh_after = max_refresh_after * uniform(*_JITTER)
    old = state.value
    new = old if isinstance(result, NotModified) else result.value
    is_replaced = new is not None and old is not None and not new.same_as(old)
    return CacheState(
        value=new,
        fetched_at=now,
        refresh_after=refresh_after,
        max_refresh_after=max_refresh_after,
        expire_after=expire_after,
        etag=state.etag if isinstance(result, NotModified) else result.etag,
        previous=old if is_replaced else state.previous,
        replaced_at=now if is_replaced else state.replaced_at,
        fresh_until=_later(now, refresh_after),
    )


def after_failure(
    state: CacheState[Value], failure: Failure, policy: RefreshPolicy, now: Instant, uniform: Uniform
) -> CacheState[Value]:
    """The state after a failure. The cached value stays, whatever the failure was."""
    rejections = state.rejections + 1 if failure.is_rejection else 0
    first = state.first_rejected_at if state.rejections and failure.is_rejection else now
    # Only a success ends this state: a failure of another kind does not show that requests are accepted again.
    is_rejected = state.is_rejected or (
        rejections >= policy.max_rejections
        and state.value is not None
        and now.since(first) >= seconds(policy.rejection_window)
    )
    failures = state.failures + 1
    if failure.is_rejection:
        foreground = uniform(*REJECTED_FOREGROUND_BACKOFF)
    else:
        foreground = backoff(failures, FOREGROUND_BACKOFF, MAX_FOREGROUND_BACKOFF, uniform)
    if is_rejected:
        background = uniform(*REJECTED_BACKGROUND_BACKOFF)
    else:
        background = backoff(failures, BACKGROUND_BACKOFF, MAX_BACKGROUND_BACKOFF, uniform)
    refresh_is_due = rejections > 0 or is_rejected
    asked = failure.retry_after or 0.0
    return replace(
        state,
        failure=failure,
        failed_at=now,
        failures=failures,
        foreground_backoff=max(foreground, asked),
        background_backoff=max(background, asked),
        rejections=rejections,
        first_rejected_at=first,
        is_rejected=is_rejected,
        fresh_until=NEVER if refresh_is_due else _later(state.fetched_at, state.refresh_after),
    )


def backoff(failures: int, first: float, longest: float, uniform: Uniform) -> float:
    """Seconds to wait after so many failures in a row: `first`, doubled by each failure up to `longest`, with jitter."""
    return min(longest, first * 2.0 ** min(failures - 1, _LONGEST_EXPONENT)) * uniform(*_JITTER)


def rejittered(state: CacheState[Value], uniform: Uniform) -> CacheState[Value]:
    """The state of a forked child, with its own random refresh time: the children of one parent must not all ask at once."""
    if state.value is None or state.rejections or state.is_rejected:
        return state
    refresh_after = state.max_refresh_after * uniform(*_JITTER)
    return replace(state, refresh_after=refresh_after, fresh_until=_later(state.fetched_at, refresh_after))


def retry_delay(state: CacheState[Any], now: Instant, *, background: bool) -> float:
    """Seconds before another refresh may start, in the background or for a caller that waits."""
    if state.failure is None:
        return 0.0
    is_patient = background and state_at(state, now) in ("fresh", "stale", "rejected")
    delay = state.background_backoff if is_patient else state.foreground_backoff
    return max(0.0, delay - now.since(state.failed_at))


def status(state: CacheState[Any], now: Instant) -> CredentialsStatus:
    """What an operator may see."""
    name = state_at(state, now)
    is_due = name in ("stale", "expired", "rejected") or (name == "empty" and state.failure is not None)
    return CredentialsStatus(
        state=name,
        age=None if state.fetched_at == NEVER else now.since(state.fetched_at),
        last_error=state.failure.error_type.__name__ if state.failure else None,
        next_attempt_in=retry_delay(state, now, background=True) if is_due else None,
        fingerprint=None if state.value is None else state.value.fingerprint,
    )


def _later(instant: Instant, delay: float) -> Instant:
    return Instant(instant.wall + delay, instant.mono + delay)
