"""Loopback servers with scripted responses, over HTTP, TLS or WebSocket."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from websockets.datastructures import Headers
from websockets.http11 import Request as WebSocketRequest
from websockets.http11 import Response
from websockets.sync.server import ServerConnection, serve

NO_TOKEN = "no permissions to access the room"


class Request(NamedTuple):
    """What came; header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Reply(NamedTuple):
    """What is answered."""

    status: int = 200
    body: str = ""
    headers: Mapping[str, str] | tuple[tuple[str, str], ...] = {}


Answer = Callable[[Request], Reply]


@contextmanager
def site(answer: Answer, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A web server that answers so; yields its port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = answer(Request(self.command, self.path, headers, self.rfile.read(size)))
            pairs = reply.headers if isinstance(reply.headers, tuple) else tuple(reply.headers.items())
            named = {name.lower() for name, _ in pairs}
            self.send_response_only(reply.status)
            if "date" not in named:
                self.send_header("Date", self.date_time_string())
            for name, value in pairs:
                self.send_header(name, value)
            body = reply.body.encode()
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_OPTIONS = _handle  # noqa: N815  # as the standard library names them

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """A client that breaks off is no news."""

    server = Quiet(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


class FakeLiveKit(NamedTuple):
    """What a fake LiveKit answers on each path, and sends over a joined WebSocket."""

    root: Reply = Reply(200, "OK")
    anonymous: Reply = Reply(401, NO_TOKEN)
    validate: Reply = Reply(200, "success")
    v1: Reply = Reply(400, "join_request is required")
    join: Reply | None = None
    """An answer in place of the WebSocket."""
    frames: tuple[bytes, ...] | None = ()
    """What is sent after a join; `None`: the connection ends at once."""


@contextmanager
def livekit(fake: FakeLiveKit) -> Iterator[int]:
    """A server that answers on LiveKit's paths; yields its port."""
    released = threading.Event()

    def process(_connection: ServerConnection, request: WebSocketRequest) -> Response | None:
        path = request.path.partition("?")[0]
        if path == "/rtc" and request.headers.get("Upgrade"):
            return None if fake.join is None else _response(fake.join)
        if path == "/rtc/validate":
            return _response(fake.validate if request.headers.get("Authorization") else fake.anonymous)
        return _response({"/": fake.root, "/rtc/v1/validate": fake.v1}.get(path, Reply(404, "404 page not found")))

    def handle(connection: ServerConnection) -> None:
        if fake.frames is not None:
            for frame in fake.frames:
                connection.send(frame)
            released.wait(30)

    with serve(handle, "127.0.0.1", 0, process_request=process, logger=_quiet()) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.socket.getsockname()[1]
        finally:
            released.set()
            server.shutdown()
            thread.join(10)


def _quiet() -> Any:
    import logging

    return logging.Logger("quiet", logging.CRITICAL + 1)


def _response(reply: Reply) -> Response:
    from email.utils import formatdate

    pairs = reply.headers if isinstance(reply.headers, tuple) else tuple(reply.headers.items())
    headers = Headers([("Date", formatdate(usegmt=True)), ("Content-Length", str(len(reply.body.encode())))])
    for name, value in pairs:
        if name.lower() == "date":
            del headers["Date"]
        headers[name] = value
    headers["Connection"] = "close"
    return Response(reply.status, HTTPStatus(reply.status).phrase, headers, reply.body.encode())
