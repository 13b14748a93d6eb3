"""Rooms: one server calls LiveKit's server API from children and event loops of any kind."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from moss_voice_server.testing import FakeLiveKit, FakeMoss
from tests.processes.program import python


@pytest.fixture
def livekit() -> Iterator[FakeLiveKit]:
    """A LiveKit project with one room and the worker of the agent."""
    with FakeLiveKit(agents=["support-agent"]) as fake:
        fake.join("room-1", "user-42")
        yield fake


@pytest.fixture
def moss(livekit: FakeLiveKit) -> Iterator[FakeMoss]:
    """A Moss API with that project's credentials."""
    with FakeMoss(
        url=livekit.url, api_key=livekit.api_key, api_secret=livekit.api_secret, agent_name="support-agent"
    ) as fake:
        yield fake


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize(("server_class", "how"), [("sync", "libc"), ("async", "python")])
def test_forks(server_class: str, how: str, livekit: FakeLiveKit, moss: FakeMoss) -> None:
    """Children call as their parent did before; each gets the new keys after a rotation, and so does the parent."""
    with python("rooms", "before_and_after_a_fork", server_class, how, environ=moss.environ) as program:
        assert {"parent": ["room-1"]} == program.hear()
        livekit.rotate()
        moss.rotate(livekit.api_key, livekit.api_secret)
        program.go_on()

        assert [{"child": [["room-1"], True]}, {"exit": 0}] * 2 + [{"parent": ["room-1"]}] == program.hear_all()
    assert 1 + 2 + 1 == moss.count


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_event_loops(backend: str, livekit: FakeLiveKit, moss: FakeMoss) -> None:
    """All calls work under asyncio and trio, after a call that was cancelled."""
    with python("rooms", "under", backend, environ=moss.environ) as program:
        found = program.hear_all()
    assert [{"found": ["running", 2, ["room-1"], ["room-1"], []]}] == found
    assert () == livekit.rooms
