"""Freshness: the credentials' life cycle as pure rules over what is remembered, two clocks and a random number.

    EMPTY ── success ──▶ FRESH ── soft age ──▶ SOFT ── hard age ──▶ HARD
                           ▲                     │                    │
                           └────── success ──────┴──── success ───────┤
                                                                      │
    any ── `max_rejections` refusals in a row over `rejection_window` ──▶ DENIED ─┘

FRESH and SOFT mint. A refusal with credentials in hand makes FRESH credentials SOFT: a renewal is due, serving goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import NamedTuple

from .._duration import format_duration
from ..credentials import CredentialsStatus, RefreshPolicy, State, seconds
from ..errors import CredentialsRejected, CredentialsUnavailable
from .fetch import Failure, Fetched, NotModified
from .response import Credentials

Uniform = Callable[[float, float], float]


class Instant(NamedTuple):
    """One moment on both clocks."""

    wall: float
    mono: float

    def since(self, then: Instant) -> float:
        """Seconds gone by: the larger of the two clocks' answers.

        The monotonic clock stands still while a machine sleeps or a function is frozen, the wall clock can be set back; the
        larger answer errs towards asking again.
        """
        return max(self.wall - then.wall, self.mono - then.mono, 0.0)


BEGINNING = Instant(-inf, -inf)


class Record(NamedTuple):
    """All that is remembered. Never changed, only exchanged whole, so that a reader sees one generation."""

    credentials: Credentials | None = None
    fetched: Instant = BEGINNING
    soft: float = 0.0
    """Seconds after `fetched` when a renewal is due; drawn from the upper half of `softest`."""
    softest: float = 0.0
    hard: float = inf
    etag: str = ""
    failure: Failure | None = None
    """The latest failure since the last success."""
    failed: Instant = BEGINNING
    failures: int = 0
    """Failures in a row."""
    hold: float = 0.0
    """Seconds after `failed` during which callers who would wait get that failure instead."""
    pause: float = 0.0
    """The same for the background while the credentials still serve."""
    max_rejections: int = 0
    """Refusals in a row."""
    denied_since: Instant = BEGINNING
    denied: bool = False
    fresh_wall: float = -inf
    fresh_mono: float = -inf
    """FRESH lasts until either clock gets here: all that a mint looks at."""


def by_hand(credentials: Credentials) -> Record:
    """Credentials that were given and not fetched: they stay fresh."""
    return Record(credentials, soft=inf, fresh_wall=inf, fresh_mono=inf)


def state(record: Record, now: Instant) -> State:
    """Which of the five states it is."""
    if record.credentials is None:
        return "empty"
    if record.denied:
        return "rejected"
    age = 0.0 if record.soft == inf else now.since(record.fetched)
    if age >= record.hard:
        return "expired"
    return "stale" if age >= record.soft or record.max_rejections else "fresh"


def succeeded(
    record: Record, outcome: Fetched | NotModified, policy: RefreshPolicy, now: Instant, uniform: Uniform
) -> Record:
    """After new credentials, or the word that the ones in hand are current."""
    hard = inf if policy.expire_after is None else seconds(policy.expire_after)
    longest = seconds(policy.refresh_after) if outcome.max_age is None else outcome.max_age
    softest = min(longest, hard)
    soft = softest * uniform(0.5, 1.0)
    return Record(
        credentials=outcome.credentials if isinstance(outcome, Fetched) else record.credentials,
        fetched=now,
        soft=soft,
        softest=softest,
        hard=hard,
        etag=outcome.etag if isinstance(outcome, Fetched) else record.etag,
        fresh_wall=now.wall + soft,
        fresh_mono=now.mono + soft,
    )


def failed(record: Record, failure: Failure, policy: RefreshPolicy, now: Instant, uniform: Uniform) -> Record:
    """After a failure; the credentials in hand stay, whatever it was."""
    refused = failure.kind is CredentialsRejected
    max_rejections = record.max_rejections + 1 if refused else 0
    since = record.denied_since if record.max_rejections and refused else now
    # Once DENIED, only a success leads out: another kind of failure is no sign that the refusal is over.
    denied = record.denied or (
        max_rejections >= policy.max_rejections
        and record.credentials is not None
        and now.since(since) >= seconds(policy.rejection_window)
    )
    failures = record.failures + 1
    asked = failure.retry_after or 0.0
    hold = uniform(1.0, 5.0) if refused else min(30.0, 2.0 ** min(failures - 1, 5)) * uniform(0.5, 1.0)
    pause = uniform(30.0, 60.0) if denied else min(600.0, 30.0 * 2.0 ** min(failures - 1, 5)) * uniform(0.5, 1.0)
    renew = max_rejections > 0 or denied
    return record._replace(
        failure=failure,
        failed=now,
        failures=failures,
        hold=max(hold, asked),
        pause=max(pause, asked),
        max_rejections=max_rejections,
        denied_since=since,
        denied=denied,
        fresh_wall=-inf if renew else record.fetched.wall + record.soft,
        fresh_mono=-inf if renew else record.fetched.mono + record.soft,
    )


def redrawn(record: Record, uniform: Uniform) -> Record:
    """The same in a forked child, with its own soft age: the children of one parent must not all ask at once."""
    if record.credentials is None or record.soft == inf or record.max_rejections or record.denied:
        return record
    soft = record.softest * uniform(0.5, 1.0)
    return record._replace(soft=soft, fresh_wall=record.fetched.wall + soft, fresh_mono=record.fetched.mono + soft)


def waiting(record: Record, now: Instant, *, background: bool) -> float:
    """Seconds before another attempt may be made, by a caller who waits or in the background."""
    if record.failure is None:
        return 0.0
    patient = background and state(record, now) in ("fresh", "stale", "rejected")
    return max(0.0, (record.pause if patient else record.hold) - now.since(record.failed))


def refusal(record: Record, now: Instant) -> Failure:
    """Why a mint in HARD, DENIED or EMPTY cannot be served."""
    why = record.failure.text if record.failure else "a fetch has been started, try again in a second"
    if record.denied:
        # The latest failure may be of another kind, whose text alone would say that it passes by itself.
        return Failure(CredentialsRejected, f"the Moss API has refused repeatedly, so no tokens are made: {why}")
    kind = record.failure.kind if record.failure else CredentialsUnavailable
    if record.credentials is None:
        return Failure(kind, f"there are no LiveKit credentials yet: {why}")
    return Failure(
        kind, f"the LiveKit credentials are older than {format_duration(record.hard)} and serve no more: {why}"
    )


def status(record: Record, now: Instant) -> CredentialsStatus:
    """What an operator may see."""
    current = state(record, now)
    due = current in ("stale", "expired", "rejected") or (current == "empty" and record.failure is not None)
    return CredentialsStatus(
        state=current,
        age=None if record.fetched == BEGINNING else now.since(record.fetched),
        last_error=record.failure.kind.__name__ if record.failure else None,
        next_attempt_in=waiting(record, now, background=True) if due else None,
        fingerprint=record.credentials.signer.fingerprint if record.credentials else None,
    )
