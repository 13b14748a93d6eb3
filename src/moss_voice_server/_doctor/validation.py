"""Check whether LiveKit accepts a token, through `/rtc/validate`: without joining, and without creating a room."""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple

from .._http.model import Answer, TransportError
from .._livekit_credentials import LiveKitCredentials
from .._random import new_room
from . import connectivity, key_pair
from .check import Check, Status, Stopwatch
from .connectivity import Target
from .http import request
from .livekit_server import NO_TOKEN, LiveKitServer
from .options import Options
from .tokens import join_token

NAMES = ("token", "token.v1")
_CLOCK = "synchronize the clocks of this machine and of LiveKit's with NTP; see the check `clock`"
_PATH = "check what stands between this machine and LiveKit"


class Verdict(NamedTuple):
    """What LiveKit's response to a token means."""

    status: Status
    detail: str
    remedy: str = ""

    @property
    def is_accepted(self) -> bool:
        """Whether LiveKit accepts the token."""
        return self.status != "fail"

    @property
    def text(self) -> str:
        """Detail and remedy on one line."""
        return f"{self.detail}: {self.remedy}" if self.remedy else self.detail


def checks(server: LiveKitServer, credentials: LiveKitCredentials, options: Options) -> Generator[Check, None, bool]:
    """Both paths that clients use; returns whether to try a join."""
    watch = Stopwatch(options.mono)
    token = join_token(credentials, options, new_room("doctor-"))
    verdict = judge(ask(server, "/rtc/validate", token, options.timeout), server)
    if key_pair.keys_look_swapped(credentials) and verdict.status == "fail":
        verdict = verdict._replace(detail=f"{verdict.detail}; {key_pair.SWAPPED}", remedy="swap key and secret")
    yield watch.result(NAMES[0], *verdict)
    if verdict.status == "fail":
        yield watch.skip(NAMES[1], "the token was not accepted")
        return False
    yield _v1(ask(server, "/rtc/v1/validate", token, options.timeout), watch)
    return verdict.status == "ok"


def validate(url: str, token: str, timeout: float = 5.0) -> Verdict:
    """Whether the LiveKit server at `url` accepts a token.

    Never repeats the response: LiveKit up to 1.13.5 includes the whole token when it refuses one.
    """
    server = LiveKitServer(url.rstrip("/"))
    return judge(ask(server, "/rtc/validate", token, timeout), server)


def ask(server: LiveKitServer, path: str, token: str, timeout: float) -> Answer:
    """LiveKit's response to the holder of a token."""
    # In the header: newer servers read it only there, and proxies do not log it.
    return request(server.peer, "GET", server.http + path, {"Authorization": f"Bearer {token}"}, timeout=timeout)


def judge(response: Answer, server: LiveKitServer) -> Verdict:
    """What a response of `/rtc/validate` means."""
    if isinstance(response, TransportError):
        return Verdict("fail", *connectivity.explain(response, Target("livekit", server.http, server.setting)))
    body, status = response.body.reveal(), response.status
    tried = f"GET /rtc/validate: HTTP {status}"
    if status == 200 and body.strip() == b"success":
        return Verdict("ok", f"{tried}, the token is accepted")
    if status == 404 and b"requested room does not exist" in body:
        return Verdict(
            "warn",
            f"{tried}: the token is accepted, but joining creates no room on this server (room.auto_create is off)",
            "create each room in your backend, or set room.auto_create to true",
        )
    detail, remedy = _rejection(body) if status == 401 else _STATUSES.get(status, _NOT_LIVEKIT)
    return Verdict("fail", f"{tried}: {detail}", remedy)


def _rejection(body: bytes) -> tuple[str, str]:
    return next((reason for mark, reason in _REASONS.items() if mark in body), _UNKNOWN_REASON)


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
_NOT_LIVEKIT = ("LiveKit never sends this response; a proxy may", _PATH)
_STATUSES = {
    400: ("LiveKit does not understand the token", "read LiveKit's log, and check the server's own limits"),
    403: ("a proxy rejects the request", _PATH),
    429: ("too many requests", "retry later; raise the limit of the proxy or the project"),
    451: ("the project is not available in this region", "use the URL of the project's own region"),
    503: ("the server has reached its limits", "retry later, or raise `limit:` in LiveKit's configuration"),
}


def _v1(response: Answer, watch: Stopwatch) -> Check:
    name, path = NAMES[1], "/rtc/v1/validate"
    if isinstance(response, TransportError):
        return watch.warn(name, f"GET {path}: no response", "retry; check whether a proxy blocks /rtc/v1")
    tried = f"GET {path}: HTTP {response.status}"
    if response.status == 400 and b"join_request is required" in response.body.reveal():
        return watch.ok(name, f"{tried}, as expected; new clients join without a detour")
    if response.status == 404:
        return watch.warn(
            name,
            f"{tried}: this server is older than 1.9.10, or a proxy hides the path, which new clients try first",
            "update LiveKit, or let the proxy pass /rtc/v1; clients fall back to /rtc",
        )
    return watch.warn(name, f"{tried}, which LiveKit never sends", "let the proxy pass /rtc/v1 to LiveKit")
