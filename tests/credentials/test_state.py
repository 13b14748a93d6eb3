"""The credentials' life cycle as pure rules: five states, two clocks, and what success and failure leave behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moss_voice_server._credentials.fetch import TEXTS
from moss_voice_server._credentials.model import Credentials, StaticCredentials
from moss_voice_server._credentials.response import parse
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
REFUSAL = Failure(CredentialsRejected, "rejected", is_rejection=True)
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
    """What is remembered after the first success."""
    return after_success(EMPTY, Fetched(ONE, '"v1"', max_age), policy, START, uniform)


def draw(fraction: float) -> Callable[[float, float], float]:
    """A random number that is pinned."""
    return lambda low, high: low + fraction * (high - low)


# --- states and ages ---------------------------------------------------------------------------------------


def test_empty() -> None:
    """Before the first success there is nothing to mint with, and nothing to wait for."""
    assert "empty" == state_at(EMPTY, START)
    assert 0.0 == retry_delay(EMPTY, START, background=False)
    assert CredentialsStatus("empty", None, None, None, None) == status(EMPTY, START)


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (0.0, "fresh"),
        (HOUR - 0.001, "fresh"),
        (HOUR, "stale"),
        (63 * HOUR, "stale"),
        (72 * HOUR - 0.001, "stale"),
        (72 * HOUR, "expired"),
        (9_999 * HOUR, "expired"),
    ],
)
def test_ages(age: float, expected: str) -> None:
    """Fresh for the drawn soft age, soft up to 72 hours, hard from there on."""
    assert expected == state_at(fetched(), after(age))


def test_hard_age_of_none() -> None:
    """`expire_after=None`: they never expire."""
    assert "stale" == state_at(fetched(RefreshPolicy(expire_after=None)), after(10.0**9))


@given(fractions)
def test_soft_age_is_drawn(fraction: float) -> None:
    """Between half of the policy's soft age and all of it, so that a fleet does not ask at once."""
    assert HOUR / 2 <= fetched(uniform=draw(fraction)).refresh_after <= HOUR


def test_soft_age_is_drawn_anew_each_time() -> None:
    """Each success draws again."""
    record = fetched(uniform=MOST)
    assert HOUR / 2 == after_success(record, NotModified(None), POLICY, after(HOUR), LEAST).refresh_after


def test_soft_age_from_the_api() -> None:
    """The API's max-age takes the soft age's place, draw included, and never goes beyond the hard age."""
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
    """Age is what the clock says that has gone on further: one stops while a machine sleeps, the other is set back."""
    assert expected == state_at(fetched(), moment)


@given(
    wall=st.floats(-1e7, 1e7),
    mono=st.floats(0, 1e7),
    fraction=fractions,
    refusals=st.integers(0, 4),
    outages=st.integers(0, 2),
)
def test_what_a_mint_looks_at_agrees_with_the_state(
    wall: float, mono: float, fraction: float, refusals: int, outages: int
) -> None:
    """The two times that a mint compares say `fresh` exactly when the careful rule does, to a microsecond."""
    record = fetched(uniform=draw(fraction))
    for number in range(refusals):
        record = after_failure(record, REFUSAL, POLICY, after(300.0 * number), draw(fraction))
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
    """New credentials end an outage and a denial: nothing of them is left."""
    record = fetched()
    for number in range(5):
        record = after_failure(record, REFUSAL, POLICY, after(600.0 * number), MOST)
    assert "rejected" == state_at(record, after(3000.0))

    two = credentials(2)
    record = after_success(record, Fetched(two, "", None), POLICY, after(3000.0), MOST)

    alone = after_success(EMPTY, Fetched(two, "", None), POLICY, after(3000.0), MOST)
    assert replace(alone, previous=ONE, replaced_at=after(3000.0)) == record
    assert (two, after(3000.0), None, 0) == (record.value, record.fetched_at, record.failure, record.rejections)


def test_previous_value() -> None:
    """A rotation is remembered; fetching the same keys again, or hearing that they are current, forgets nothing of it."""
    two = credentials(2)
    record = after_success(fetched(), Fetched(two, "", None), POLICY, after(100.0), MOST)
    record = after_success(record, Fetched(credentials(2), "", None), POLICY, after(200.0), MOST)
    record = after_success(record, NotModified(None), POLICY, after(300.0), MOST)
    assert (ONE, after(100.0)) == (record.previous, record.replaced_at)


