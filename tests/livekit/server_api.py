"""LiveKit over HTTP: `/rtc/validate`, and the server API with a token that PyJWT signs."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import jwt

from moss_voice_server.testing import LiveKitServer

PATIENCE = 10.0


class LiveKitKeys(NamedTuple):
    """Another LiveKit server: its URL for HTTP requests and one API key."""

    http_url: str
    api_key: str
    api_secret: str


def signed(server: LiveKitServer | LiveKitKeys, claims: Mapping[str, Any], **changes: Any) -> str:
    """A token with these claims, valid now unless they say otherwise, signed by PyJWT with the server's key."""
    now = int(time.time())
    whole = {"iss": server.api_key, "nbf": now, "exp": now + 600, **claims, **changes}
    return jwt.encode(whole, server.api_secret, algorithm="HS256")


def validate(server: LiveKitServer | LiveKitKeys, token: str) -> tuple[int, str]:
    """What `GET /rtc/validate` answers to the holder of `token`: status and text."""
    return _request(server, "GET", "/rtc/validate", token)


def call(server: LiveKitServer | LiveKitKeys, service: str, method: str, room: str, **fields: Any) -> Any:
    """Call the server's API as the administrator of `room`, for example `RoomService`, `ListParticipants`."""
    token = signed(server, {"video": {"roomAdmin": True, "room": room}})
    body = json.dumps({"room": room, **fields})
    status, text = _request(server, "POST", f"/twirp/livekit.{service}/{method}", token, body)
    assert status == 200, text
    return json.loads(text)


def rooms(server: LiveKitServer | LiveKitKeys) -> Any:
    """The rooms that the server has."""
    token = signed(server, {"video": {"roomList": True}})
    status, text = _request(server, "POST", "/twirp/livekit.RoomService/ListRooms", token, "{}")
    assert status == 200, text
    return json.loads(text)["rooms"]


def _request(
    server: LiveKitServer | LiveKitKeys, method: str, path: str, token: str, body: str | None = None
) -> tuple[int, str]:
    address = urlsplit(server.http_url)
    assert address.hostname is not None
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=PATIENCE)
    try:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()
