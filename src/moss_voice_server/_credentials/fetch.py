"""Fetch: one refresh of the credentials as a flow: what is sent to the Moss API, and what each response means."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from .._http.flow import TEMPORARY, Flow, RetryPolicy, Timing, with_retries
from .._http.model import Failure, Peer, Request, Response
from .._json import InvalidJSON, decode
from .._secret import Sealed, Secret
from ..credentials import RefreshPolicy, seconds
from ..errors import (
    CredentialsInvalid,
    CredentialsNotLoaded,
    CredentialsRejected,
    CredentialsUnavailable,
    InvalidArgument,
)
from .config import Config
from .model import Credentials, validated
from .runtime import Runtime
from .source import Fetched, NotModified, Result
from .wording import Texts

MOSS = Peer("the Moss API", "api_url (MOSS_PLATFORM_API_URL)")
TEXTS = Texts(
    "LiveKit credentials",
    MOSS.name,
    "token creation is suspended",
    CredentialsUnavailable,
    CredentialsRejected,
    CredentialsNotLoaded,
    "call refresh(), or create it with {owner}.from_env()",
)
FIELDS = ("voice_agent_url", "voice_agent_api_key", "voice_agent_api_secret", "voice_agent_name")
_MIN_AGE, _MAX_AGE = 60.0, 24 * 3600.0  # seconds between which the API may set the age at which a refresh is due


class MossSource(Sealed):
    """The Moss API as the source of a cache. `run` sends what a flow asks for and returns its result."""

    texts = TEXTS

    def __init__(
        self, config: Config, policy: RefreshPolicy, run: Callable[[Flow[Any]], Any], runtime: Runtime
    ) -> None:
        self.config = config
        self.policy = policy
        self.run = run
        self.runtime = runtime

    def prepare(self) -> None:
        """Imports the HTTP client."""
        from .._http import drivers as _drivers  # noqa: F401  # imported for its effect

    def fetch(self, attempts: int, budget: float, etag: str) -> Result[Credentials]:
        """Makes at most `attempts` requests within `budget` seconds; `etag` is that of the cached credentials, or ""."""
        clock = self.runtime.clock
        timing = Timing(clock.monotonic, clock.time, self.runtime.uniform)
        result: Result[Credentials] = self.run(fetch(self.config, limits(self.policy, attempts, budget), timing, etag))
        return result


def limits(policy: RefreshPolicy, attempts: int, budget: float) -> RetryPolicy:
    """How often and how long to try."""
    return RetryPolicy(attempts, seconds(policy.attempt_timeout), budget, seconds(policy.max_retry_after))


def get(config: Config, url: str, **options: Any) -> Request:
    """A GET request to the Moss API."""
    # The ID is hidden too: users swap it with the key.
    secret = (("X-Project-Id", config.project_id), ("X-Project-Key", config.project_key))
    return Request(MOSS, "GET", url, secret_headers=secret, **options)


def fetch(config: Config, policy: RetryPolicy, timing: Timing, etag: str = "") -> Flow[Result[Credentials]]:
    """The credentials, or why there are none; `etag` is that of the cached credentials, or ""."""
    request = get(config, config.url, headers=(("If-None-Match", etag),) if etag else ())

    def classify(response: Response) -> tuple[Result[Credentials], bool]:
        if response.is_success:
            return _success(response)
        if response.status == 304 and etag:
            return NotModified(_max_age(response)), False
        return failed(response, config, config.url)

    result: Result[Credentials] = yield from with_retries(request, classify, CredentialsUnavailable, policy, timing)
    return result


def failed(response: Response, config: Config, url: str) -> tuple[Failure, bool]:
    """Why the Moss API returned nothing of use for a request to `url`, and whether another attempt may succeed."""
    status = response.status
    if 300 <= status < 400:
        return _redirected(response, config), False
    if status in _REJECTIONS:
        message, remedy = _REJECTIONS[status]
        message = message.format(url=url.partition("?")[0])
        return Failure(CredentialsRejected, f"{message} (HTTP {status})", remedy, is_rejection=True), False
    message = f"the Moss API returned HTTP {status}"
    if status in TEMPORARY:
        return Failure(CredentialsUnavailable, message, "retry later; this error is temporary"), True
    return Failure(CredentialsUnavailable, message, f"check {MOSS.setting} and MOSS_VOICE_AGENT_ID"), False


def _success(response: Response) -> tuple[Result[Credentials], bool]:
    if response.is_compressed:
        return _invalid("it is compressed, although no compression was requested"), False
    if response.is_truncated:
        return _invalid("it is too long"), False
    parsed = parse(response.body)
    if isinstance(parsed, ParseError):
        return _invalid(parsed.message), not parsed.is_complete
    return Fetched(parsed, _etag(response), _max_age(response)), False


def _invalid(reason: str) -> Failure:
    return Failure(
        CredentialsInvalid,
        f"the Moss API's response cannot be used: {reason}",
        f"check that {MOSS.setting} is the URL of the Moss API; if it is, contact Moss support",
    )


def _redirected(response: Response, config: Config) -> Failure:
    try:
        host = urlsplit(response.headers.get("location", "")).hostname or ""
    except ValueError:
        host = ""
    # The server chose this text: show it only if it is a plain host name.
    is_secret = any(value.reveal().lower() in host for value in (config.project_id, config.project_key))
    target = f" to {host}" if _HOST.fullmatch(host) and not is_secret else ""
    return Failure(
        CredentialsInvalid,
        f"the Moss API returned HTTP {response.status}, a redirect{target}; it is not followed, to protect the project key",
        f"set {MOSS.setting} to the URL of the API itself",
    )


_HOST = re.compile(r"[A-Za-z0-9.:-]{1,253}")
_REJECTIONS = {
    401: ("the Moss API rejected the project ID and key", "check MOSS_PROJECT_ID and MOSS_PROJECT_KEY"),
    403: (
        "the Moss API denied this project access to the voice agent",
        "check MOSS_PROJECT_ID and MOSS_VOICE_AGENT_ID",
    ),
    404: ("voice agent not found at {url}", f"check MOSS_VOICE_AGENT_ID, and the path in {MOSS.setting}"),
    410: ("the voice agent was deleted", "create a new one in Moss and set MOSS_VOICE_AGENT_ID"),
}


def _max_age(response: Response) -> float | None:
    """The age at which a refresh is due, if the API sets one (RFC 9111, section 5.2.2.1), within bounds."""
    match = re.search(r"(?:^|[\s,])max-age=\"?([0-9]{1,9})\b", response.headers.get("cache-control", "").lower())
    return min(max(float(match[1]), _MIN_AGE), _MAX_AGE) if match else None


def _etag(response: Response) -> str:
    """The entity tag to send back, if it is valid (RFC 9110, section 8.8.3)."""
    value = response.headers.get("etag", "")
    return value if re.fullmatch(r'(W/)?"[\x21\x23-\x7e]{0,200}"', value) else ""


class ParseError(NamedTuple):
    """Why a response cannot be used. A value, because an exception's frames would hold the body."""

    message: str
    is_complete: bool
    """Whether the body arrived as it was sent, so that another request would bring the same."""


