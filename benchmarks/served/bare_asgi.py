"""A bare ASGI application: it reads the body and returns constant bytes; the upper limit on this server."""

from __future__ import annotations

from typing import Any

BODY = b'{"server_url":"wss://livekit.example","participant_token":"%s"}' % (b"x" * 420)
_HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]


async def app(scope: Any, receive: Any, send: Any) -> None:
    """The whole application."""
    if scope["type"] != "http":
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    await send({"type": "http.response.start", "status": 201, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": BODY})
