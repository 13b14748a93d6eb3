"""The tokens that the checks use, and two calls of LiveKit's RoomService API."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from .._livekit_api.parse import json_object
from .._secret import Secret
from .._token.api_claims import api_payload
from .._token.claims import payload
from .._token.signing import Signer
from ..grants import ApiGrants, ParticipantInfo
from .check import Ended, need
from .found import Found

_TTL = 15 * 60.0  # seconds: the default of an application's tokens
_ADMIN_TTL = 60.0  # seconds: such a token goes to the server only


def join_token(found: Found, room: str, *agents: str, ttl: float = _TTL) -> str:
    """A participant's token for `room`, which LiveKit deletes a second after the last participant left."""
    signer = _signer(found)
    config = {"departure_timeout": 1, "empty_timeout": 10}
    participant = ParticipantInfo("doctor")
    return signer.sign(payload(signer.head, found.options.now(), participant, room, None, ttl, None, agents, config))


def delete_room(found: Found, room: str) -> None:
    """Deletes a room and removes its participants; without this call, LiveKit deletes it a second after they left."""
    with suppress(Ended):
        _call(found, "DeleteRoom", ApiGrants(room_create=True), {"room": room})


def room_exists(found: Found, room: str) -> bool:
    """Whether a room of this name exists now; false where LiveKit does not say."""
    with suppress(Ended):
        return bool(_call(found, "ListRooms", ApiGrants(room_list=True), {"names": [room]}).get("rooms"))
    return False


def _call(found: Found, method: str, grants: ApiGrants, fields: dict[str, Any]) -> dict[str, Any]:
    signer = _signer(found)
    token = signer.sign(api_payload(signer.head, found.options.now(), grants, _ADMIN_TTL))
    response = need(found.server).send(
        "POST",
        f"/twirp/livekit.RoomService/{method}",
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        json.dumps(fields).encode(),
        timeout=found.options.timeout,
    )
    return json_object(response.body) or {} if response.status == 200 else {}


def _signer(found: Found) -> Signer:
    credentials = need(found.credentials)
    return Signer(credentials.api_key, Secret(credentials.api_secret))
