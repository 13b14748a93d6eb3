"""The fetch, run without a network: what is sent and when, what each response means, and what is retried."""

from __future__ import annotations

import json
from collections.abc import Callable
from email.utils import formatdate
from typing import NamedTuple

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


@pytest.mark.parametrize(("uniform", "expected"), [(LEAST, [0.0, 0.25, 0.5]), (MOST, [0.0, 0.5, 1.0])])
def test_two_failures_then_success(uniform: Callable[[float, float], float], expected: list[float]) -> None:
    """503, 503, 200: three requests, the second after 0.25 to 0.5 seconds, the third after 0.5 to 1."""
    played = play(503, 503, good(), uniform=uniform)

    assert expected == played.delays
    assert isinstance(played.result, Fetched)
    assert "agent-1" == played.result.value.agent_name


@pytest.mark.parametrize("attempts", [1, 2, 3])
def test_no_more_attempts_than_allowed(attempts: int) -> None:
    """A server that stays down gets `attempts` requests, and one in the background."""
    played = play(503, attempts=attempts)

    assert attempts == len(played.attempts)
    assert CredentialsUnavailable is played.failure.error_type


def test_delays_grow_to_four_seconds() -> None:
    """The backoff is half a second, doubling up to four."""
    played = play(503, attempts=8, budget=100.0)

    assert [0.0, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0, 4.0] == played.delays


def test_budget_ends_it() -> None:
    """A server that hangs: five seconds, then what is left of eight, and no third request."""
    played = play(TransportError("no answer in time", retry=True), takes=99.0)

    assert [0.0, 0.5] == played.delays
    assert [5.0, 2.5] == [each.timeout for each in played.attempts]
    assert 8.0 == played.took


def test_attempt_timeout_comes_from_the_policy() -> None:
    """`RefreshPolicy.attempt_timeout` bounds each request."""
    played = play(TransportError("", retry=True), takes=99.0, policy=RefreshPolicy(attempt_timeout=1.5))

    assert [1.5, 1.5, 1.5] == [each.timeout for each in played.attempts]


def test_small_budget_bounds_the_first_attempt() -> None:
    """Where a mint refreshes by itself, it has 2.5 seconds in all."""
    played = play(503, attempts=1, budget=2.5)

    assert [2.5] == [each.timeout for each in played.attempts]


def test_frozen_in_the_middle() -> None:
    """A process that was frozen during a request makes no further one after its total timeout."""
    played = play(503, takes=9_999.0, policy=RefreshPolicy(attempt_timeout=9_999), budget=8.0)

    assert 1 == len(played.attempts)


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
    """No more requests than allowed, none after the total timeout, no timeout of zero, no negative delay."""
    played = play(
        *replies,
        attempts=attempts,
        budget=budget,
        takes=takes,
        uniform=lambda low, high: low + fraction * (high - low),
    )

    assert 1 <= len(played.attempts) <= attempts
    assert played.took <= budget + 1e-6
    for each in played.attempts:
        assert each.delay >= 0
        assert 0.01 <= each.timeout <= 5.0


# --- what each status means --------------------------------------------------------------------------------


def test_temporary_status_is_retried() -> None:
    """Timeouts, overload and server errors are retried, and do not count as a rejection."""
    for code in RETRIED:
        played = play(code)

        assert 3 == len(played.attempts)
        assert CredentialsUnavailable is played.failure.error_type
        assert str(code) in played.failure.message


def test_rejection_is_not_retried() -> None:
    """401, 403, 404 and 410: the settings are wrong, so a retry does not help."""
    for code in DENIALS:
        played = play(code)

        assert 1 == len(played.attempts)
        assert CredentialsRejected is played.failure.error_type
        assert "MOSS_" in played.failure.remedy
        # A path in MOSS_PLATFORM_API_URL may be the cause of a 404.
        shown = "https://moss.example/base/api/voice-agent/get-voice-agent (HTTP" in played.failure.message
        assert shown is (code == 404)


