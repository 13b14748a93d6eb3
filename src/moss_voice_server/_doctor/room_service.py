"""Delete and look up rooms through LiveKit's RoomService API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .._http.model import TransportError
from .._livekit_credentials import LiveKitCredentials
from .http import request
from .livekit_server import LiveKitServer
from .options import Options
from .tokens import admin_token


def delete(server: LiveKitServer, credentials: LiveKitCredentials, room: str, options: Options) -> bool:
    """Deletes a room and removes its participants; without this call, LiveKit deletes it a second after they left."""
    return (
        _call(server, "DeleteRoom", admin_token(credentials, options, "roomCreate"), {"room": room}, options)
        is not None
    )


def exists(server: LiveKitServer, credentials: LiveKitCredentials, room: str, options: Options) -> bool:
    """Whether a room of this name exists now."""
    listed = _call(server, "ListRooms", admin_token(credentials, options, "roomList"), {"names": [room]}, options)
    return bool(listed and listed.get("rooms"))


def _call(
    server: LiveKitServer, method: str, token: str, fields: Mapping[str, Any], options: Options
) -> dict[str, Any] | None:
    response = request(
        server.peer,
        "POST",
        f"{server.http}/twirp/livekit.RoomService/{method}",
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        json.dumps(fields).encode(),
        timeout=options.timeout,
    )
    if isinstance(response, TransportError) or response.status != 200:
        return None
    try:
        decoded = json.loads(response.body.reveal())
    except (ValueError, RecursionError):
        return None
    return decoded if isinstance(decoded, dict) else None
