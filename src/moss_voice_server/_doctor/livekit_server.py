"""Check whether LiveKit's URL is right, and whether a LiveKit server answers there."""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple
from urllib.parse import urlsplit

from .._http.model import Peer, Response, TransportError
from .._secret import Secret
from .._urls import check_url
from ..errors import InvalidArgument
from . import connectivity
from .check import Check, Stopwatch
from .clock_offset import ClockOffset
from .connectivity import Target
from .http import request
from .options import Options

NAMES = ("livekit.url", *connectivity.names("livekit"), "livekit.server")
NO_TOKEN = b"no permissions to access the room"  # LiveKit's response to a request without a token
_PATHS = ("/rtc", "/rtc/v1", "/rtc/validate", "/rtc/v1/validate")


class LiveKitServer(NamedTuple):
    """A LiveKit server that answers."""

    url: str
    """As clients get it, without a trailing slash."""
    offset: ClockOffset | None = None
    setting: str = "LiveKit's URL"
    """The setting that the URL comes from, for remedies."""

    @property
    def peer(self) -> Peer:
        """The server, as errors call it."""
        return Peer("LiveKit", self.setting)

    @property
    def http(self) -> str:
        """The URL for HTTP requests."""
        return "http" + self.url[2:] if self.url.startswith("ws") else self.url

    @property
    def websocket(self) -> str:
        """The URL for WebSockets."""
        return "ws" + self.url[4:] if self.url.startswith("http") else self.url


def checks(url: str, setting: str, options: Options) -> Generator[Check, None, LiveKitServer | None]:
    """The URL, the connection, and the server; `setting` is where the URL comes from."""
    watch = Stopwatch(options.mono)
    normal, path, problem = "", "", ""
    try:
        normal = check_url("LiveKit's URL", Secret(url), secure=("wss", "https"), plain=("ws", "http"))
        path = urlsplit(normal).path.rstrip("/")
    except InvalidArgument as error:
        problem = error.message
    if problem or path.endswith(_PATHS):
        if problem:
            yield watch.fail(NAMES[0], problem, f"correct {setting}")
        else:
            detail = f"LiveKit's URL ends with {path}, which clients add themselves"
            yield watch.fail(NAMES[0], detail, f"remove that from {setting}")
        for name in NAMES[1:]:
            yield watch.skip(name, "there is no valid URL")
        return None
    normal = normal.rstrip("/")
    yield watch.ok(NAMES[0], normal)
    server = LiveKitServer(normal, setting=setting)
    target = Target("livekit", server.http, setting)
    if not (yield from connectivity.checks(target, options)):
        yield watch.skip(NAMES[-1], "LiveKit was not reached")
        return None
    return (yield from _server(server, target, options))


def _server(server: LiveKitServer, target: Target, options: Options) -> Generator[Check, None, LiveKitServer | None]:
    watch = Stopwatch(options.mono)
    before = options.now()
    response = request(server.peer, "GET", f"{server.http}/rtc/validate", timeout=options.timeout)
    if isinstance(response, TransportError):
        yield watch.fail(NAMES[-1], *connectivity.explain(response, target))
        return None
    offset = ClockOffset.of("LiveKit", response, before, options.now())
    if response.status != 401 or not response.body.reveal().startswith(NO_TOKEN):
        yield watch.fail(NAMES[-1], *_explain(response, target))
        return None
    health = request(server.peer, "GET", f"{server.http}/", timeout=options.timeout)
    if isinstance(health, Response) and health.status == 406:
        yield watch.warn(
            NAMES[-1],
            "LiveKit reports that it is not ready (GET /: HTTP 406)",
            "check that server's load and log; its statistics are older than 4 s",
        )
    else:
        yield watch.ok(NAMES[-1], "LiveKit answers (GET /rtc/validate without a token: HTTP 401)")
    return server._replace(offset=offset)


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
        return (
            f"{tried}, but not from LiveKit: a proxy requires a login",
            "let the proxy pass /rtc without authentication, since LiveKit checks the tokens",
        )
    return (
        f"{tried}, where LiveKit answers 401: this is another web server",
        f"check host, port and path in {target.setting}; a proxy must pass /rtc and everything below it to LiveKit",
    )
