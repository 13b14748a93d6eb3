"""The fetch, run without a network: what is sent and when, what each response means, and what is retried."""

from __future__ import annotations

import json
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
from tests.support.simulation import answer, fields, good, status

WALL = 1_800_000_000.0
KEY = "moss-project-key"
CONFIG = config(Secret("project"), Secret(KEY), Secret("voice agent/1"), Secret("https://moss.example/base/"))
LEAST: Callable[[float, float], float] = min
MOST: Callable[[float, float], float] = max
RETRIED = (408, 425, 429, 500, 502, 503, 504)
DENIALS = (401, 403, 404, 410)


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
    """Run a fetch in fake time: each request takes `takes` seconds or its whole timeout; the last answer repeats."""
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
        return Played(finished.value, sent, now - start)


# --- what is sent ------------------------------------------------------------------------------------------


def test_request_is_that_of_0_1_0() -> None:
    """One GET of the URL of 0.1.0, with the project's two headers."""
    request = play(good()).attempts[0].request

    assert "https://moss.example/base/api/voice-agent/get-voice-agent?voice_agent_id=voice%20agent/1" == request.url
    assert ("GET", (), None) == (request.method, request.headers, request.body)
    secret = {name: value.reveal() for name, value in request.secret_headers}
    assert {"X-Project-Id": "project", "X-Project-Key": KEY} == secret


def test_attempt_does_not_show_the_key() -> None:
    """The values between the flow and its driver can be printed."""
    assert KEY not in repr(play(503, 503, good()))


def test_etag_is_sent_back() -> None:
    """With cached credentials, every attempt is a conditional request."""
    played = play(503, good(), etag='"v1"')

    assert [("If-None-Match", '"v1"')] * 2 == [each.request.headers[-1] for each in played.attempts]


# --- how often, when, how long -----------------------------------------------------------------------------

SLOW = TransportError("no answer in time", retry=True)
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
        st.one_of(
            st.sampled_from([*RETRIED, 200, 304]),
            st.just(TransportError("gone", retry=True)),
            st.integers(0, 20).map(lambda seconds: status(429, retry_after=str(seconds))),
        ),
        min_size=1,
        max_size=6,
    ),
    attempts=st.integers(1, 6),
    budget=st.floats(0.5, 30),
    takes=st.floats(0, 12),
    fraction=st.floats(0, 1),
)
def test_limits_hold_for_every_answer(
    replies: list[Response | TransportError | int], attempts: int, budget: float, takes: float, fraction: float
) -> None:
    """No more requests than allowed, none after the total timeout, and valid delays and timeouts."""
    played = play(
        *replies, attempts=attempts, budget=budget, takes=takes, uniform=lambda low, high: low + fraction * (high - low)
    )

    assert 1 <= len(played.attempts) <= attempts
    assert played.took <= budget + 1e-6
    for each in played.attempts:
        assert each.delay >= 0
        assert 0.01 <= each.timeout <= 5.0


# --- what each status means --------------------------------------------------------------------------------


STATUSES: list[tuple[tuple[int, ...], int, Any, str]] = [
    (RETRIED, 3, CredentialsUnavailable, ""),
    (DENIALS, 1, CredentialsRejected, "MOSS_"),
    # A wrong request or a wrong server: no retry, and no rejection.
    ((400, 402, 405, 406, 409, 415, 418, 422, 451, 499, 501, 505, 511, 599, 600, 999), 1, CredentialsUnavailable, ""),
]


@pytest.mark.parametrize(("codes", "attempts", "kind", "remedy"), STATUSES)
def test_status(codes: tuple[int, ...], attempts: int, kind: Any, remedy: str) -> None:
    """Only temporary errors are retried; only wrong settings are a rejection."""
    for code in codes:
        played = play(code)

        assert attempts == len(played.attempts)
        assert kind is played.failure.error_type
        assert str(code) in played.failure.message
        assert remedy in played.failure.remedy
        # A path in MOSS_PLATFORM_API_URL may be the cause of a 404.
        shown = "https://moss.example/base/api/voice-agent/get-voice-agent (HTTP" in played.failure.message
        assert shown is (code == 404)


