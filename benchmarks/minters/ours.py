"""This package."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moss_voice_server import MossVoiceServerSync, ParticipantInfo


def minter(request: dict[str, Any]) -> Callable[[int], str]:
    """See the package's docstring."""
    server = MossVoiceServerSync.from_livekit("wss://livekit.example", request["api_key"], request["api_secret"])
    identity, name, room, agent = request["identity"], request["name"], request["room"], request["agent"]
    metadata, attributes = request["metadata"], request["attributes"]

    def join(count: int) -> str:
        token = ""
        for _ in range(count):
            token = server.create_participant_token(ParticipantInfo(identity, name=name), room)
        return token

    def full(count: int) -> str:
        token = ""
        for _ in range(count):
            participant = ParticipantInfo(identity, name=name, metadata=metadata, attributes={**attributes})
            token = server.create_participant_token(participant, room, agent)
        return token

    return full if agent else join
