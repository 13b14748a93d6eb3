"""PyJWT with hand-written claims, the lightweight alternative to `livekit-api`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jwt

from ..request import LIFE


def minter(request: dict[str, Any]) -> Callable[[int], str]:
    """See the package's docstring."""
    key, secret, identity, name = request["api_key"], request["api_secret"], request["identity"], request["name"]
    room, agent, metadata, attributes = request["room"], request["agent"], request["metadata"], request["attributes"]

    def join(count: int) -> str:
        token = ""
        for _ in range(count):
            now = int(time.time())
            grants = {"roomJoin": True, "canPublish": True, "canSubscribe": True, "canPublishData": True, "room": room}
            claims = {"iss": key, "nbf": now, "exp": now + LIFE, "sub": identity, "video": grants, "name": name}
            token = jwt.encode(claims, secret, algorithm="HS256")
        return token

    def full(count: int) -> str:
        token = ""
        for _ in range(count):
            now = int(time.time())
            grants = {"roomJoin": True, "canPublish": True, "canSubscribe": True, "canPublishData": True, "room": room}
            claims = {"iss": key, "nbf": now, "exp": now + LIFE, "sub": identity, "video": grants, "name": name}
            claims |= {
                "metadata": metadata,
                "attributes": {**attributes},
                "roomConfig": {"agents": [{"agentName": agent}]},
            }
            token = jwt.encode(claims, secret, algorithm="HS256")
        return token

    return full if agent else join
