"""LiveKit's own library for Python."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from livekit.api import AccessToken, RoomAgentDispatch, RoomConfiguration, VideoGrants

from ..request import LIFE


def minter(request: dict[str, Any]) -> Callable[[int], str]:
    """See the package's docstring."""
    key, secret, identity, name = request["api_key"], request["api_secret"], request["identity"], request["name"]
    room, agent, metadata, attributes = request["room"], request["agent"], request["metadata"], request["attributes"]
    life = timedelta(seconds=LIFE)

    def join(count: int) -> str:
        token = ""
        for _ in range(count):
            token = (
                AccessToken(key, secret)
                .with_identity(identity)
                .with_name(name)
                .with_ttl(life)
                .with_grants(
                    VideoGrants(room_join=True, room=room, can_publish=True, can_subscribe=True, can_publish_data=True)
                )
                .to_jwt()
            )
        return token

    def full(count: int) -> str:
        token = ""
        for _ in range(count):
            token = (
                AccessToken(key, secret)
                .with_identity(identity)
                .with_name(name)
                .with_metadata(metadata)
                .with_attributes({**attributes})
                .with_ttl(life)
                .with_grants(
                    VideoGrants(room_join=True, room=room, can_publish=True, can_subscribe=True, can_publish_data=True)
                )
                .with_room_config(RoomConfiguration(agents=[RoomAgentDispatch(agent_name=agent)]))
                .to_jwt()
            )
        return token

    return full if agent else join
