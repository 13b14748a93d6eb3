"""Check whether LiveKit's URL is right, whether a LiveKit server answers there, and whether it accepts a token."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import urlsplit

from .._http.model import Response
from .._random import new_room
from .._secret import Secret
from .._urls import check_url
from ..errors import InvalidArgument
from .check import Ended, Verdict, fail, need, ok, skip, warn
from .clock_offset import ClockOffset
from .credentials import SWAPPED, keys_look_swapped
from .found import Found
from .livekit_api import join_token
from .target import Target

_NO_TOKEN = b"no permissions to access the room"  # LiveKit's response to a request without a token
_PATHS = ("/rtc", "/rtc/v1", "/rtc/validate", "/rtc/v1/validate")
_V1 = "/rtc/v1/validate"
_CLOCK = "synchronize the clocks of this machine and of LiveKit's with NTP; see the check `clock`"
_PATH = "check what stands between this machine and LiveKit"
_REASONS = {
    b"invalid API key": (
        "LiveKit does not know the API key",
        "check that key and URL belong to the same LiveKit project, and that the key was not revoked",
    ),
    _NO_TOKEN: (
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


def url(found: Found) -> Verdict:
    """Finds the server to reach."""
    credentials, setting = need(found.unchecked), found.setting
    found.targets["livekit"] = "there is no valid URL"
    try:
        normal = livekit_url("LiveKit's URL", credentials.url)
    except InvalidArgument as error:
        return fail(error.message, f"correct {setting}")
    path = urlsplit(normal).path
    if path.endswith(_PATHS):
        return fail(f"LiveKit's URL ends with {path}, which clients add themselves", f"remove that from {setting}")
    found.targets["livekit"] = Target("livekit", normal, setting)
    return ok(normal)


def livekit_url(name: str, url: str) -> str:
    """The URL of a LiveKit server in normal form, without a trailing slash, or `InvalidArgument`."""
    return check_url(name, Secret(url), secure=("wss", "https"), plain=("ws", "http")).rstrip("/")


def answers(found: Found) -> Verdict:
    """Finds the server that answers, and its clock."""
    target, options = found.target("livekit"), found.options
    if not found.is_reached("livekit"):
        return skip("LiveKit was not reached")
    before = options.now()
    response = target.send("GET", "/rtc/validate", {}, timeout=options.timeout)
    offset = ClockOffset.of("LiveKit", response, before, options.now())
    if response.status != 401 or not response.body.reveal().startswith(_NO_TOKEN):
        return fail(*_explain(response, target))
    found.server = target
    found.offsets += [offset] if offset else []
    with suppress(Ended):
        if target.send("GET", "/", {}, timeout=options.timeout).status == 406:
            return warn(
                "LiveKit reports that it is not ready (GET /: HTTP 406)",
                "check that server's load and log; its statistics are older than 4 s",
            )
    return ok("LiveKit answers (GET /rtc/validate without a token: HTTP 401)")


def _explain(response: Response, target: Target) -> tuple[str, str]:
    """Cause and remedy for a response that LiveKit does not send."""
    tried = f"GET /rtc/validate without a token: HTTP {response.status}"
    if b"HTTP request to an HTTPS server" in response.body.reveal():
        return f"{tried}: the port uses TLS", f"write wss:// in {target.setting}"
    if 300 <= response.status < 400:
        return f"{tried}, a redirect, which LiveKit never sends", f"set {target.setting} to LiveKit's own URL"
    if response.status in (502, 503, 504):
        return f"{tried}: a proxy answers, but not LiveKit behind it", "start LiveKit, or correct the proxy's upstream"
    if response.status in (401, 403, 407):
        remedy = "let the proxy pass /rtc without authentication, since LiveKit checks the tokens"
        return f"{tried}, but not from LiveKit: a proxy requires a login", remedy
    return (
        f"{tried}, where LiveKit answers 401: this is another web server",
        f"check host, port and path in {target.setting}; a proxy must pass /rtc and everything below it to LiveKit",
    )


def token(found: Found) -> Verdict:
    """The path that all clients use, or fall back to."""
    server, credentials = need(found.server), need(found.credentials)
    verdict = judge_token(server, join_token(found, new_room("doctor-")), found.options.timeout)
    if keys_look_swapped(credentials) and verdict.status == "fail":
        return fail(f"{verdict.detail}; {SWAPPED}", "swap key and secret")
    return verdict


def token_v1(found: Found) -> Verdict:
    """The path that new clients try first."""
    server, token = need(found.server), join_token(found, new_room("doctor-"))
    if found.status("token") == "fail":
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
        return judge_token(Target("livekit", url.rstrip("/")), token, timeout)
    except Ended as ended:
        return need(ended.verdict)


def judge_token(server: Target, token: str, timeout: float) -> Verdict:
    """What `/rtc/validate` answers, never repeated: LiveKit up to 1.13.5 includes the whole token when it refuses one."""
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
