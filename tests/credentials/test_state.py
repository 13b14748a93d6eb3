"""The credentials' life cycle as pure rules: five states, two clocks, and what success and failure leave behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import pytest

from moss_voice_server._credentials.fetch import TEXTS
from moss_voice_server._credentials.source import Fetched, NotModified
from moss_voice_server._credentials.state import Instant, rejittered, retry_delay, state_at, status
from moss_voice_server._http.model import Failure
from moss_voice_server.credentials import CredentialsStatus, RefreshPolicy
from moss_voice_server.errors import CredentialsInvalid, CredentialsRejected, CredentialsUnavailable
from tests.support.states import (
    EMPTY,
    FETCHED,
    HOUR,
    LEAST,
    MOST,
    ONE,
    OUTAGE,
    REJECTION,
    TWO,
    Step,
    at,
    credentials,
    failing,
    life,
)

DAY = 24 * HOUR
SAME = NotModified()
REJECTED = [FETCHED, *failing(REJECTION, 0, 300, 600)]


class Life(NamedTuple):
    """What happened, and what holds at a moment: the state, and the seconds before another refresh may start."""

    steps: list[Step]
    now: Instant
    state: str
    foreground: float = 0.0
    background: float = 0.0


LIVES: dict[str, Life] = {
    # Age goes by the clock that has advanced further: one stops while a machine sleeps, the other may be set back.
    "nothing was fetched": Life([], at(0), "empty"),
    "just fetched": Life([FETCHED], at(0), "fresh"),
    "not quite an hour": Life([FETCHED], at(HOUR - 0.001), "fresh"),
    "an hour": Life([FETCHED], at(HOUR), "stale"),
    "not quite 72 hours": Life([FETCHED], at(72 * HOUR - 0.001), "stale"),
    "72 hours": Life([FETCHED], at(72 * HOUR), "expired"),
    "the machine slept": Life([FETCHED], at(2 * HOUR, 0), "stale"),
    "the machine slept too long": Life([FETCHED], at(80 * HOUR, 0), "expired"),
    "the wall clock stood": Life([FETCHED], at(0, 2 * HOUR), "stale"),
    "the wall clock was set back": Life([FETCHED], at(-11 * DAY, 60), "fresh"),
    "set back, and an hour": Life([FETCHED], at(-11 * DAY, HOUR), "stale"),
    "set back, and 72 hours": Life([FETCHED], at(-11 * DAY, 72 * HOUR), "expired"),
    "both clocks were set back": Life([FETCHED], at(-HOUR, -HOUR), "fresh"),
    # A success ends everything before it.
    "confirmed": Life([FETCHED, (HOUR, SAME)], at(1.5 * HOUR), "fresh"),
    "confirmed after an outage": Life([FETCHED, (HOUR, OUTAGE), (HOUR, SAME)], at(HOUR), "fresh"),
    "confirmed after rejections": Life([*REJECTED, (700, OUTAGE), (800, SAME)], at(800), "fresh"),
    # Failures leave the value in use. Without one, each second is an outage of the application: background as foreground.
    "outage of fresh ones": Life([FETCHED, (10, OUTAGE)], at(10), "fresh", 1, 30),
    "outage of stale ones": Life([FETCHED, (HOUR, OUTAGE)], at(HOUR), "stale", 1, 30),
    "unusable response": Life([FETCHED, (HOUR, Failure(CredentialsInvalid, "odd"))], at(HOUR), "stale", 1, 30),
    "outage until they expire": Life([FETCHED, (HOUR, OUTAGE)], at(72 * HOUR), "expired"),
    "outage of expired ones": Life([FETCHED, (73 * HOUR, OUTAGE)], at(73 * HOUR), "expired", 1, 1),
    "outage at the start": Life([(0, OUTAGE)], at(0), "empty", 1, 1),
    "backoff of the start": Life([(0, OUTAGE)], at(0.25), "empty", 0.75, 0.75),
    "backoff is over": Life([(0, OUTAGE)], at(1), "empty"),
    "backoff, asleep": Life([(0, OUTAGE)], at(7200, 0), "empty"),
    "backoff, set back": Life([(0, OUTAGE)], at(-7200, 0), "empty", 1, 1),
    # The API's Retry-After lengthens both delays and shortens none.
    "Retry-After": Life([FETCHED, (HOUR, OUTAGE._replace(retry_after=300.0))], at(HOUR), "stale", 300, 300),
    "short Retry-After": Life([FETCHED, (HOUR, OUTAGE._replace(retry_after=0.1))], at(HOUR), "stale", 1, 30),
    # One bad deploy at the API must not stop every customer: it takes three rejections in a row, over ten minutes.
    "one rejection": Life([FETCHED, *failing(REJECTION, 10)], at(10), "stale", 5, 30),
    "two": Life([FETCHED, *failing(REJECTION, 10, 2000)], at(2000), "stale", 5, 60),
    "three at once": Life([FETCHED, *failing(REJECTION, 10, 20, 30)], at(30), "stale", 5, 120),
    "three, too quick": Life([FETCHED, *failing(REJECTION, 10, 300, 609)], at(609), "stale", 5, 120),
    "three over ten minutes": Life([FETCHED, *failing(REJECTION, 10, 300, 610)], at(610), "rejected", 5, 60),
    "four, too quick": Life([FETCHED, *failing(REJECTION, 10, 20, 30, 609)], at(609), "stale", 5, 240),
    "four over ten minutes": Life([FETCHED, *failing(REJECTION, 10, 20, 30, 610)], at(610), "rejected", 5, 60),
    "outage in between": Life(
        [*REJECTED[:3], (600, OUTAGE), *failing(REJECTION, 900, 1300)], at(1300), "stale", 5, 480
    ),
    "three after it": Life(
        [*REJECTED[:3], (600, OUTAGE), *failing(REJECTION, 900, 999, 1500)], at(1500), "rejected", 5, 60
    ),
    "at the start": Life(failing(REJECTION, 0, 300, 600, 900), at(900), "empty", 5, 5),
    # Only a success ends it.
    "outage of rejected ones": Life([*REJECTED, (700, OUTAGE)], at(700), "rejected", 8, 60),
    "rejected ones that are old": Life([*REJECTED, (700, OUTAGE)], at(100 * HOUR), "rejected"),
}


@pytest.mark.parametrize("row", LIVES.values(), ids=LIVES)
def test_life(row: Life) -> None:
    """The state and both backoffs; the two times that a mint compares mean `fresh`; the value stays."""
    state = life(*row.steps)

    assert (row.state, row.state == "rejected") == (state_at(state, row.now), state.is_rejected)
    delays = tuple(retry_delay(state, row.now, background=background) for background in (False, True))
    assert (row.foreground, row.background) == delays
    fast = row.now.wall < state.fresh_until.wall and row.now.mono < state.fresh_until.mono
    assert (row.state == "fresh") is fast
    assert (ONE if FETCHED in row.steps else None) is state.value


@pytest.mark.parametrize(("uniform", "factor"), [(LEAST, 0.5), (MOST, 1.0)], ids=["least", "most"])
def test_backoff_after_outages(uniform: Callable[[float, float], float], factor: float) -> None:
    """In the foreground 1 to 30 seconds; in the background, while the credentials serve, 30 seconds to 10 minutes."""
    foreground, background = [1, 2, 4, 8, 16, 30, 30, 30], [30, 60, 120, 240, 480, 600, 600, 600]
    for number, expected in enumerate(zip(foreground, background, strict=True), 1):
        state = life(FETCHED, *failing(OUTAGE, *[HOUR] * number), uniform=uniform)
        delays = [retry_delay(state, at(HOUR), background=each) for each in (False, True)]
        assert [factor * each for each in expected] == delays


def test_year_of_failures() -> None:
    """It overflows nothing."""
    assert 30.0 == retry_delay(life(*failing(OUTAGE, *[0] * 2000)), at(0), background=False)


@pytest.mark.parametrize(
    ("uniform", "refresh_after", "rejected"), [(LEAST, HOUR / 2, (1, 30)), (MOST, HOUR, (5, 60))], ids=["least", "most"]
)
def test_random_figures(
    uniform: Callable[[float, float], float], refresh_after: float, rejected: tuple[float, float]
) -> None:
    """Not all servers refresh at once, and retry at once: the lowest and the highest figure of each draw."""
    for steps in ([FETCHED], [FETCHED, (HOUR, SAME)]):
        assert refresh_after == life(*steps, uniform=uniform).refresh_after
    state = life(*REJECTED, *failing(REJECTION, 700, 800), uniform=uniform)
    assert rejected == tuple(retry_delay(state, at(800), background=each) for each in (False, True))


def test_policy() -> None:
    """`max_rejections=1, rejection_window=0` stops at the first rejection; `expire_after=None` serves without end."""
    strict, endless = RefreshPolicy(max_rejections=1, rejection_window=0), RefreshPolicy(expire_after=None)
    assert "rejected" == state_at(life(*REJECTED[:2], policy=strict), at(0))
    assert "stale" == state_at(life(FETCHED, policy=endless), at(1e10))


def test_refresh_after_from_the_api() -> None:
    """The API's max-age replaces the policy's time, also as half of it, and never goes beyond `expire_after`."""
    assert 600.0 == life((0, Fetched(ONE, max_age=600.0))).refresh_after
    assert 300.0 == life((0, Fetched(ONE, max_age=600.0)), uniform=LEAST).refresh_after
    short = RefreshPolicy(refresh_after=60, expire_after=120)
    assert 120.0 == life((0, Fetched(ONE, max_age=86_400.0)), policy=short).refresh_after


def test_success_forgets_failures() -> None:
    """Nothing of an outage or a rejection is left after new credentials; the replaced ones are remembered."""
    alone = life((3000, Fetched(TWO)))
    assert replace(alone, previous=ONE, replaced_at=at(3000)) == life(*REJECTED, (3000, Fetched(TWO)))


def test_confirmation() -> None:
    """304 keeps credentials and tag. It, and a fetch of the same keys, keep the replaced credentials too."""
    state = life(FETCHED, (HOUR, SAME))
    assert (ONE, '"v1"', at(HOUR)) == (state.value, state.etag, state.fetched_at)

    state = life(FETCHED, (100, Fetched(TWO)), (200, Fetched(credentials(2))), (300, SAME))
    assert (ONE, at(100)) == (state.previous, state.replaced_at)


def test_fork() -> None:
    """A child draws its refresh time again, from the whole time; where no later one is planned it has the parent's state."""
    for state in (life(FETCHED, (10, OUTAGE)), life((0, Fetched(ONE, max_age=60.0)))):
        half = state.max_refresh_after / 2
        child = rejittered(state, LEAST)
        assert replace(state, refresh_after=half, fresh_until=at(half)) == child
        assert state == rejittered(child, MOST)
    for state in (EMPTY, life(*REJECTED[:2]), life(*REJECTED, (700, OUTAGE))):
        assert state == rejittered(state, LEAST)


