"""The credentials' life cycle as pure rules: five states, two clocks, and what success and failure leave behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moss_voice_server._credentials.fetch import TEXTS, parse
from moss_voice_server._credentials.model import Credentials, StaticCredentials
from moss_voice_server._credentials.source import Fetched, NotModified
from moss_voice_server._credentials.state import (
    CacheState,
    Instant,
    after_failure,
    after_success,
    rejittered,
    retry_delay,
    state_at,
    status,
)
from moss_voice_server._http.model import Failure
from moss_voice_server.credentials import CredentialsStatus, RefreshPolicy
from moss_voice_server.errors import CredentialsInvalid, CredentialsRejected, CredentialsUnavailable
from tests.support.simulation import good

HOUR = 3600.0
POLICY = RefreshPolicy()
START = Instant(1_800_000_000.0, 5_000.0)
LEAST: Callable[[float, float], float] = min
MOST: Callable[[float, float], float] = max
OUTAGE = Failure(CredentialsUnavailable, "connection refused")
REJECTION = Failure(CredentialsRejected, "rejected", is_rejection=True)
EMPTY = CacheState[Credentials]()
fractions = st.floats(0, 1)


def credentials(generation: int = 1) -> Credentials:
    """Credentials of that generation."""
    made = parse(good(generation).body)
    assert isinstance(made, Credentials)
    return made


ONE = credentials()


def after(seconds: float, start: Instant = START) -> Instant:
    """So many seconds later, on both clocks."""
    return Instant(start.wall + seconds, start.mono + seconds)


def fetched(
    policy: RefreshPolicy = POLICY, max_age: float | None = None, uniform: Callable[[float, float], float] = MOST
) -> CacheState[Credentials]:
    """The state after the first success."""
    return after_success(EMPTY, Fetched(ONE, '"v1"', max_age), policy, START, uniform)


def draw(fraction: float) -> Callable[[float, float], float]:
    """A fixed random number."""
    return lambda low, high: low + fraction * (high - low)


# --- states and ages ---------------------------------------------------------------------------------------


def test_empty() -> None:
    """Before the first fetch there are no credentials, and a fetch may start."""
    assert "empty" == state_at(EMPTY, START)
    assert 0.0 == retry_delay(EMPTY, START, background=False)
    assert CredentialsStatus("empty", None, None, None, None) == status(EMPTY, START)


AGES = [(0.0, "fresh"), (HOUR - 0.001, "fresh"), (HOUR, "stale"), (72 * HOUR - 0.001, "stale"), (72 * HOUR, "expired")]


@pytest.mark.parametrize(("age", "expected"), AGES)
def test_ages(age: float, expected: str) -> None:
    """Fresh until `refresh_after`, stale until 72 hours, then expired; with `expire_after=None` never."""
    assert expected == state_at(fetched(), after(age))
    assert "expired" != state_at(fetched(RefreshPolicy(expire_after=None)), after(age + 10.0**9))


@given(fractions)
def test_refresh_after_is_drawn(fraction: float) -> None:
    """Between half of the policy's time and all of it, so that not all servers refresh at once; anew each time."""
    state = fetched(uniform=draw(fraction))
    assert HOUR / 2 <= state.refresh_after <= HOUR
    assert HOUR / 2 == after_success(state, NotModified(None), POLICY, after(HOUR), LEAST).refresh_after


def test_refresh_after_from_the_api() -> None:
    """The API's max-age replaces it, also as half of it, and never goes beyond `expire_after`."""
    assert 600.0 == fetched(max_age=600.0).refresh_after
    assert 300.0 == fetched(max_age=600.0, uniform=LEAST).refresh_after
    short = RefreshPolicy(refresh_after=60, expire_after=120)
    assert 120.0 == fetched(short, max_age=86_400.0).refresh_after


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (Instant(START.wall + 2 * HOUR, START.mono), "stale"),
        (Instant(START.wall, START.mono + 2 * HOUR), "stale"),
        (Instant(START.wall - 11 * 86_400, START.mono + 60), "fresh"),
        (Instant(START.wall - 11 * 86_400, START.mono + 2 * HOUR), "stale"),
        (Instant(START.wall - 11 * 86_400, START.mono + 80 * HOUR), "expired"),
        (Instant(START.wall + 80 * HOUR, START.mono), "expired"),
        (Instant(START.wall - HOUR, START.mono - HOUR), "fresh"),
    ],
    ids=["frozen", "mono", "set-back", "set-back-2h", "set-back-80h", "frozen-80h", "both-back"],
)
def test_the_larger_clock_counts(moment: Instant, expected: str) -> None:
    """Age goes by the clock that has advanced further: one stops while a machine sleeps, the other may be set back."""
    assert expected == state_at(fetched(), moment)


