"""Calls an ASGI or a WSGI application without a server, so that a test controls each message."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server.endpoint import Admission
from tests.support.tokens import API_KEY, API_SECRET, URL
from tests.support.wire import Answer, Request

Message = dict[str, Any]
Receive = Iterable[Message] | Callable[[], Awaitable[Message]]
PATHS = [("path", path) for path in (None, 5, "", "voice", b"/voice")]
"""Wrong values of the argument `path`."""
SERVER = MossVoiceServerSync.from_livekit(URL, API_KEY, API_SECRET)
ADA = Admission(ParticipantInfo("ada"))
EMPTY = Request()
START = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
STARTED = [{"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}]


def chunk(body: bytes | None, more: bool = False) -> Message:
    """A part of a request's body."""
    return {"type": "http.request", "body": body, "more_body": more}


def http_scope(request: Request = EMPTY, path: str = "/", **more: Any) -> Message:
    """The scope of a request, with its own headers and the content type only."""
    headers = {"content-type": "application/json", **{name.lower(): value for name, value in request.headers.items()}}
    return {
        "type": "http",
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": path,
        "query_string": b"",
        "root_path": "",
        "headers": [
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items() if value is not None
        ],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        **more,
    }


async def asgi_call(app: Any, scope: Message, receive: Receive) -> list[Message]:
    """Calls an application once, and returns what it sent. After the last message the client disconnects."""
    sent: list[Message] = []
    messages = iter(()) if callable(receive) else iter(receive)

    async def next_message() -> Message:
        return next(messages, {"type": "http.disconnect"})

    async def send(message: Message) -> None:
        sent.append(message)

    try:
        await app(scope, receive if callable(receive) else next_message, send)
    except Exception:
        if not sent or sent[-1].get("more_body", sent[-1]["type"] != "http.response.body"):
            raise  # a server would answer 500 itself; after a whole response it only logs
    return sent


async def asgi_ask(
    app: Any, request: Request = EMPTY, path: str = "/", receive: Receive | None = None, **scope: Any
) -> Answer:
    """The response of an ASGI application. `receive` replaces the request's body, `scope` values of its scope."""
    whole = [chunk(request.as_sent(path).partition(b"\r\n\r\n")[2])]
    sent = await asgi_call(app, http_scope(request, path, **scope), whole if receive is None else receive)
    assert "http.response.start" == sent[0]["type"]
    assert {"http.response.body"} == {message["type"] for message in sent[1:]}
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in sent[0]["headers"])
    return Answer(sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:]))


def ask_asgi(
    app: Any, request: Request = EMPTY, path: str = "/", receive: Receive | None = None, **scope: Any
) -> Answer:
    """The same, for a test that is not async."""
    return asyncio.run(asgi_ask(app, request, path, receive, **scope))


def environ(request: Request = EMPTY, path: str = "/", **more: Any) -> dict[str, Any]:
    """The environ of a request; `more` replaces values, and `None` takes one out."""
    body = request.as_sent(path).partition(b"\r\n\r\n")[2]
    headers = {name.lower(): value for name, value in request.headers.items() if value is not None}
    made: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "test.example",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_TYPE": headers.pop("content-type", "application/json"),
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    made.update({"HTTP_" + name.upper().replace("-", "_"): value for name, value in headers.items()})
    return {name: value for name, value in {**made, **more}.items() if value is not None}


def ask_wsgi(app: Any, environ: dict[str, Any]) -> Answer:
    """The response of a WSGI application."""
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        started.append((status, headers))
        return started.append  # type: ignore[return-value]  # no application writes

    content = app(environ, start_response)
    try:
        body = b"".join(content)
    finally:
        if hasattr(content, "close"):
            content.close()
    ((status, headers),) = started
    return Answer(int(status.split()[0]), tuple((name.lower(), value) for name, value in headers), body)