KEY = ONE.fingerprint
STATUSES: list[tuple[list[Step], float, CredentialsStatus]] = [
    ([], 0, CredentialsStatus("empty", None, None, None, None)),
    ([(0, OUTAGE)], 0.5, CredentialsStatus("empty", None, "CredentialsUnavailable", 0.5, None)),
    ([FETCHED], 60, CredentialsStatus("fresh", 60.0, None, None, KEY)),
    ([FETCHED], -60, CredentialsStatus("fresh", 0.0, None, None, KEY)),
    ([FETCHED], HOUR, CredentialsStatus("stale", HOUR, None, 0.0, KEY)),
    ([FETCHED, (10, OUTAGE)], HOUR, CredentialsStatus("stale", HOUR, "CredentialsUnavailable", 0.0, KEY)),
    ([FETCHED, (HOUR, OUTAGE)], HOUR + 9, CredentialsStatus("stale", HOUR + 9, "CredentialsUnavailable", 21.0, KEY)),
    ([FETCHED], 72 * HOUR, CredentialsStatus("expired", 72 * HOUR, None, 0.0, KEY)),
    (REJECTED, 630, CredentialsStatus("rejected", 630.0, "CredentialsRejected", 30.0, KEY)),
]


@pytest.mark.parametrize(("steps", "moment", "expected"), STATUSES)
def test_status(steps: list[Step], moment: float, expected: CredentialsStatus) -> None:
    """Age, the class of the latest failure, seconds until the next attempt, and the key's fingerprint."""
    assert expected == status(life(*steps), at(moment))


@pytest.mark.parametrize(
    ("steps", "moment", "expected"),
    [
        ([(0, OUTAGE)], 0, CredentialsUnavailable),
        (failing(REJECTION, 0), 0, CredentialsRejected),
        ([FETCHED], 72 * HOUR, CredentialsUnavailable),
        ([FETCHED, (72 * HOUR, OUTAGE)], 72 * HOUR, CredentialsUnavailable),
        (REJECTED, 600, CredentialsRejected),
        ([*REJECTED, (601, OUTAGE)], 601, CredentialsRejected),
    ],
)
def test_error_has_the_class_of_its_cause(steps: list[Step], moment: float, expected: type[Exception]) -> None:
    """A mint's exception distinguishes an outage from a rejection, and always names the reason."""
    state = life(*steps)
    error = TEXTS.unusable(state, at(moment))

    assert expected is error.error_type
    assert ("suspended" in error.message) is state.is_rejected
    assert (state.failure.message if state.failure else "in progress") in error.message
