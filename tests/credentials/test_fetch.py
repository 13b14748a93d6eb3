"""The fetch, run without a network: what is sent and when, what each response means, and what is retried."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import formatdate
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moss_voice_server._credentials.config import config
from moss_voice_server._credentials.fetch import fetch, limits
from moss_voice_server._credentials.model import Credentials
from moss_voice_server._credentials.source import Fetched, NotModified, Result
from moss_voice_server._http.flow import Timing
from moss_voice_server._http.model import Attempt, Failure, Response, TransportError
from moss_voice_server._secret import Secret
from moss_voice_server.credentials import RefreshPolicy
from moss_voice_server.errors import CredentialsInvalid, CredentialsRejected, CredentialsUnavailable
from tests.support.simulation import answer, good, status
from tests.support.states import LEAST, MOST

WALL = 1_800_000_000.0
KEY = "moss-project-key"
CONFIG = config(Secret("project"), Secret(KEY), Secret("voice agent/1"), Secret("https://moss.example/base/"))
RETRIED = (408, 425, 429, 500, 502, 503, 504)
GONE, SLOW = TransportError("connection refused", "check the port", retry=True), TransportError("no answer", retry=True)


class Played(NamedTuple):
    """A whole fetch."""

    result: Result[Credentials]
    attempts: list[Attempt]
    took: float

    @property
    def delays(self) -> list[float]:
        """The delay before each attempt."""
        return [each.delay for each in self.attempts]

    @property
    def failure(self) -> Failure:
        """The result, which has to be a failure."""
        assert isinstance(self.result, Failure)
        return self.result


def play(
    *answers: Response | TransportError | int,
    attempts: int = 3,
    budget: float = 8.0,
    etag: str = "",
    takes: float = 0.0,
    uniform: Callable[[float, float], float] = MOST,
    policy: RefreshPolicy | None = None,
) -> Played:
    """Runs a fetch in fake time: each request takes `takes` seconds or its whole timeout; the last answer repeats."""
    start = 1000.0
    now = start
    tries = limits(policy or RefreshPolicy(), attempts, budget)
    flow = fetch(CONFIG, tries, Timing(lambda: now, lambda: WALL + now - start, uniform), etag)
    sent: list[Attempt] = []
    try:
        sent.append(next(flow))
        while True:
            now += sent[-1].delay + min(takes, sent[-1].timeout)
            reply = answers[min(len(sent), len(answers)) - 1]
            sent.append(flow.send(status(reply) if isinstance(reply, int) else reply))
    except StopIteration as finished:
        assert KEY not in repr(sent)
        return Played(finished.value, sent, now - start)


def test_etag_is_sent_back() -> None:
    """With cached credentials, every attempt is a conditional request."""
    for etag, headers in (('"v1"', (("If-None-Match", '"v1"'),)), ("", ())):
        assert [headers] * 2 == [each.request.headers for each in play(503, good(), etag=etag).attempts]


# --- how often, when, how long -----------------------------------------------------------------------------

# Answers, options of `play`, and the attempts: delays and timeouts.
PLANS: dict[str, tuple[tuple[Any, ...], dict[str, Any], list[float], list[float]]] = {
    "the shortest delays": ((503, 503, good()), {"uniform": LEAST}, [0.0, 0.25, 0.5], [5.0, 5.0, 5.0]),
    "the longest delays": ((503, 503, good()), {}, [0.0, 0.5, 1.0], [5.0, 5.0, 5.0]),
    "one attempt": ((503,), {"attempts": 1}, [0.0], [5.0]),
    "two attempts": ((503,), {"attempts": 2}, [0.0, 0.5], [5.0, 5.0]),
    "doubling up to four seconds": (
        (503,), {"attempts": 8, "budget": 100.0}, [0.0, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0, 4.0], [5.0] * 8
    ),
    "a server that hangs": ((SLOW,), {"takes": 99.0}, [0.0, 0.5], [5.0, 2.5]),
    "a shorter attempt": ((SLOW,), {"takes": 99.0, "policy": RefreshPolicy(attempt_timeout=1.5)}, [0.0, 0.5, 1.0], [1.5] * 3),
    "the budget of a mint": ((503,), {"attempts": 1, "budget": 2.5}, [0.0], [2.5]),
    "frozen during a request": (
        (503,), {"takes": 9_999.0, "policy": RefreshPolicy(attempt_timeout=9_999)}, [0.0], [8.0]
    ),
}  # fmt: skip


@pytest.mark.parametrize(("answers", "options", "delays", "timeouts"), PLANS.values(), ids=PLANS)
def test_attempts(
    answers: tuple[Any, ...], options: dict[str, Any], delays: list[float], timeouts: list[float]
) -> None:
    """The delay before each request and its timeout, within the attempts and the budget."""
    played = play(*answers, **options)

    assert delays == played.delays
    assert timeouts == [each.timeout for each in played.attempts]
    assert (Fetched if len(answers) == 3 else Failure) is type(played.result)


@given(
    replies=st.lists(
        st.sampled_from([*RETRIED, 200, 304, GONE])
        | st.integers(0, 20).map(lambda seconds: status(429, retry_after=str(seconds))),
        min_size=1,
        max_size=6,
    ),
    attempts=st.integers(1, 6),
    budget=st.floats(0.5, 30),
    takes=st.floats(0, 12),
    uniform=st.sampled_from([LEAST, MOST]),
)
def test_limits_hold_for_every_answer(
    replies: list[Any], attempts: int, budget: float, takes: float, uniform: Callable[[float, float], float]
) -> None:
    """No more requests than allowed, none after the total timeout, and valid delays and timeouts."""
    played = play(*replies, attempts=attempts, budget=budget, takes=takes, uniform=uniform)

    assert 1 <= len(played.attempts) <= attempts
    assert played.took <= budget + 1e-6
    for each in played.attempts:
        assert each.delay >= 0
        assert 0.01 <= each.timeout <= 5.0


# --- what each response means; `test_response.py` has the bodies -------------------------------------------

NO_RETRY = (400, 402, 405, 406, 409, 415, 418, 422, 451, 499, 501, 505, 511, 599, 600, 999)
PATH = "https://moss.example/base/api/voice-agent/get-voice-agent (HTTP"  # its base may be the cause of a 404
# What comes back, how many requests there are, the error, and parts of its message and its remedy.
MEANINGS: list[tuple[Response | TransportError | int, int, Any, str, str]] = [
    *((code, 3, CredentialsUnavailable, f"HTTP {code} (3 attempts)", "retry later") for code in RETRIED),
    *((code, 1, CredentialsRejected, f"HTTP {code}", "MOSS_") for code in (401, 403, 410)),
    (404, 1, CredentialsRejected, f"{PATH} 404", "MOSS_"),
    # A wrong request or a wrong server: no retry, and no rejection.
    *((code, 1, CredentialsUnavailable, f"HTTP {code}", "MOSS_PLATFORM_API_URL") for code in NO_RETRY),
    (304, 1, CredentialsInvalid, "HTTP 304, a redirect;", "MOSS_PLATFORM_API_URL"),
    # A body that was cut off, such as a proxy's page, is retried; a whole one would be the same the next time.
    (answer(b"<html>busy</html>"), 3, CredentialsInvalid, "it is not JSON", "MOSS_PLATFORM_API_URL"),
    (answer(b"{}"), 1, CredentialsInvalid, "is missing", "MOSS_PLATFORM_API_URL"),
    (Response(200, {}, Secret(b""), is_truncated=True), 1, CredentialsInvalid, "too long", "Moss support"),
    (good(content_encoding="gzip"), 1, CredentialsInvalid, "compressed", "Moss support"),
    (GONE, 3, CredentialsUnavailable, "connection refused (3 attempts)", "check the port"),
    (GONE._replace(retry=False), 1, CredentialsUnavailable, "connection refused", "check the port"),
]


@pytest.mark.parametrize(("reply", "attempts", "kind", "message", "remedy"), MEANINGS)
def test_meaning(reply: Response | TransportError | int, attempts: int, kind: Any, message: str, remedy: str) -> None:
    """Only temporary errors are retried; only wrong settings are a rejection."""
    played = play(reply)

    assert (attempts, kind) == (len(played.attempts), played.failure.error_type)
    assert message in played.failure.message
    assert remedy in played.failure.remedy
    assert ("https://" in played.failure.message) is (reply == 404)
    assert (kind is CredentialsRejected) is played.failure.is_rejection


def test_last_failure_counts() -> None:
    """A rejection after another failure is a rejection, and says how many attempts were made."""
    failure = play(503, 401, good()).failure
    assert (CredentialsRejected, True) == (failure.error_type, "(2 attempts)" in failure.message)


def test_usable_responses() -> None:
    """The header of no compression; 304 to a conditional request, which may set the next refresh."""
    assert isinstance(play(good(content_encoding="Identity")).result, Fetched)
    assert NotModified(None) == play(304, etag='"v1"').result
    assert NotModified(600.0) == play(status(304, cache_control="max-age=600"), etag='"v1"').result


# The host is shown only if it is plain, and never if it contains the key.
HIDDEN_HOSTS = ("https://[half", f"https://{KEY}.evil.example/", "https://h\x1b[31m/", "https://ö/", "//" + "h" * 300)


def test_redirect_is_not_followed() -> None:
    """It is an error without a retry, and names the status and the host, and nothing else of the URL."""
    target = "https://user:pw@elsewhere.example:8443/path?key=query#fragment"
    for code in [300, 301, 302, 303, 305, 307, 308, 399]:
        played = play(status(code, location=target))
        assert 1 == len(played.attempts)
        assert f"HTTP {code}, a redirect to elsewhere.example; it" in played.failure.message
    for location in ("", "/relative", *HIDDEN_HOSTS):
        assert "HTTP 302, a redirect; it is not followed" in play(status(302, location=location)).failure.message


# --- Retry-After -------------------------------------------------------------------------------------------

NO_DELAYS = ("0", "-1", "NaN", "inf", "1e400", "2.5", "0x10", "²", "1_0", "soon", "")
NO_DATES = (formatdate(WALL - 3600, usegmt=True), "Fri, 99 Foo 2026 99:99:99 GMT", "Fri, 31 Dec 99999 23:59:59 GMT")


def test_retry_after_that_fits() -> None:
    """Seconds or a date (RFC 9110, section 10.2.3) set the delay; other values, and past dates, leave the backoff."""
    delays = {
        "2": 2.0,
        " 2 ": 2.0,
        formatdate(WALL + 3, usegmt=True): 3.0,
        **dict.fromkeys((*NO_DELAYS, *NO_DATES), 0.5),
    }
    for value, expected in delays.items():
        assert [0.0, expected] == play(status(429, retry_after=value), good()).delays
    for code in RETRIED:
        assert [0.0, 2.0] == play(status(code, retry_after="2"), good()).delays
    policy = RefreshPolicy(max_retry_after=60)
    assert [0.0, 60.0] == play(status(429, retry_after="90"), good(), policy=policy, budget=1000.0).delays


# Header, options of `play`, and what the failure says.
BEYOND: list[tuple[str, dict[str, Any], float | None]] = [
    *((value, {}, 300.0) for value in ("3600", "301", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT")),
    (formatdate(WALL + 9000, usegmt=True), {}, 300.0),
    ("20", {}, 20.0),
    ("2", {"attempts": 1}, 2.0),  # a single attempt does not wait
    ("3600", {"policy": RefreshPolicy(max_retry_after=60)}, 60.0),
    (formatdate(WALL - 60, usegmt=True), {"attempts": 1}, None),
]


@pytest.mark.parametrize(("value", "options", "expected"), BEYOND)
def test_retry_after_of_a_failure(value: str, options: dict[str, Any], expected: float | None) -> None:
    """A delay beyond the total timeout ends the fetch; the failure says when to retry, within the policy's maximum."""
    played = play(status(503, retry_after=value), **options)
    assert (1, 0.0, expected) == (len(played.attempts), played.took, played.failure.retry_after)