def test_other_errors_are_not_retried() -> None:
    """The rest of 4xx, 501 and 505 mean a wrong request or a wrong server: no retry, and no rejection."""
    for code in [400, 402, 405, 406, 409, 415, 418, 422, 451, 499, 501, 505, 511, 599, 600, 999]:
        played = play(code)

        assert 1 == len(played.attempts)
        assert CredentialsUnavailable is played.failure.error_type
        assert str(code) in played.failure.message


def test_redirect_is_not_followed() -> None:
    """A redirect is an error without a retry; it names the status and the host, and nothing else of the URL."""
    for code in [300, 301, 302, 303, 305, 307, 308, 399]:
        target = "https://user:pw@elsewhere.example:8443/path?key=query#fragment"
        played = play(status(code, location=target))

        assert 1 == len(played.attempts)
        assert f"HTTP {code}, a redirect to elsewhere.example;" in played.failure.message
        for part in ("user", "pw@", "8443", "/path", "query", "fragment"):
            assert part not in played.failure.message


def test_redirect_to_an_invalid_host_names_none() -> None:
    """The server's text is shown only if it is a plain host name, and never if it contains the key."""
    for location in [
        "",
        "/relative",
        "https://[half",
        f"https://{KEY}.evil.example/",
        "https://h\x1b[31m/",
        "https://ö/",
        "//" + "h" * 300,
    ]:
        failure = play(status(302, location=location)).failure

        assert "HTTP 302, a redirect; it is not followed" in failure.message


def test_not_modified() -> None:
    """304 to a conditional request is a success without new credentials, and may set the age of the next refresh."""
    assert NotModified(None) == play(304, etag='"v1"').result
    assert NotModified(600.0) == play(status(304, cache_control="max-age=600"), etag='"v1"').result


def test_not_modified_to_an_unconditional_request() -> None:
    """304 to an unconditional request is an error without a retry: there is nothing that it could confirm."""
    played = play(304)

    assert 1 == len(played.attempts)
    assert isinstance(played.result, Failure)


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


def test_retry_after_beyond_the_budget() -> None:
    """A delay beyond the total timeout ends the fetch; the failure says when to retry, five minutes at most."""
    for value in [
        "3600",
        "301",
        "9999999999",
        "9" * 400,
        formatdate(WALL + 9000, usegmt=True),
        "Fri, 31 Dec 9999 23:59:59 GMT",
    ]:
        played = play(status(429, retry_after=value))

        assert 1 == len(played.attempts)
        assert 0.0 == played.took
        assert 300.0 == played.failure.retry_after


def test_retry_after_just_beyond_the_budget() -> None:
    """Twenty seconds are more than eight: the failure says twenty."""
    played = play(status(503, retry_after="20"))

    assert 1 == len(played.attempts)
    assert 20.0 == played.failure.retry_after


def test_retry_after_in_the_background() -> None:
    """A single attempt does not wait; its failure has the delay."""
    assert 2.0 == play(status(503, retry_after="2"), attempts=1).failure.retry_after


def test_retry_after_is_capped_by_the_policy() -> None:
    """`max_retry_after` limits the delay between attempts and that of the failure."""
    policy = RefreshPolicy(max_retry_after=60)

    assert 60.0 == play(status(429, retry_after="3600"), policy=policy).failure.retry_after
    assert [0.0, 60.0] == play(status(429, retry_after="90"), good(), policy=policy, budget=1000.0).delays


def test_failure_without_retry_after() -> None:
    """Without a valid Retry-After, or after a rejection, the failure has none."""
    assert play(503).failure.retry_after is None
    assert play(status(503, retry_after=formatdate(WALL - 60, usegmt=True)), attempts=1).failure.retry_after is None
    assert play(status(403, retry_after="60")).failure.retry_after is None
    assert play(TransportError("gone", retry=True)).failure.retry_after is None


# --- the answer --------------------------------------------------------------------------------------------


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
    """More than 64 KiB, or any compression, is an error without a retry."""
    too_long = Response(200, {}, Secret(b""), is_truncated=True)
    compressed = good(content_encoding="gzip")

    for played in (play(too_long), play(compressed)):
        assert 1 == len(played.attempts)
        assert CredentialsInvalid is played.failure.error_type


def test_identity_is_no_compression() -> None:
    """`Content-Encoding: identity` means no compression."""
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
