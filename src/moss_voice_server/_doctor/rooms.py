"""Rooms: the one call of LiveKit's server API that makes a room go, and the one that tells whether there is one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .._http.model import TransportError
from .._secret import Secret
from .keys import Keys
from .livekit import Server
from .plan import Plan


def delete(server: Server, keys: Keys, room: str, plan: Plan) -> bool:
    """Ends a room of the doctor's own at once, with all who are in it. Otherwise LiveKit ends it a second after they left."""
    return _call(server, "DeleteRoom", keys.power_token({"roomCreate": True}), {"room": room}, plan) is not None


def exists(server: Server, keys: Keys, room: str, plan: Plan) -> bool:
    """Whether there is a room of this name now."""
    listed = _call(server, "ListRooms", keys.power_token({"roomList": True}), {"names": [room]}, plan)
    return bool(listed and listed.get("rooms"))


def _call(
    server: Server, method: str, token: Secret[str], fields: Mapping[str, Any], plan: Plan
) -> dict[str, Any] | None:
    from .http import ask

    answer = ask(
        "POST",
        f"{server.http}/twirp/livekit.RoomService/{method}",
        Secret({"Authorization": f"Bearer {token.reveal()}", "Content-Type": "application/json"}),
        json.dumps(fields).encode(),
        timeout=plan.timeout,
    )
    if isinstance(answer, TransportError) or answer.status != 200:
        return None
    try:
        decoded = json.loads(answer.body.reveal())
    except (ValueError, RecursionError):
        return None
    return decoded if isinstance(decoded, dict) else None