@given(
    wall=st.floats(-1e7, 1e7),
    mono=st.floats(0, 1e7),
    fraction=fractions,
    rejections=st.integers(0, 4),
    outages=st.integers(0, 2),
)
def test_fast_path_agrees_with_the_state(
    wall: float, mono: float, fraction: float, rejections: int, outages: int
) -> None:
    """The two times that a mint compares mean `fresh` exactly when the full rule does, to a microsecond."""
    record = fetched(uniform=draw(fraction))
    for number in range(rejections):
        record = after_failure(record, REJECTION, POLICY, after(300.0 * number), draw(fraction))
    for _ in range(outages):
        record = after_failure(record, OUTAGE, POLICY, after(2000.0), draw(fraction))
    now = Instant(START.wall + wall, START.mono + mono)

    fast = now.wall < record.fresh_until.wall and now.mono < record.fresh_until.mono

    if abs(now.since(START) - record.refresh_after) > 1e-6:
        assert (state_at(record, now) == "fresh") is fast


def test_static_credentials_stay_fresh() -> None:
    """Credentials that were passed in do not age."""
    kept = StaticCredentials(ONE)
    assert (inf, inf, ONE) == kept.fast_path
    assert CredentialsStatus("fresh", None, None, None, ONE.fingerprint) == kept.status()


# --- success -----------------------------------------------------------------------------------------------


def test_success_forgets_failures() -> None:
    """New credentials end an outage and a rejection: nothing of them is left."""
    record = fetched()
    for number in range(5):
        record = after_failure(record, REJECTION, POLICY, after(600.0 * number), MOST)
    assert "rejected" == state_at(record, after(3000.0))

    two = credentials(2)
    record = after_success(record, Fetched(two, "", None), POLICY, after(3000.0), MOST)

    alone = after_success(EMPTY, Fetched(two, "", None), POLICY, after(3000.0), MOST)
    assert replace(alone, previous=ONE, replaced_at=after(3000.0)) == record
    assert (two, after(3000.0), None, 0) == (record.value, record.fetched_at, record.failure, record.rejections)


def test_previous_value() -> None:
    """The replaced credentials are kept, also after a fetch of the same keys and after 304."""
    two = credentials(2)
    record = after_success(fetched(), Fetched(two, "", None), POLICY, after(100.0), MOST)
    record = after_success(record, Fetched(credentials(2), "", None), POLICY, after(200.0), MOST)
    record = after_success(record, NotModified(None), POLICY, after(300.0), MOST)
    assert (ONE, after(100.0)) == (record.previous, record.replaced_at)


def test_not_modified_confirms() -> None:
    """304: the same credentials and tag, with an age of zero."""
    record = after_success(fetched(), NotModified(None), POLICY, after(HOUR), MOST)

    assert (ONE, '"v1"', after(HOUR)) == (record.value, record.etag, record.fetched_at)
    assert "fresh" == state_at(record, after(1.5 * HOUR))


# --- failure -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [OUTAGE, REJECTION, Failure(CredentialsInvalid, "odd")])
def test_failure_keeps_the_credentials(failure: Failure) -> None:
    """After any failure the credentials stay in use, with their age."""
    record = after_failure(fetched(), failure, POLICY, after(HOUR), MOST)

    assert (ONE, START, '"v1"') == (record.value, record.fetched_at, record.etag)
    assert "stale" == state_at(record, after(HOUR))
    assert "expired" == state_at(record, after(72 * HOUR))


@pytest.mark.parametrize(("uniform", "factor"), [(LEAST, 0.5), (MOST, 1.0)], ids=["least", "most"])
def test_backoff_after_outages(uniform: Callable[[float, float], float], factor: float) -> None:
    """In the foreground 1 to 30 seconds; in the background, while the credentials serve, 30 seconds to 10 minutes."""
    state, delays = fetched(), []
    for _ in range(8):
        state = after_failure(state, OUTAGE, POLICY, after(HOUR), uniform)
        delays.append([retry_delay(state, after(HOUR), background=background) for background in (False, True)])

    foreground, background_ = (
        [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0],
        [30.0, 60.0, 120.0, 240.0, 480.0, 600.0, 600.0, 600.0],
    )
    assert [[factor * one, factor * other] for one, other in zip(foreground, background_, strict=True)] == delays
    state = replace(EMPTY, failures=100_000)  # a year of failures overflows nothing
    assert 30.0 == retry_delay(after_failure(state, OUTAGE, POLICY, START, MOST), START, background=False)