def test_not_modified_confirms() -> None:
    """304: the same credentials and tag, as young as if they had just come."""
    record = after_success(fetched(), NotModified(None), POLICY, after(HOUR), MOST)

    assert (ONE, '"v1"', after(HOUR)) == (record.value, record.etag, record.fetched_at)
    assert "fresh" == state_at(record, after(1.5 * HOUR))


# --- failure -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [OUTAGE, REFUSAL, Failure(CredentialsInvalid, "odd")])
def test_failure_keeps_the_credentials(failure: Failure) -> None:
    """Whatever went wrong, what there was goes on serving, and is as old as it was."""
    record = after_failure(fetched(), failure, POLICY, after(HOUR), MOST)

    assert (ONE, START, '"v1"') == (record.value, record.fetched_at, record.etag)
    assert "stale" == state_at(record, after(HOUR))
    assert "expired" == state_at(record, after(72 * HOUR))


@pytest.mark.parametrize(("uniform", "factor"), [(LEAST, 0.5), (MOST, 1.0)], ids=["least", "most"])
def test_memory_of_a_failure_for_those_who_wait(uniform: Callable[[float, float], float], factor: float) -> None:
    """One second doubling to thirty, times 0.5 to 1."""
    record, holds = EMPTY, []
    for _ in range(8):
        record = after_failure(record, OUTAGE, POLICY, START, uniform)
        holds.append(retry_delay(record, START, background=False))

    assert [factor * each for each in (1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0)] == holds


@pytest.mark.parametrize(("uniform", "factor"), [(LEAST, 0.5), (MOST, 1.0)], ids=["least", "most"])
def test_pause_of_the_background(uniform: Callable[[float, float], float], factor: float) -> None:
    """Thirty seconds doubling to ten minutes, times 0.5 to 1, while the cached credentials serve."""
    record, pauses = fetched(), []
    for _ in range(8):
        record = after_failure(record, OUTAGE, POLICY, after(HOUR), uniform)
        pauses.append(retry_delay(record, after(HOUR), background=True))

    assert [factor * each for each in (30.0, 60.0, 120.0, 240.0, 480.0, 600.0, 600.0, 600.0)] == pauses


def test_many_failures() -> None:
    """A year of failures overflows nothing."""
    record = replace(EMPTY, failures=100_000)
    assert 30.0 == retry_delay(after_failure(record, OUTAGE, POLICY, START, MOST), START, background=False)


@pytest.mark.parametrize("background", [False, True])
def test_background_is_as_quick_where_nothing_serves(background: bool) -> None:
    """EMPTY and HARD wait only for the short memory: every second of them is an outage of the application."""
    empty = after_failure(EMPTY, OUTAGE, POLICY, START, MOST)
    hard = after_failure(fetched(), OUTAGE, POLICY, after(73 * HOUR), MOST)

    assert 1.0 == retry_delay(empty, START, background=background)
    assert 1.0 == retry_delay(hard, after(73 * HOUR), background=background)


@given(fractions)
def test_backoff_after_a_rejection(fraction: float) -> None:
    """One to five seconds, however often."""
    record = EMPTY
    for _ in range(4):
        record = after_failure(record, REFUSAL, POLICY, START, draw(fraction))
        assert 1.0 <= retry_delay(record, START, background=False) <= 5.0


def test_memory_runs_out() -> None:
    """The time that has gone by counts, on the clock that has gone on further."""
    record = after_failure(EMPTY, OUTAGE, POLICY, START, MOST)

    assert 0.75 == retry_delay(record, after(0.25), background=False)
    assert 0.0 == retry_delay(record, after(1.0), background=False)
    assert 0.0 == retry_delay(record, Instant(START.wall + 7200, START.mono), background=False)
    assert 1.0 == retry_delay(record, Instant(START.wall - 7200, START.mono), background=False)


