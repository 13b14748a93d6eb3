"""Loopback servers with scripted responses, over HTTP, TLS or WebSocket."""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.utils import formatdate
from http import HTTPStatus
from typing import NamedTuple

from websockets.datastructures import Headers
from websockets.http11 import Request as WebSocketRequest
from websockets.http11 import Response
from websockets.sync.server import ServerConnection, serve

from moss_voice_server.testing import MockResponse, RecordedRequest
from moss_voice_server.testing._fake_server import FakeServer

NO_TOKEN = "no permissions to access the room"
Answer = Callable[[RecordedRequest], MockResponse]


def reply(status: int = 200, body: str = "", headers: Mapping[str, str] | None = None) -> MockResponse:
    """A response with this body."""
    return MockResponse(status, body=body.encode(), headers=headers or {})


class _Site(FakeServer):
    def _complete(self, _response: MockResponse, request: RecordedRequest) -> MockResponse:
        return self._api_response(request)


@contextmanager
def site(answer: Answer, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A web server that answers so; yields its port."""
    with _Site(answer, lambda _: None, time.monotonic, ssl_context=tls) as server:
        yield server._port


class FakeLiveKit(NamedTuple):
    """What a fake LiveKit answers on each path, and sends over a joined WebSocket."""

    root: MockResponse = reply(200, "OK")
    anonymous: MockResponse = reply(401, NO_TOKEN)
    validate: MockResponse = reply(200, "success")
    v1: MockResponse = reply(400, "join_request is required")
    join: MockResponse | None = None  # an answer in place of the WebSocket
    frames: tuple[bytes, ...] | None = ()  # what is sent after a join; `None`: the connection ends at once


@contextmanager
def livekit(fake: FakeLiveKit) -> Iterator[int]:
    """A server that answers on LiveKit's paths; yields its port."""

    def process(_connection: ServerConnection, request: WebSocketRequest) -> Response | None:
        path = request.path.partition("?")[0]
        if path == "/rtc" and request.headers.get("Upgrade"):
            return None if fake.join is None else _response(fake.join)
        if path == "/rtc/validate":
            return _response(fake.validate if request.headers.get("Authorization") else fake.anonymous)
        return _response({"/": fake.root, "/rtc/v1/validate": fake.v1}.get(path, reply(404)))

    def handle(connection: ServerConnection) -> None:
        if fake.frames is not None:
            for frame in fake.frames:
                connection.send(frame)
            connection.recv()  # a client leaves with a message

    quiet = logging.Logger("quiet", logging.CRITICAL + 1)
    with serve(handle, "127.0.0.1", 0, process_request=process, logger=quiet) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.socket.getsockname()[1]
        finally:
            server.shutdown()
            thread.join(10)


def _response(answer: MockResponse) -> Response:
    body = answer.body or b""
    ours = {"Date": formatdate(usegmt=True), "Content-Length": str(len(body)), "Connection": "close"}
    return Response(answer.status, HTTPStatus(answer.status).phrase, Headers({**ours, **answer.headers}), body)