@pytest.mark.parametrize("background", [False, True])
def test_background_is_as_quick_without_credentials(background: bool) -> None:
    """Empty and expired have the short backoff: every second of them is an outage of the application."""
    empty = after_failure(EMPTY, OUTAGE, POLICY, START, MOST)
    expired = after_failure(fetched(), OUTAGE, POLICY, after(73 * HOUR), MOST)

    assert 1.0 == retry_delay(empty, START, background=background)
    assert 1.0 == retry_delay(expired, after(73 * HOUR), background=background)


@given(fractions)
def test_backoff_after_a_rejection(fraction: float) -> None:
    """One to five seconds, however many."""
    record = EMPTY
    for _ in range(4):
        record = after_failure(record, REJECTION, POLICY, START, draw(fraction))
        assert 1.0 <= retry_delay(record, START, background=False) <= 5.0


def test_backoff_ends() -> None:
    """By the clock that has advanced further."""
    record = after_failure(EMPTY, OUTAGE, POLICY, START, MOST)

    assert 0.75 == retry_delay(record, after(0.25), background=False)
    assert 0.0 == retry_delay(record, after(1.0), background=False)
    assert 0.0 == retry_delay(record, Instant(START.wall + 7200, START.mono), background=False)
    assert 1.0 == retry_delay(record, Instant(START.wall - 7200, START.mono), background=False)


@pytest.mark.parametrize("background", [False, True])
def test_retry_after_is_obeyed(background: bool) -> None:
    """The API's Retry-After lengthens both delays and shortens none."""
    asked = OUTAGE._replace(retry_after=300.0)
    record = after_failure(fetched(), asked, POLICY, after(HOUR), MOST)
    assert 300.0 == retry_delay(record, after(HOUR), background=background)

    little = after_failure(fetched(), OUTAGE._replace(retry_after=0.1), POLICY, after(HOUR), MOST)
    assert (30.0 if background else 1.0) == retry_delay(little, after(HOUR), background=background)


# --- rejections --------------------------------------------------------------------------------------------


def rejected(
    *moments: float, record: CacheState[Credentials] | None = None, policy: RefreshPolicy = POLICY
) -> CacheState[Credentials]:
    """The state after rejections at these moments."""
    record = record or fetched()
    for moment in moments:
        record = after_failure(record, REJECTION, policy, after(moment), MOST)
    return record


MOMENTS: list[tuple[tuple[float, ...], str]] = [
    ((10,), "stale"), ((10, 2000), "stale"), ((10, 20, 30), "stale"), ((10, 300, 609), "stale"), ((10, 300, 610), "rejected"),
    ((10, 20, 30, 609), "stale"), ((10, 20, 30, 610), "rejected"),
]  # fmt: skip


@pytest.mark.parametrize(("moments", "expected"), MOMENTS)
def test_three_rejections_over_ten_minutes(moments: tuple[float, ...], expected: str) -> None:
    """One bad deploy at the API must not stop every customer: fewer, or all at once, leave the credentials in use."""
    assert expected == state_at(rejected(*moments), after(moments[-1]))


def test_stricter_policy() -> None:
    """`max_rejections=1, rejection_window=0` stops at the first rejection."""
    strict = RefreshPolicy(max_rejections=1, rejection_window=0)
    assert "rejected" == state_at(rejected(10, policy=strict), after(10))


def test_rejections_count_in_a_row() -> None:
    """Another kind of failure in between starts the count again."""
    record = after_failure(rejected(0, 300), OUTAGE, POLICY, after(600), MOST)
    assert "stale" == state_at(rejected(900, 1000, record=record), after(1000))
    assert "rejected" == state_at(rejected(900, 1000, 1500, record=record), after(1500))


def test_failure_of_fresh_credentials() -> None:
    """A rejection makes a renewal due at once, also on the fast path; an outage leaves them fresh."""
    record = rejected(10)
    assert "stale" == state_at(record, after(10))
    assert (-inf, -inf) == (record.fresh_until.wall, record.fresh_until.mono)

    record = after_failure(fetched(), OUTAGE, POLICY, after(10), MOST)
    assert "fresh" == state_at(record, after(10))
    assert (START.wall + HOUR, START.mono + HOUR) == (record.fresh_until.wall, record.fresh_until.mono)


def test_only_success_ends_the_rejected_state() -> None:
    """An outage does not, and neither does the age of the credentials."""
    record = rejected(0, 300, 600)
    later = after_failure(record, OUTAGE, POLICY, after(700), MOST)

    assert "rejected" == state_at(later, after(700))
    assert "rejected" == state_at(later, after(100 * HOUR))
    assert "fresh" == state_at(after_success(later, NotModified(None), POLICY, after(800), MOST), after(800))