@pytest.mark.parametrize("background", [False, True])
def test_retry_after_is_obeyed(background: bool) -> None:
    """What the API asked for lengthens both waits and shortens none."""
    asked = OUTAGE._replace(retry_after=300.0)
    record = after_failure(fetched(), asked, POLICY, after(HOUR), MOST)
    assert 300.0 == retry_delay(record, after(HOUR), background=background)

    little = after_failure(fetched(), OUTAGE._replace(retry_after=0.1), POLICY, after(HOUR), MOST)
    assert (30.0 if background else 1.0) == retry_delay(little, after(HOUR), background=background)


# --- refusals ----------------------------------------------------------------------------------------------


def refused(
    *moments: float, record: CacheState[Credentials] | None = None, policy: RefreshPolicy = POLICY
) -> CacheState[Credentials]:
    """What is remembered after refusals at these moments."""
    record = record or fetched()
    for moment in moments:
        record = after_failure(record, REFUSAL, policy, after(moment), MOST)
    return record


@pytest.mark.parametrize(
    ("moments", "expected"),
    [
        ((10,), "stale"),
        ((10, 2000), "stale"),
        ((10, 20, 30), "stale"),
        ((10, 300, 609), "stale"),
        ((10, 300, 610), "rejected"),
        ((10, 20, 30, 609), "stale"),
        ((10, 20, 30, 610), "rejected"),
    ],
)
def test_denied_takes_three_refusals_over_ten_minutes(moments: tuple[float, ...], expected: str) -> None:
    """One bad deploy at the other end must not stop every customer: fewer, or all at once, leave it serving."""
    assert expected == state_at(refused(*moments), after(moments[-1]))


def test_denied_by_a_stricter_policy() -> None:
    """`denials=1, rejection_window=0` stops at the first refusal."""
    strict = RefreshPolicy(max_rejections=1, rejection_window=0)
    assert "rejected" == state_at(refused(10, policy=strict), after(10))


def test_refusals_count_in_a_row() -> None:
    """Another kind of failure in between starts the count again."""
    record = after_failure(refused(0, 300), OUTAGE, POLICY, after(600), MOST)
    assert "stale" == state_at(refused(900, 1000, record=record), after(1000))
    assert "rejected" == state_at(refused(900, 1000, 1500, record=record), after(1500))


def test_refusal_makes_a_renewal_due() -> None:
    """Fresh credentials that were refused are soft at once; a mint sees it without any rule."""
    record = refused(10)

    assert "stale" == state_at(record, after(10))
    assert -inf == record.fresh_until.wall
    assert -inf == record.fresh_until.mono


def test_outage_leaves_fresh_credentials_fresh() -> None:
    """A failed refresh() says nothing about the cached credentials."""
    record = after_failure(fetched(), OUTAGE, POLICY, after(10), MOST)

    assert "fresh" == state_at(record, after(10))
    assert (START.wall + HOUR, START.mono + HOUR) == (record.fresh_until.wall, record.fresh_until.mono)


def test_only_success_ends_a_denial() -> None:
    """An outage is no sign that the refusal is over, and old age does not hide it."""
    denied = refused(0, 300, 600)
    later = after_failure(denied, OUTAGE, POLICY, after(700), MOST)

    assert "rejected" == state_at(later, after(700))
    assert "rejected" == state_at(later, after(100 * HOUR))
    assert "fresh" == state_at(after_success(later, NotModified(None), POLICY, after(800), MOST), after(800))


@given(fractions)
def test_probe_of_the_denied(fraction: float) -> None:
    """One attempt in 30 to 60 seconds, of whatever kind the failures are."""
    record = refused(0, 300)
    for moment, failure in ((600, REFUSAL), (700, OUTAGE), (800, REFUSAL), (900, REFUSAL)):
        record = after_failure(record, failure, POLICY, after(moment), draw(fraction))
        assert 30.0 <= retry_delay(record, after(moment), background=True) <= 60.0


def test_refused_before_the_first_success() -> None:
    """Nothing to stop: EMPTY stays EMPTY, and asks again after the short memory."""
    record = refused(0, 300, 600, 900, record=EMPTY)

    assert ("empty", False) == (state_at(record, after(900)), record.is_rejected)
    assert 0.0 == retry_delay(record, after(905), background=True)