_JSON_ERRORS = {
    "syntax": ("it is not JSON", False),
    "duplicate_name": ("it repeats a field", True),
    "number": ("it contains a number that is not JSON", True),
    "too_deep": ("it is nested too deeply", True),
}


def parse(body: Secret[bytes]) -> Credentials | ParseError:
    """The credentials in a response's body."""
    try:
        fields = Secret(decode(body.reveal()))
    except InvalidJSON as error:
        return ParseError(*_JSON_ERRORS[error.reason])
    if not isinstance(fields.reveal(), dict):
        return ParseError(f"it is a JSON {_kind(fields)}, not an object", is_complete=True)
    missing = [name for name in FIELDS if name not in fields.reveal()]
    if missing:
        return ParseError(f"the field {', '.join(missing)} is missing", is_complete=True)
    wrong = [name for name in FIELDS if not isinstance(fields.reveal()[name], str)]
    if wrong:
        return ParseError(f"the field {', '.join(wrong)} is not a string", is_complete=True)
    url, api_key, api_secret, agent_name = (Secret(fields.reveal()[name]) for name in FIELDS)
    try:
        credentials = validated(url, api_key, api_secret, agent_name, FIELDS)
    except InvalidArgument as error:
        return ParseError(f"the field {error.message}", is_complete=True)
    if not credentials.agent_name:
        return ParseError("the field voice_agent_name is empty", is_complete=True)
    return credentials


def _kind(value: Secret[Any]) -> str:
    kinds = {list: "array", str: "string", bool: "boolean", type(None): "null"}
    return kinds.get(type(value.reveal()), "number")
