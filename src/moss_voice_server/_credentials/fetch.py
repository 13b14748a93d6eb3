"""Fetch: the whole exchange with the Moss API as one generator that yields attempts, is sent answers and returns an outcome.

It decides what is retried, when, and what each answer means; the driver only waits and sends (`_http`). Sync and async
share it whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from typing import NamedTuple
from urllib.parse import urlsplit

from .._secret import Secret
from ..credentials import RefreshPolicy, seconds
from ..errors import CredentialsError, CredentialsInvalid, CredentialsRejected, CredentialsUnavailable
from .config import Settings
from .response import Credentials, parse

MAX_BODY = 64 * 1024  # bytes; a real answer has less than one thousand
_RETRY = frozenset({408, 425, 429, 500, 502, 503, 504})
_DENIED = frozenset({401, 403, 404, 410})
_FIRST_DELAY, _LAST_DELAY = 0.5, 4.0  # seconds
_MIN_AGE, _MAX_AGE = 60.0, 24 * 3600.0  # seconds between which the API may move the soft age
_WORTHWHILE = 0.05  # seconds; an attempt with less time than this cannot succeed


class Request(NamedTuple):
    """A GET. The key's header is added by whoever sends it, so that the key stays wrapped until then."""

    url: str
    headers: tuple[tuple[str, str], ...]
    secret_header: tuple[str, Secret[str]]


class Attempt(NamedTuple):
    """Wait `delay` seconds, then send, and give up after `timeout` seconds by the driver's own clock."""

    request: Request
    delay: float
    timeout: float