@given(fractions)
def test_backoff_of_the_rejected_state(fraction: float) -> None:
    """One attempt in 30 to 60 seconds, after failures of any kind."""
    record = rejected(0, 300)
    for moment, failure in ((600, REJECTION), (700, OUTAGE), (800, REJECTION), (900, REJECTION)):
        record = after_failure(record, failure, POLICY, after(moment), draw(fraction))
        assert 30.0 <= retry_delay(record, after(moment), background=True) <= 60.0


def test_rejected_before_the_first_success() -> None:
    """Empty stays empty, with the short backoff."""
    record = rejected(0, 300, 600, 900, record=EMPTY)

    assert ("empty", False) == (state_at(record, after(900)), record.is_rejected)
    assert 0.0 == retry_delay(record, after(905), background=True)


# --- forks -------------------------------------------------------------------------------------------------


@given(st.lists(fractions, min_size=1, max_size=6), st.sampled_from([None, 60.0, 7200.0]))
def test_each_process_draws_again(draws: list[float], max_age: float | None) -> None:
    """A child, and its child, draws from the whole time: it does not shrink from one to the next."""
    record = fetched(max_age=max_age)
    longest = max_age or HOUR
    for fraction in draws:
        record = rejittered(record, draw(fraction))
        assert longest / 2 <= record.refresh_after <= longest
        assert (START.wall + record.refresh_after, START.mono + record.refresh_after) == (
            record.fresh_until.wall,
            record.fresh_until.mono,
        )


def test_fork_keeps_the_rest() -> None:
    """A fork changes only when the renewal is due."""
    record = after_failure(fetched(), OUTAGE, POLICY, after(10), MOST)
    child = rejittered(record, LEAST)

    assert replace(record, refresh_after=child.refresh_after, fresh_until=child.fresh_until) == child


@pytest.mark.parametrize("record", [EMPTY, rejected(10)], ids=["empty", "rejected"])
def test_nothing_to_draw_again(record: CacheState[Credentials]) -> None:
    """Where no later renewal is planned, the child has the parent's state."""
    assert record == rejittered(record, LEAST)


# --- what is reported --------------------------------------------------------------------------------------


KEY = ONE.fingerprint
STATUSES: dict[str, tuple[CacheState[Credentials], float, CredentialsStatus]] = {
    "fresh": (fetched(), 60, CredentialsStatus("fresh", 60.0, None, None, KEY)),
    "stale": (fetched(), HOUR, CredentialsStatus("stale", HOUR, None, 0.0, KEY)),
    "stale after a failure": (
        after_failure(fetched(), OUTAGE, POLICY, after(HOUR), MOST),
        HOUR + 10,
        CredentialsStatus("stale", HOUR + 10, "CredentialsUnavailable", 20.0, KEY),
    ),
    "rejected": (rejected(0, 300, 600), 630, CredentialsStatus("rejected", 630.0, "CredentialsRejected", 30.0, KEY)),
    "empty after a failure": (
        after_failure(EMPTY, OUTAGE, POLICY, START, MOST),
        0.5,
        CredentialsStatus("empty", None, "CredentialsUnavailable", 0.5, None),
    ),
}


@pytest.mark.parametrize(("record", "moment", "expected"), STATUSES.values(), ids=STATUSES)
def test_status(record: CacheState[Credentials], moment: float, expected: CredentialsStatus) -> None:
    """Age, the class of the latest failure, seconds until the next attempt, and the key's fingerprint."""
    assert expected == status(record, after(moment))


@pytest.mark.parametrize(
    ("record", "moment", "expected"),
    [
        (after_failure(EMPTY, OUTAGE, POLICY, START, MOST), START, CredentialsUnavailable),
        (rejected(0, record=EMPTY), START, CredentialsRejected),
        (fetched(), after(72 * HOUR), CredentialsUnavailable),
        (after_failure(fetched(), OUTAGE, POLICY, after(72 * HOUR), MOST), after(72 * HOUR), CredentialsUnavailable),
        (rejected(0, 300, 600), after(600), CredentialsRejected),
        (after_failure(rejected(0, 300, 600), OUTAGE, POLICY, after(601), MOST), after(601), CredentialsRejected),
    ],
    ids=["empty-outage", "empty-rejected", "expired-idle", "expired-outage", "rejected", "rejected-then-outage"],
)
def test_error_has_the_class_of_its_cause(
    record: CacheState[Credentials], moment: Instant, expected: type[Exception]
) -> None:
    """A mint's exception distinguishes an outage from a rejection, and always names the reason."""
    reported = TEXTS.unusable(record, moment)

    assert expected.__name__ == reported.error_type.__name__
    assert reported.message
    assert ("suspended" in reported.message) is record.is_rejected
    if record.failure:
        assert record.failure.message in reported.message
