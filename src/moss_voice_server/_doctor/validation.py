"""Check whether LiveKit accepts a token, through `/rtc/validate`: without joining, and without creating a room."""

from __future__ import annotations

from .._http.model import Response
from .._random import new_room
from .check import Ended, Verdict, fail, need, ok, skip, warn
from .found import Found
from .key_pair import SWAPPED, keys_look_swapped
from .livekit_api import join_token
from .livekit_server import NO_TOKEN
from .target import Target

_V1 = "/rtc/v1/validate"
_CLOCK = "synchronize the clocks of this machine and of LiveKit's with NTP; see the check `clock`"
_PATH = "check what stands between this machine and LiveKit"
_REASONS = {
    b"invalid API key": (
        "LiveKit does not know the API key",
        "check that key and URL belong to the same LiveKit project, and that the key was not revoked",
    ),
    NO_TOKEN: (
        "LiveKit received no token: a proxy removes the Authorization header",
        "let the proxy pass the Authorization header",
    ),
    b"signature is invalid": (
        "the secret does not belong to the API key",
        "copy key and secret again from the same place; a new key has a new secret",
    ),
    b"token is expired": ("LiveKit treats the new token as expired: the clocks differ", _CLOCK),
    b"not valid yet": ("LiveKit treats the new token as not yet valid: the clocks differ", _CLOCK),
}
_UNKNOWN_REASON = ("LiveKit rejects the token", "read LiveKit's log; run `moss-voice-server inspect` on the token")
_STATUSES = {
    400: ("LiveKit does not understand the token", "read LiveKit's log, and check the server's own limits"),
    403: ("a proxy rejects the request", _PATH),
    429: ("too many requests", "retry later; raise the limit of the proxy or the project"),
    451: ("the project is not available in this region", "use the URL of the project's own region"),
    503: ("the server has reached its limits", "retry later, or raise `limit:` in LiveKit's configuration"),
}
_NOT_LIVEKIT = ("LiveKit never sends this response; a proxy may", _PATH)


def token(found: Found) -> Verdict:
    """The path that all clients use, or fall back to."""
    server, credentials = need(found.server), need(found.credentials)
    verdict = judge(server, join_token(found, new_room("doctor-")), found.options.timeout)
    if keys_look_swapped(credentials) and verdict.status == "fail":
        return fail(f"{verdict.detail}; {SWAPPED}", "swap key and secret")
    return verdict


def token_v1(found: Found) -> Verdict:
    """The path that new clients try first."""
    server, token = need(found.server), join_token(found, new_room("doctor-"))
    if found.failed("token"):
        return skip("the token was not accepted")
    try:
        response = _ask(server, _V1, token, found.options.timeout)
    except Ended:
        return warn(f"GET {_V1}: no response", "retry; check whether a proxy blocks /rtc/v1")
    tried = f"GET {_V1}: HTTP {response.status}"
    if response.status == 400 and b"join_request is required" in response.body.reveal():
        return ok(f"{tried}, as expected; new clients join without a detour")
    if response.status == 404:
        return warn(
            f"{tried}: this server is older than 1.9.10, or a proxy hides the path, which new clients try first",
            "update LiveKit, or let the proxy pass /rtc/v1; clients fall back to /rtc",
        )
    return warn(f"{tried}, which LiveKit never sends", "let the proxy pass /rtc/v1 to LiveKit")


def validate(url: str, token: str, timeout: float = 5.0) -> Verdict:
    """Whether the LiveKit server at `url` accepts a token: `fail` where it does not, or does not answer."""
    try:
        return judge(Target("livekit", url.rstrip("/")), token, timeout)
    except Ended as ended:
        return need(ended.verdict)


def judge(server: Target, token: str, timeout: float) -> Verdict:
    """What the response of `/rtc/validate` means.

    Never repeats the response: LiveKit up to 1.13.5 includes the whole token when it refuses one.

    Raises:
        Ended: there is no response.
    """
    response = _ask(server, "/rtc/validate", token, timeout)
    body, status = response.body.reveal(), response.status
    tried = f"GET /rtc/validate: HTTP {status}"
    if status == 200 and body.strip() == b"success":
        return ok(f"{tried}, the token is accepted")
    if status == 404 and b"requested room does not exist" in body:
        return warn(
            f"{tried}: the token is accepted, but joining creates no room on this server (room.auto_create is off)",
            "create each room in your backend, or set room.auto_create to true",
        )
    if status == 401:
        detail, remedy = next((reason for mark, reason in _REASONS.items() if mark in body), _UNKNOWN_REASON)
    else:
        detail, remedy = _STATUSES.get(status, _NOT_LIVEKIT)
    return fail(f"{tried}: {detail}", remedy)


def _ask(server: Target, path: str, token: str, timeout: float) -> Response:
    # In the header: newer servers read it only there, and proxies do not log it.
    return server.send("GET", path, {"Authorization": f"Bearer {token}"}, timeout=timeout)