class Response(NamedTuple):
    """What came back. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: Secret[bytes]
    too_long: bool = False
    """The body was cut off because it is longer than `MAX_BODY`, or not read because it was compressed."""


class Fault(NamedTuple):
    """Why nothing came back."""

    text: str
    retry: bool
    cause: str = ""
    """The class name of the exception behind it, for whoever tells kinds of trouble apart."""


class Fetched(NamedTuple):
    """New credentials."""

    credentials: Credentials
    etag: str
    max_age: float | None


class NotModified(NamedTuple):
    """The credentials that we have are the current ones."""

    max_age: float | None


class Failure(NamedTuple):
    """Why there are no new credentials. A value and not an exception, so that everybody who waits can raise one of their own."""

    kind: type[CredentialsError]
    text: str
    retry_after: float | None = None
    """Seconds that the API asked to be left alone."""

    def error(self, retry_after: float | None = None) -> CredentialsError:
        """The exception that says so."""
        return self.kind(self.text, retry_after=retry_after)


Outcome = Fetched | NotModified | Failure
Exchange = Generator[Attempt, Response | Fault, Outcome]


def fetch(
    settings: Settings,
    policy: RefreshPolicy,
    *,
    attempts: int,
    budget: float,
    etag: str,
    mono: Callable[[], float],
    wall: Callable[[], float],
    uniform: Callable[[float, float], float],
) -> Exchange:
    """At most `attempts` attempts within `budget` seconds; `etag` is that of the credentials in hand, or ""."""
    conditional = (("If-None-Match", etag),) if etag else ()
    request = Request(
        settings.url,
        (("X-Project-Id", settings.project_id), ("Accept-Encoding", "identity"), *conditional),
        ("X-Project-Key", settings.project_key),
    )
    end = mono() + budget
    delay, number = 0.0, 1
    while True:
        answer = yield Attempt(request, delay, min(seconds(policy.attempt_timeout), end - mono() - delay))
        outcome, retry = _judge(answer, settings, bool(etag))
        if not isinstance(outcome, Failure):
            return outcome
        failure = outcome
        asked = _retry_after(answer, wall()) if retry else None
        delay = min(_LAST_DELAY, _FIRST_DELAY * 2 ** (number - 1)) * uniform(0.5, 1.0)
        if asked is not None:
            asked = min(asked, seconds(policy.max_retry_after))
            failure = failure._replace(retry_after=asked)
            delay = max(delay, asked)
        if not retry or number == attempts or end - mono() - delay < _WORTHWHILE:
            return failure._replace(text=failure.text + (f" ({number} attempts)" if number > 1 else ""))
        number += 1


def _judge(answer: Response | Fault, settings: Settings, conditional: bool) -> tuple[Outcome, bool]:
    """What an answer means, and whether another attempt may bring a better one."""
    if isinstance(answer, Fault):
        return Failure(CredentialsUnavailable, f"the Moss API could not be asked: {answer.text}"), answer.retry
    status = answer.status
    if 200 <= status < 300:
        return _usable(answer)
    if status == 304 and conditional:
        return NotModified(_max_age(answer)), False
    if 300 <= status < 400:
        return _redirected(answer, settings), False
    if status in _DENIED:
        return Failure(CredentialsRejected, _DENIALS[status]), False
    return _unable(status), status in _RETRY


def _usable(answer: Response) -> tuple[Outcome, bool]:
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        return _unusable("it is compressed, though no compression was asked for"), False
    if answer.too_long:
        return _unusable(f"it is longer than {MAX_BODY} bytes"), False
    parsed = parse(answer.body)
    if isinstance(parsed, Credentials):
        return Fetched(parsed, _etag(answer), _max_age(answer)), False
    return _unusable(parsed.text), not parsed.whole


def _unusable(why: str) -> Failure:
    return Failure(
        CredentialsInvalid,
        f"the Moss API's answer cannot be used: {why}. Check that api_url is the Moss API; if it is, ask Moss's support",
    )


def _unable(status: int) -> Failure:
    way_out = "it should pass; nothing to do here" if status in _RETRY else "check api_url and the voice agent id"
    return Failure(CredentialsUnavailable, f"the Moss API answered HTTP {status}: {way_out}")


def _redirected(answer: Response, settings: Settings) -> Failure:
    try:
        host = urlsplit(answer.headers.get("location", "")).hostname or ""
    except ValueError:
        host = ""
    # The other side wrote this: show a plain host name and nothing else.
    shown = _HOST.fullmatch(host) is not None and settings.project_key.reveal().lower() not in host
    where = f" to {host}" if shown else ""
    return Failure(
        CredentialsInvalid,
        f"the Moss API answered HTTP {answer.status}, a redirect{where}; it is not followed, so that the project key goes "
        "nowhere else: set api_url to the API's own address",
    )


_HOST = re.compile(r"[A-Za-z0-9.:-]{1,253}")
_DENIALS = {
    401: "the Moss API does not accept the project id and key (HTTP 401): check MOSS_PROJECT_ID and MOSS_PROJECT_KEY",
    403: "the Moss API does not let this project have the voice agent (HTTP 403): check MOSS_PROJECT_ID and MOSS_VOICE_AGENT_ID",
    404: "the Moss API knows no such voice agent (HTTP 404): check MOSS_VOICE_AGENT_ID, and that it belongs to this project",
    410: "the voice agent is gone (HTTP 410): create a new one in Moss and set MOSS_VOICE_AGENT_ID",
}


def _retry_after(answer: Response | Fault, now: float) -> float | None:
    """Seconds that the API asks to be left alone (RFC 9110, section 10.2.3); `None` for nothing sensible."""
    value = "" if isinstance(answer, Fault) else answer.headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]+", value):
        return float(value)  # infinite for very many digits; the policy's cap makes it finite
    # Not at the top: it brings much along, and would be a fifth of what it takes to import this package.
    from email.utils import parsedate_to_datetime

    try:
        wait = parsedate_to_datetime(value).timestamp() - now
    except (TypeError, ValueError, OverflowError, OSError):
        return None
    return wait if wait > 0 else None


def _max_age(answer: Response) -> float | None:
    """The soft age that the API requests (RFC 9111, section 5.2.2.1), within bounds."""
    match = re.search(r"(?:^|[\s,])max-age=\"?([0-9]{1,9})\b", answer.headers.get("cache-control", "").lower())
    return min(max(float(match[1]), _MIN_AGE), _MAX_AGE) if match else None


def _etag(answer: Response) -> str:
    """The entity tag to send back, when it is one (RFC 9110, section 8.8.3)."""
    value = answer.headers.get("etag", "")
    return value if re.fullmatch(r'(W/)?"[\x21\x23-\x7e]{0,200}"', value) else ""