# --- forks -------------------------------------------------------------------------------------------------


@given(st.lists(fractions, min_size=1, max_size=6), st.sampled_from([None, 60.0, 7200.0]))
def test_each_process_draws_between_half_and_all(draws: list[float], max_age: float | None) -> None:
    """A child, and a child's child, draws from the whole soft age: it does not shrink from one to the next."""
    record = fetched(max_age=max_age)
    longest = max_age or HOUR
    for fraction in draws:
        record = rejittered(record, draw(fraction))
        assert longest / 2 <= record.refresh_after <= longest
        assert (START.wall + record.refresh_after, START.mono + record.refresh_after) == (
            record.fresh_until.wall,
            record.fresh_until.mono,
        )


def test_redrawn_keeps_the_rest() -> None:
    """A fork changes only when the renewal is due: no failure is forgotten, nothing becomes younger."""
    record = after_failure(fetched(), OUTAGE, POLICY, after(10), MOST)
    child = rejittered(record, LEAST)

    assert replace(record, refresh_after=child.refresh_after, fresh_until=child.fresh_until) == child


@pytest.mark.parametrize("record", [EMPTY, refused(10)], ids=["empty", "refused"])
def test_nothing_to_redraw(record: CacheState[Credentials]) -> None:
    """Where no renewal lies ahead, the child has what the parent has; a refusal is not forgotten."""
    assert record == rejittered(record, LEAST)


# --- what is reported --------------------------------------------------------------------------------------


def test_status_while_fresh() -> None:
    """Age and fingerprint; no attempt is due."""
    assert CredentialsStatus("fresh", 60.0, None, None, ONE.fingerprint) == status(fetched(), after(60))


def test_status_while_soft() -> None:
    """The next attempt may be made now, or once the pause is over; the latest failure goes by its class's name."""
    assert CredentialsStatus("stale", HOUR, None, 0.0, ONE.fingerprint) == status(fetched(), after(HOUR))

    record = after_failure(fetched(), OUTAGE, POLICY, after(HOUR), MOST)
    expected = CredentialsStatus("stale", HOUR + 10, "CredentialsUnavailable", 20.0, ONE.fingerprint)
    assert expected == status(record, after(HOUR + 10))


def test_status_when_denied() -> None:
    """The status names the next probe."""
    reported = status(refused(0, 300, 600), after(630))
    assert ("rejected", 630.0, "CredentialsRejected", 30.0) == (
        reported.state,
        reported.age,
        reported.last_error,
        reported.next_attempt_in,
    )


def test_status_when_empty_after_a_failure() -> None:
    """No age, no fingerprint, and when it is worth asking again."""
    record = after_failure(EMPTY, OUTAGE, POLICY, START, MOST)
    assert CredentialsStatus("empty", None, "CredentialsUnavailable", 0.5, None) == status(record, after(0.5))


@pytest.mark.parametrize(
    ("record", "moment", "expected"),
    [
        (after_failure(EMPTY, OUTAGE, POLICY, START, MOST), START, CredentialsUnavailable),
        (refused(0, record=EMPTY), START, CredentialsRejected),
        (fetched(), after(72 * HOUR), CredentialsUnavailable),
        (after_failure(fetched(), OUTAGE, POLICY, after(72 * HOUR), MOST), after(72 * HOUR), CredentialsUnavailable),
        (refused(0, 300, 600), after(600), CredentialsRejected),
        (after_failure(refused(0, 300, 600), OUTAGE, POLICY, after(601), MOST), after(601), CredentialsRejected),
    ],
    ids=["empty-outage", "empty-refused", "hard-idle", "hard-outage", "rejected", "denied-then-outage"],
)
def test_refusal_has_the_kind_of_its_cause(
    record: CacheState[Credentials], moment: Instant, expected: type[Exception]
) -> None:
    """What a mint raises tells an outage from a refusal, and always says why."""
    reported = TEXTS.unusable(record, moment)

    assert expected.__name__ == reported.error_type.__name__
    assert reported.message
    assert ("suspended" in reported.message) is record.is_rejected
    if record.failure:
        assert record.failure.message in reported.message
