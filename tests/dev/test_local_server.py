"""LocalServer: on loopback, on the requested port, until the context ends."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from moss_voice_server._dev import local_server
from moss_voice_server._dev.local_server import LocalServer, listen
from tests.dev.wire import is_open

pytestmark = pytest.mark.once


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the path."""
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(scope["path"]))]}
    )
    await send({"type": "http.response.body", "body": scope["path"].encode()})


def test_stops_with_a_connection_open() -> None:
    """It answers on loopback while the context lasts; then it stops, though a browser keeps its connection open."""
    with listen(0) as listener:
        host, port = listener.getsockname()
        with LocalServer(app, listener) as running, socket.create_connection((host, port)) as browser:
            browser.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert browser.recv(100).startswith(b"HTTP/1.1 200")
            assert not running.wait(0)
            running.__exit__(None, None, None)
            assert running.wait(0)
    assert ("127.0.0.1", False) == (host, is_open(f"http://127.0.0.1:{port}"))


def test_default_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """A requested port is used. By default it is the same port each time, or another one if that is taken."""
    with listen(0) as free:
        default = free.getsockname()[1]
    monkeypatch.setattr(local_server, "DEFAULT_PORT", default)
    with listen(default) as again:
        assert default == again.getsockname()[1]
    with listen() as first, listen() as second:
        assert default == first.getsockname()[1]
        assert default != second.getsockname()[1]