def test_failures_without_retry_after() -> None:
    """A rejection has none, whatever the API says, and neither has a failure without that header."""
    for failed in (503, status(403, retry_after="60"), GONE):
        assert play(failed).failure.retry_after is None


# --- hints -------------------------------------------------------------------------------------------------

MAX_AGES: dict[str, float | None] = {
    **dict.fromkeys(("max-age=600", "private, Max-Age=600", 'max-age="600"'), 600.0),
    **dict.fromkeys(("max-age=0", "max-age=59"), 60.0),
    **dict.fromkeys(("max-age=86401", "max-age=999999999"), 86_400.0),
    **dict.fromkeys(("s-maxage=600", "x-max-age=600", "max-age=-5", "max-age=", "max-age=1e3", "no-store", "")),
}
ETAGS = ('"v1"', 'W/"v1"', '""')
NO_ETAGS = ("v1", '"a"b"', '"line\nend"', '"ö"', f'"{"x" * 300}"', "")


def test_hints() -> None:
    """`Cache-Control: max-age` sets the age of the next refresh, between a minute and a day; only a valid tag is kept."""
    for value, max_age in MAX_AGES.items():
        assert max_age == getattr(play(good(cache_control=value)).result, "max_age", ...)
    for tag in (*ETAGS, *NO_ETAGS):
        assert (tag if tag in ETAGS else "") == getattr(play(good(etag=tag)).result, "etag", ...)
