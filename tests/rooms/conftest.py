"""Fixtures: a fake LiveKit server API on loopback, and the rooms of each of the two classes as plain functions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from moss_voice_server import MossVoiceServer, MossVoiceServerSync
from moss_voice_server.testing import FakeLiveKit
from tests.rooms.plain import AGENT, PlainRooms, Server


@pytest.fixture
def livekit() -> Iterator[FakeLiveKit]:
    """A LiveKit project where the worker of `AGENT` runs."""
    with FakeLiveKit(agents=[AGENT]) as fake:
        yield fake


@pytest.fixture(params=[MossVoiceServerSync, MossVoiceServer], ids=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> type[Server]:
    """Each of the two classes."""
    chosen: type[Server] = request.param
    return chosen


@pytest.fixture
def rooms(kind: type[Server], livekit: FakeLiveKit) -> PlainRooms:
    """The rooms of a server with static credentials for the fake."""
    return PlainRooms(kind.from_livekit(livekit.url, livekit.api_key, livekit.api_secret, AGENT))