def test_redirect_is_not_followed() -> None:
    """It is an error without a retry, and names the status and the host, and nothing else of the URL."""
    for code in [300, 301, 302, 303, 305, 307, 308, 399]:
        target = "https://user:pw@elsewhere.example:8443/path?key=query#fragment"
        played = play(status(code, location=target))

        assert 1 == len(played.attempts)
        assert f"HTTP {code}, a redirect to elsewhere.example;" in played.failure.message
        for part in ("user", "pw@", "8443", "/path", "query", "fragment"):
            assert part not in played.failure.message
    # The host is shown only if it is plain, and never if it contains the key.
    hosts = [
        "",
        "/relative",
        "https://[half",
        f"https://{KEY}.evil.example/",
        "https://h\x1b[31m/",
        "https://ö/",
        "//" + "h" * 300,
    ]
    for location in hosts:
        assert "HTTP 302, a redirect; it is not followed" in play(status(302, location=location)).failure.message


def test_not_modified() -> None:
    """304 to a conditional request is a success, and may set the next refresh; else there is nothing that it confirms."""
    assert NotModified(None) == play(304, etag='"v1"').result
    assert NotModified(600.0) == play(status(304, cache_control="max-age=600"), etag='"v1"').result
    played = play(304)
    assert (1, Failure) == (len(played.attempts), type(played.result))


@given(code=st.integers(100, 999), body=st.binary(max_size=50))
def test_every_status_has_a_meaning(code: int, body: bytes) -> None:
    """Every status leads to a result, and no error repeats the body."""
    marked = b"MARK" + body
    played = play(answer(marked, code))

    assert "MARK" not in played.failure.message
    assert len(played.attempts) in ((1, 3) if code in RETRIED or code < 300 else (1,))


# --- Retry-After -------------------------------------------------------------------------------------------


def test_retry_after_that_fits() -> None:
    """Seconds or a date (RFC 9110, section 10.2.3) set the delay; other values, and past dates, leave the backoff."""
    for value, expected in [
        ("2", 2.0),
        ("0", 0.5),
        (" 2 ", 2.0),
        (formatdate(WALL + 3, usegmt=True), 3.0),
        ("-1", 0.5),
        ("NaN", 0.5),
        ("inf", 0.5),
        ("1e400", 0.5),
        ("2.5", 0.5),
        ("0x10", 0.5),
        ("²", 0.5),
        ("1_0", 0.5),
        (formatdate(WALL - 3600, usegmt=True), 0.5),
        ("Fri, 99 Foo 2026 99:99:99 GMT", 0.5),
        ("Fri, 31 Dec 99999 23:59:59 GMT", 0.5),
        ("soon", 0.5),
        ("", 0.5),
    ]:
        played = play(status(429, retry_after=value), good())

        assert [0.0, expected] == played.delays
        assert isinstance(played.result, Fetched)


def test_retry_after_counts_for_every_retried_status() -> None:
    """Every temporary status can have a Retry-After, not only 429."""
    for code in RETRIED:
        assert [0.0, 2.0] == play(status(code, retry_after="2"), good()).delays


