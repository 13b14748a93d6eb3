"""Fetch: one refresh of the credentials as a flow: what is sent to the Moss API, and what each response means."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from .._http.flow import TEMPORARY, Flow, RetryPolicy, Timing, with_retries
from .._http.model import Answer, Peer, Request, Response, TransportError
from ..credentials import RefreshPolicy, seconds
from ..errors import CredentialsInvalid, CredentialsRejected, CredentialsUnavailable
from .config import Config
from .model import Credentials
from .response import parse
from .result import Failure, Fetched, NotModified, Result

MOSS = Peer("the Moss API", "api_url (MOSS_PLATFORM_API_URL)")
_MIN_AGE, _MAX_AGE = 60.0, 24 * 3600.0  # seconds between which the API may set the age at which a refresh is due


def fetch(
    config: Config,
    policy: RefreshPolicy,
    *,
    attempts: int,
    budget: float,
    etag: str,
    mono: Callable[[], float],
    wall: Callable[[], float],
    uniform: Callable[[float, float], float],
) -> Flow[Result]:
    """At most `attempts` attempts within `budget` seconds; `etag` is that of the cached credentials, or ""."""
    conditional = (("If-None-Match", etag),) if etag else ()
    request = Request(
        MOSS,
        "GET",
        config.url,
        headers=conditional,
        # The ID is hidden too: users swap it with the key.
        secret_headers=(("X-Project-Id", config.project_id), ("X-Project-Key", config.project_key)),
    )
    limits = RetryPolicy(attempts, seconds(policy.attempt_timeout), budget, seconds(policy.max_retry_after))
    result, effort = yield from with_retries(
        request,
        lambda answer: _classify(answer, config, is_conditional=bool(etag)),
        limits,
        Timing(mono, wall, uniform),
    )
    if not isinstance(result, Failure):
        return result
    count = f" ({effort.attempts} attempts)" if effort.attempts > 1 else ""
    return result._replace(message=result.message + count, retry_after=effort.retry_after)


def _classify(answer: Answer, config: Config, *, is_conditional: bool) -> tuple[Result, bool]:
    """What an answer means, and whether another attempt may bring a better one."""
    if isinstance(answer, Response):
        if answer.is_success:
            return _success(answer)
        if answer.status == 304 and is_conditional:
            return NotModified(_max_age(answer)), False
    return failed(answer, config, config.url)


def failed(answer: Answer, config: Config, url: str) -> tuple[Failure, bool]:
    """Why the Moss API returned nothing of use for a request to `url`, and whether another attempt may succeed."""
    if isinstance(answer, TransportError):
        message = f"request to the Moss API failed: {answer.message}"
        return Failure(CredentialsUnavailable, message, answer.remedy), answer.retry
    status = answer.status
    if 300 <= status < 400:
        return _redirected(answer, config), False
    if status in _REJECTIONS:
        message, remedy = _REJECTIONS[status]
        message = message.format(url=url.partition("?")[0])
        return Failure(CredentialsRejected, f"{message} (HTTP {status})", remedy, is_rejection=True), False
    return _server_error(status), status in TEMPORARY


def _success(response: Response) -> tuple[Result, bool]:
    if response.is_compressed:
        return _invalid("it is compressed, although no compression was requested"), False
    if response.is_truncated:
        return _invalid("it is too long"), False
    parsed = parse(response.body)
    if isinstance(parsed, Credentials):
        return Fetched(parsed, _etag(response), _max_age(response)), False
    return _invalid(parsed.message), not parsed.is_complete


def _invalid(reason: str) -> Failure:
    return Failure(
        CredentialsInvalid,
        f"the Moss API's response cannot be used: {reason}",
        f"check that {MOSS.setting} is the URL of the Moss API; if it is, contact Moss support",
    )


def _server_error(status: int) -> Failure:
    remedy = (
        "retry later; this error is temporary"
        if status in TEMPORARY
        else f"check {MOSS.setting} and MOSS_VOICE_AGENT_ID"
    )
    return Failure(CredentialsUnavailable, f"the Moss API returned HTTP {status}", remedy)


def _redirected(response: Response, config: Config) -> Failure:
    try:
        host = urlsplit(response.headers.get("location", "")).hostname or ""
    except ValueError:
        host = ""
    # The server chose this text: show it only if it is a plain host name.
    is_secret = any(value.reveal().lower() in host for value in (config.project_id, config.project_key))
    is_shown = _HOST.fullmatch(host) is not None and not is_secret
    target = f" to {host}" if is_shown else ""
    return Failure(
        CredentialsInvalid,
        f"the Moss API returned HTTP {response.status}, a redirect{target}; it is not followed, to protect the project key",
        f"set {MOSS.setting} to the URL of the API itself",
    )


_HOST = re.compile(r"[A-Za-z0-9.:-]{1,253}")
_REJECTIONS = {
    401: (
        "the Moss API rejected the project ID and key",
        "check MOSS_PROJECT_ID and MOSS_PROJECT_KEY",
    ),
    403: (
        "the Moss API denied this project access to the voice agent",
        "check MOSS_PROJECT_ID and MOSS_VOICE_AGENT_ID",
    ),
    404: (
        "voice agent not found at {url}",
        f"check MOSS_VOICE_AGENT_ID, and the path in {MOSS.setting}",
    ),
    410: (
        "the voice agent was deleted",
        "create a new one in Moss and set MOSS_VOICE_AGENT_ID",
    ),
}


def _max_age(response: Response) -> float | None:
    """The age at which a refresh is due, if the API sets one (RFC 9111, section 5.2.2.1), within bounds."""
    match = re.search(r"(?:^|[\s,])max-age=\"?([0-9]{1,9})\b", response.headers.get("cache-control", "").lower())
    return min(max(float(match[1]), _MIN_AGE), _MAX_AGE) if match else None


def _etag(response: Response) -> str:
    """The entity tag to send back, if it is valid (RFC 9110, section 8.8.3)."""
    value = response.headers.get("etag", "")
    return value if re.fullmatch(r'(W/)?"[\x21\x23-\x7e]{0,200}"', value) else ""
