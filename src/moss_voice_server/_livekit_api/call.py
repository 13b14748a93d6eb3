"""Call: one call to LiveKit's server API, retried where that is safe, and once more with new credentials after a 401."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from json import dumps
from typing import Any, NamedTuple

from .._credentials.source import Cacheable
from .._http.flow import TEMPORARY, Pause, RetryPolicy, Steps, Timing, http_date, with_retries
from .._http.model import LARGE_BODY, Failure, Peer, Request, Response
from .._secret import Secret
from ..errors import LiveKitRejected, LiveKitUnavailable, RoomNotFound
from ..grants import ApiGrants
from .parse import json_object

LIVEKIT = Peer("LiveKit", "the LiveKit URL")
BUDGET = 8.0  # seconds for one operation, all its calls and pauses together
_ATTEMPTS, _ATTEMPT_TIMEOUT, _MAX_RETRY_AFTER = 3, 5.0, 300.0
_SHORTEST_CALL = 0.05  # seconds
_RELOAD_POLL = 0.02  # seconds between two looks whether the credentials have been refreshed


class Signed(NamedTuple):
    """One generation of credentials."""

    url: str
    credentials: Cacheable
    token: Callable[[ApiGrants], Secret[str]]
    """A new API token of one minute."""


class Access(NamedTuple):
    """The clocks and the credentials that an operation uses."""

    timing: Timing
    credentials: Callable[[], Signed]
    """The credentials of this moment; a CredentialsError if there are none."""
    reload: Callable[[], None]
    """Starts a refresh of the credentials in the background, unless one was started a moment ago."""
    is_reloading: Callable[[], bool]
    """Whether a refresh is in progress."""


class Call(NamedTuple):
    """One method of LiveKit's server API."""

    service: str
    method: str
    fields: Mapping[str, Any]
    grants: ApiGrants
    is_repeatable: bool = True
    """Whether it has the same effect when it arrives twice."""


def room_call(service: str, method: str, room: str, **fields: Any) -> Call:
    """A method about one room, with the grant to administer it."""
    return Call(service, method, {"room": room, **fields}, ApiGrants(room=room, room_admin=True))


class Reply(NamedTuple):
    """The response to a call."""

    fields: dict[str, Any]
    date: float | None
    """When LiveKit sent it, in seconds since 1970 by LiveKit's clock."""


def call(access: Access, wanted: Call, end: float) -> Steps[Reply | Failure]:
    """The response of a call that ends by `end` on the monotonic clock, or why there is none."""
    credentials = access.credentials()
    result = yield from _send(access, credentials, wanted, end)
    if not isinstance(result, Failure) or not result.is_rejection:
        return result
    # The API key was rotated, or revoked.
    access.reload()
    while access.is_reloading() and access.timing.mono() < end:
        yield Pause(_RELOAD_POLL)
    current = access.credentials()
    if current.credentials.same_as(credentials.credentials):
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
    return (yield from with_retries(_request(credentials, wanted), _classify, LiveKitUnavailable, policy, timing))


def _request(credentials: Signed, wanted: Call) -> Request:
    return Request(
        LIVEKIT,
        "POST",
        f"{api_url(credentials.url)}/twirp/livekit.{wanted.service}/{wanted.method}",
        headers=(("Content-Type", "application/json"),),
        secret_headers=(("Authorization", Secret(f"Bearer {credentials.token(wanted.grants).reveal()}")),),
        body=Secret(dumps(wanted.fields).encode()),
        max_body=LARGE_BODY,
        reads_error_body=True,
    )


def api_url(url: str) -> str:
    """The server API's URL for the URL that clients connect to."""
    return ("http" + url[2:] if url.startswith("ws") else url).rstrip("/")


def _classify(response: Response) -> tuple[Reply | Failure, bool]:
    """What a response means, and whether another attempt may bring a better one."""
    if not response.is_success:
        return _error(response.status, _code(response.body)), response.status in TEMPORARY
    if response.is_compressed or response.is_truncated:
        reason = "it is too long" if response.is_truncated else "it is compressed, although that was not requested"
        return _unusable(reason), False
    fields = json_object(response.body)
    if fields is None:
        return _unusable("it is not a JSON object"), True
    return Reply(fields, http_date(response.headers.get("date", ""))), False


def _code(body: Secret[bytes]) -> str:
    code = (json_object(body) or {}).get("code")
    return code if isinstance(code, str) else ""


_NOT_LIVEKIT = "check that the LiveKit URL is the URL of a LiveKit server"


def _unusable(reason: str) -> Failure:
    return Failure(LiveKitUnavailable, f"LiveKit's response cannot be used: {reason}", _NOT_LIVEKIT)


def _error(status: int, code: str) -> Failure:
    if status == 401:
        remedy = "check that the LiveKit API key and secret are current"
        return Failure(LiveKitRejected, "LiveKit rejected the API token (HTTP 401)", remedy, is_rejection=True)
    if status == 404 and code == "not_found":
        remedy = "check the room's name, and whether the room has ended"
        return Failure(RoomNotFound, "LiveKit found no such room, participant or dispatch", remedy)
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
