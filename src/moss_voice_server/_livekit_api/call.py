"""Call: one call to LiveKit's server API, retried where that is safe, and once more with new credentials after a 401."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from json import dumps
from typing import Any, NamedTuple, Protocol

from .._http.flow import TEMPORARY, Pause, RetryPolicy, Steps, Timing, http_date, with_retries
from .._http.model import LARGE_BODY, Answer, Peer, Request, TransportError
from .._secret import Secret
from ..errors import LiveKitRejected, LiveKitUnavailable, RoomError, RoomNotFound
from ..grants import ApiGrants
from .parse import json_object

LIVEKIT = Peer("LiveKit", "the LiveKit URL")
BUDGET = 8.0  # seconds for one operation, all its calls and pauses together
_ATTEMPTS, _ATTEMPT_TIMEOUT, _MAX_RETRY_AFTER = 3, 5.0, 300.0
_SHORTEST_CALL = 0.05  # seconds
_RELOAD_POLL = 0.02  # seconds between two looks whether the credentials have been refreshed


class Access(Protocol):
    """The credentials and the clocks that an operation uses."""

    @property
    def timing(self) -> Timing:
        """Clocks and random numbers."""

    def credentials(self) -> Signed:
        """The credentials of this moment; a CredentialsError if there are none."""

    def reload(self) -> None:
        """Starts a refresh of the credentials in the background, unless one was started a moment ago."""

    def is_reloading(self) -> bool:
        """Whether a refresh is in progress."""


class Generation(Protocol):
    """Tells generations of credentials apart."""

    def same_as(self, other: Any) -> bool:
        """Whether nothing has changed."""


class Signed(NamedTuple):
    """One generation of credentials."""

    url: str
    generation: Generation
    token: Callable[[ApiGrants], Secret[str]]
    """A new API token of one minute."""


class Call(NamedTuple):
    """One method of LiveKit's server API."""

    service: str
    method: str
    fields: Mapping[str, Any]
    grants: ApiGrants
    is_repeatable: bool = True
    """Whether it has the same effect when it arrives twice."""


class Reply(NamedTuple):
    """The response to a call."""

    fields: dict[str, Any]
    date: float | None
    """When LiveKit sent it, in seconds since 1970 by LiveKit's clock."""


class Failure(NamedTuple):
    """Why a call failed. A value, so that no frame with a token or a response travels with it."""

    error_type: type[RoomError]
    message: str
    remedy: str = ""
    retry_after: float | None = None
    is_unauthenticated: bool = False

    def error(self) -> RoomError:
        """A new exception."""
        if self.error_type is LiveKitUnavailable:
            return LiveKitUnavailable(self.message, remedy=self.remedy, retry_after=self.retry_after)
        return self.error_type(self.message, remedy=self.remedy)


def call(access: Access, wanted: Call, end: float) -> Steps[Reply | Failure]:
    """The response of a call that ends by `end` on the monotonic clock, or why there is none."""
    credentials = access.credentials()
    result = yield from _send(access, credentials, wanted, end)
    if not isinstance(result, Failure) or not result.is_unauthenticated:
        return result
    # The API key was rotated, or revoked.
    access.reload()
    while access.is_reloading() and access.timing.mono() < end:
        yield Pause(_RELOAD_POLL)
    current = access.credentials()
    if current.generation.same_as(credentials.generation):
        return result
    return (yield from _send(access, current, wanted, end))


def succeed(access: Access, wanted: Call, end: float) -> Steps[Reply]:
    """The response of a call.

    Raises:
        RoomError: the call failed.
    """
    result = yield from call(access, wanted, end)
    if isinstance(result, Failure):
        raise result.error()
    return result