# Header, options of `play`, and what the failure says.
BEYOND: list[tuple[str, dict[str, Any], float | None]] = [
    *((value, {}, 300.0) for value in ("3600", "301", "9999999999", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT")),
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

    assert 1 == len(played.attempts)
    assert 0.0 == played.took
    assert expected == played.failure.retry_after


def test_retry_after_is_capped_and_not_always_there() -> None:
    """`max_retry_after` also limits the delay between attempts; a rejection has none."""
    policy = RefreshPolicy(max_retry_after=60)
    assert [0.0, 60.0] == play(status(429, retry_after="90"), good(), policy=policy, budget=1000.0).delays
    for failed in (503, status(403, retry_after="60"), TransportError("gone", retry=True)):
        assert play(failed).failure.retry_after is None


# --- the response ------------------------------------------------------------------------------------------


def test_broken_response_is_retried() -> None:
    """A success whose body is not JSON, such as a proxy's page, is retried."""
    for body in [b"", b"<html>busy</html>", b'{"voice_agent_url": "wss://h"', b"\xff\xfe", b"\xef\xbb\xbf{}", b"nul"]:
        played = play(answer(body))

        assert 3 == len(played.attempts)
        assert CredentialsInvalid is played.failure.error_type


def test_complete_but_invalid_response_is_not_retried() -> None:
    """Complete JSON would be the same the next time."""
    for body in [
        b"[]",
        b"null",
        b"{}",
        b'"text"',
        b"7",
        b'{"a": NaN}',
        b'{"a": 1, "a": 2}',
        b"[" * 10_000 + b"]" * 10_000,
        json.dumps({**fields(), "voice_agent_api_secret": None}).encode(),
    ]:
        played = play(answer(body))

        assert 1 == len(played.attempts)
        assert CredentialsInvalid is played.failure.error_type


def test_long_or_compressed_response_is_an_error() -> None:
    """More than 64 KiB, or any compression but `identity`, is an error without a retry."""
    for answer_ in (Response(200, {}, Secret(b""), is_truncated=True), good(content_encoding="gzip")):
        played = play(answer_)
        assert 1 == len(played.attempts)
        assert CredentialsInvalid is played.failure.error_type
    assert isinstance(play(good(content_encoding="Identity")).result, Fetched)


@pytest.mark.parametrize(("retry", "expected"), [(True, 3), (False, 1)])
def test_transport_error(retry: bool, expected: int) -> None:
    """The transport error decides on a retry; its message and remedy are those of the failure."""
    played = play(TransportError("connection refused", "check the port", retry))

    assert expected == len(played.attempts)
    assert CredentialsUnavailable is played.failure.error_type
    assert "connection refused" in played.failure.message
    assert "check the port" == played.failure.remedy


def test_last_failure_counts() -> None:
    """A rejection after another failure is a rejection, and says how many attempts were made."""
    played = play(503, 401, good())

    assert CredentialsRejected is played.failure.error_type
    assert "(2 attempts)" in played.failure.message


# --- hints -------------------------------------------------------------------------------------------------


def test_max_age() -> None:
    """`Cache-Control: max-age` sets the age of the next refresh, between one minute and one day; nothing else does."""
    for value, expected in [
        ("max-age=600", 600.0),
        ("private, Max-Age=600", 600.0),
        ('max-age="600"', 600.0),
        ("max-age=0", 60.0),
        ("max-age=59", 60.0),
        ("max-age=86401", 86_400.0),
        ("max-age=999999999", 86_400.0),
        ("s-maxage=600", None),
        ("x-max-age=600", None),
        ("max-age=-5", None),
        ("max-age=", None),
        ("max-age=1e3", None),
        ("no-store", None),
        ("", None),
    ]:
        outcome = play(good(cache_control=value)).result

        assert isinstance(outcome, Fetched)
        assert expected == outcome.max_age


def test_etag() -> None:
    """Only a well-formed entity tag (RFC 9110, section 8.8.3) is cached: it is sent back in a header."""
    for value, expected in [
        ('"v1"', '"v1"'),
        ('W/"v1"', 'W/"v1"'),
        ('""', '""'),
        ("v1", ""),
        ('"a"b"', ""),
        ('"line\nend"', ""),
        ('"ö"', ""),
        (f'"{"x" * 300}"', ""),
        ("", ""),
    ]:
        outcome = play(good(etag=value)).result

        assert isinstance(outcome, Fetched)
        assert expected == outcome.etag


# --- failures as values ------------------------------------------------------------------------------------


def test_failure_makes_a_new_error_each_time() -> None:
    """Each caller raises its own exception: a shared one would collect all frames."""
    failure = play(503).failure
    first, second = failure.error(retry_after=1.5), failure.error()
    assert isinstance(first, CredentialsUnavailable)
    assert isinstance(second, CredentialsUnavailable)

    assert first is not second
    assert (str(first), type(first), 1.5) == (str(second), type(second), first.retry_after)
    assert second.retry_after is None
