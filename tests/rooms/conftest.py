"""Fixtures: a fake LiveKit server API on loopback, and the rooms of each of the two classes as plain functions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from moss_voice_server.testing import FakeLiveKit
from tests.rooms.plain import AGENT, PlainRooms, Server, rooms_of
from tests.support.servers import ServerClass


@pytest.fixture
def livekit() -> Iterator[FakeLiveKit]:
    """A LiveKit project where the worker of `AGENT` runs."""
    with FakeLiveKit(agents=[AGENT]) as fake:
        yield fake


@pytest.fixture
def kind(server_class: ServerClass) -> type[Server]:
    """Each of the two classes."""
    return server_class.kind


@pytest.fixture
def rooms(kind: type[Server], livekit: FakeLiveKit) -> PlainRooms:
    """The rooms of a server with static credentials for the fake."""
    return rooms_of(kind, livekit)