def _send(access: Access, credentials: Signed, wanted: Call, end: float) -> Steps[Reply | Failure]:
    timing = access.timing
    left = end - timing.mono()
    if left < _SHORTEST_CALL:
        return Failure(LiveKitUnavailable, "LiveKit did not respond in time", "retry later")
    policy = RetryPolicy(_ATTEMPTS if wanted.is_repeatable else 1, _ATTEMPT_TIMEOUT, left, _MAX_RETRY_AFTER)
    result, effort = yield from with_retries(_request(credentials, wanted), _classify, policy, timing)
    if not isinstance(result, Failure):
        return result
    count = f" ({effort.attempts} attempts)" if effort.attempts > 1 else ""
    return result._replace(message=result.message + count, retry_after=effort.retry_after)


def _request(credentials: Signed, wanted: Call) -> Request:
    return Request(
        LIVEKIT,
        "POST",
        f"{api_url(credentials.url)}/twirp/livekit.{wanted.service}/{wanted.method}",
        headers=(("Content-Type", "application/json"),),
        secret_headers=(("Authorization", _bearer(credentials.token(wanted.grants))),),
        body=Secret(dumps(wanted.fields).encode()),
        max_body=LARGE_BODY,
        reads_error_body=True,
    )


def _bearer(token: Secret[str]) -> Secret[str]:
    return Secret(f"Bearer {token.reveal()}")


def api_url(url: str) -> str:
    """The server API's URL for the URL that clients connect to."""
    return ("http" + url[2:] if url.startswith("ws") else url).rstrip("/")


def _classify(answer: Answer) -> tuple[Reply | Failure, bool]:
    """What an answer means, and whether another attempt may bring a better one."""
    if isinstance(answer, TransportError):
        return Failure(LiveKitUnavailable, f"request to LiveKit failed: {answer.message}", answer.remedy), answer.retry
    if answer.is_success:
        if answer.is_compressed or answer.is_truncated:
            reason = "it is too long" if answer.is_truncated else "it is compressed, although that was not requested"
            return _unusable(reason), False
        fields = json_object(answer.body)
        if fields is None:
            return _unusable("it is not a JSON object"), True
        return Reply(fields, http_date(answer.headers.get("date", ""))), False
    return _error(answer.status, _code(answer.body)), answer.status in TEMPORARY


def _code(body: Secret[bytes]) -> str:
    """The error code of a Twirp response."""
    code = (json_object(body) or {}).get("code")
    return code if isinstance(code, str) else ""


_NOT_LIVEKIT = "check that the LiveKit URL is the URL of a LiveKit server"


def _unusable(reason: str) -> Failure:
    return Failure(
        LiveKitUnavailable,
        f"LiveKit's response cannot be used: {reason}",
        _NOT_LIVEKIT,
    )


def _error(status: int, code: str) -> Failure:
    if status == 401:
        remedy = "check that the LiveKit API key and secret are current"
        return Failure(LiveKitRejected, "LiveKit rejected the API token (HTTP 401)", remedy, is_unauthenticated=True)
    if status == 404 and code == "not_found":
        return Failure(RoomNotFound, "LiveKit found no such room, participant or dispatch")
    if status in TEMPORARY:
        return Failure(LiveKitUnavailable, f"LiveKit returned HTTP {status}", "retry later; this error is temporary")
    if 300 <= status < 400:
        remedy = "set the LiveKit URL to the URL of the server itself"
        return Failure(LiveKitRejected, f"LiveKit returned HTTP {status}, a redirect; it is not followed", remedy)
    if status >= 500:
        return Failure(LiveKitUnavailable, f"LiveKit returned HTTP {status}", "check the LiveKit server's log")
    remedies = {400: "check the length of names and metadata", 403: "check what the LiveKit API key permits"}
    # LiveKit's own errors have a code; any other server, or a proxy before LiveKit, sends a page of its own.
    remedy = remedies.get(status, "read the LiveKit server's log") if code else _NOT_LIVEKIT
    return Failure(LiveKitRejected, f"LiveKit rejected the request (HTTP {status})", remedy)
