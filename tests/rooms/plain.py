"""The rooms of either class as plain functions: each coroutine runs on a new event loop."""

from __future__ import annotations

from functools import partial
from typing import Any

from moss_voice_server.testing import FakeLiveKit, LiveKitServer
from tests.support.servers import Server, ServerClass

__all__ = ["AGENT", "PlainRooms", "Server", "rooms_of"]

AGENT = "support-agent"


class PlainRooms:
    """`server.rooms`, whose coroutines are run."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def __getattr__(self, name: str) -> Any:
        return partial(ServerClass.run, getattr(self.server.rooms, name))


def rooms_of(kind: type[Server], livekit: FakeLiveKit | LiveKitServer, agent: str = AGENT) -> PlainRooms:
    """The rooms of a server with static credentials for this LiveKit."""
    return PlainRooms(kind.from_livekit(livekit.url, livekit.api_key, livekit.api_secret, agent))
