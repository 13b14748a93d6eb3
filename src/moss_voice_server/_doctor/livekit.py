"""LiveKit: whether its address is right, somebody is there, and it is a LiveKit server."""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple
from urllib.parse import urlsplit

from .._http.model import Response, TransportError
from .._secret import Secret
from .._urls import address
from . import reach
from .check import Check, Stopwatch
from .clock import Reading
from .plan import Plan
from .reach import Place

NAMES = ("livekit.url", *reach.names("livekit"), "livekit.server")
NO_TOKEN = "no permissions to access the room"  # noqa: S105  # what LiveKit says to who comes without a token
_PATHS = ("/rtc", "/rtc/v1", "/rtc/validate", "/rtc/v1/validate")


class Server(NamedTuple):
    """A LiveKit server that answers."""

    url: str
    """As clients get it, without a slash at the end."""
    reading: Reading | None

    @property
    def http(self) -> str:
        """The same for HTTP requests."""
        return "http" + self.url[2:] if self.url.startswith("ws") else self.url

    @property
    def websocket(self) -> str:
        """The same for WebSockets."""
        return "ws" + self.url[4:] if self.url.startswith("http") else self.url


def checks(url: str, setting: str, plan: Plan) -> Generator[Check, None, Server | None]:
    """The address, the way there, and who answers; `setting` says where the address comes from."""
    watch = Stopwatch(plan.mono)
    normal, problem = address(url, secure=("wss", "https"), plain=("ws", "http"))
    path = "" if problem else urlsplit(normal).path.rstrip("/")
    if problem or path.endswith(_PATHS):
        yield (
            watch.fail(
                NAMES[0], f"LiveKit's address {problem.partition(': ')[0]}", f"correct {setting}: wss://host.example"
            )
            if problem
            else watch.fail(
                NAMES[0],
                f"LiveKit's address ends with {path}, which clients add themselves",
                f"take that away from {setting}",
            )
        )
        for name in NAMES[1:]:
            yield watch.skip(name, "there is no address to try")
        return None
    normal = normal.rstrip("/")
    yield watch.ok(NAMES[0], normal)
    server = Server(normal, None)
    place = Place("livekit", server.http, setting)
    if not (yield from reach.checks(place, plan)):
        yield watch.skip(NAMES[-1], "LiveKit was not reached")
        return None
    return (yield from _server(server, place, plan))


def _server(server: Server, place: Place, plan: Plan) -> Generator[Check, None, Server | None]:
    from .http import ask

    watch = Stopwatch(plan.mono)
    before = plan.now()
    answer = ask("GET", f"{server.http}/rtc/validate", Secret({}), timeout=plan.timeout)
    if isinstance(answer, TransportError):
        yield watch.fail(NAMES[-1], *reach.why(answer, place, plan.timeout))
        return None
    reading = Reading.of("LiveKit", answer, before, plan.now())
    if answer.status != 401 or not answer.body.reveal().startswith(NO_TOKEN.encode()):
        yield watch.fail(NAMES[-1], *_not_livekit(answer, place))
        return None
    health = ask("GET", f"{server.http}/", Secret({}), timeout=plan.timeout)
    if isinstance(health, Response) and health.status == 406:
        yield watch.warn(
            NAMES[-1],
            "LiveKit answers, and says of itself that it is not ready (GET /: HTTP 406)",
            "look at the load and the log of that server; its numbers are older than 4 s",
        )
    else:
        yield watch.ok(NAMES[-1], "LiveKit answers (GET /rtc/validate without a token: HTTP 401)")
    return server._replace(reading=reading)


def _not_livekit(answer: Response, place: Place) -> tuple[str, str]:
    tried = f"GET /rtc/validate without a token: HTTP {answer.status}"
    if b"HTTP request to an HTTPS server" in answer.body.reveal():
        return f"{tried}: the port speaks TLS", f"write wss:// in {place.setting}"
    if 300 <= answer.status < 400:
        return f"{tried}, a redirect; LiveKit sends none", f"set {place.setting} to LiveKit's own address"
    if answer.status in (502, 503, 504):
        return (
            f"{tried}: a proxy answers, and LiveKit behind it does not",
            "start LiveKit, or correct the proxy's address of it",
        )
    if answer.status in (401, 403, 407):
        return (
            f"{tried}, and not in LiveKit's words: something before it asks for a log-in of its own",
            "let the proxy before LiveKit pass /rtc without one: tokens are checked by LiveKit",
        )
    return (
        f"{tried}, where LiveKit answers 401: another web server is there",
        f"check host, port and path in {place.setting}; a proxy must pass /rtc and all below it to LiveKit",
    )
