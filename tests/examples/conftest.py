"""Fixtures: a LiveKit server."""

from tests.livekit.conftest import livekit_binary, livekit_server

__all__ = ["livekit_binary", "livekit_server"]
