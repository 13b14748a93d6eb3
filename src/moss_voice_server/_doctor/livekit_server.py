"""Check whether LiveKit's URL is right, and whether a LiveKit server answers there."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import urlsplit

from .._http.model import Response
from .._secret import Secret
from .._urls import check_url
from ..errors import InvalidArgument
from .check import Ended, Verdict, fail, need, ok, skip, warn
from .clock_offset import ClockOffset
from .found import Found
from .target import Target

NO_TOKEN = b"no permissions to access the room"  # LiveKit's response to a request without a token
_PATHS = ("/rtc", "/rtc/v1", "/rtc/validate", "/rtc/v1/validate")


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
    """The URL of a LiveKit server in normal form, without a trailing slash.

    Raises:
        InvalidArgument: it is not such a URL.
    """
    return check_url(name, Secret(url), secure=("wss", "https"), plain=("ws", "http")).rstrip("/")


def answers(found: Found) -> Verdict:
    """Finds the server that answers, and its clock."""
    target, options = found.target("livekit"), found.options
    if not found.is_reached("livekit"):
        return skip("LiveKit was not reached")
    before = options.now()
    response = target.send("GET", "/rtc/validate", {}, timeout=options.timeout)
    offset = ClockOffset.of("LiveKit", response, before, options.now())
    if response.status != 401 or not response.body.reveal().startswith(NO_TOKEN):
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
