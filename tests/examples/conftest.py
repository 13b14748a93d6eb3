"""Fixtures: a fake Moss and a LiveKit server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from moss_voice_server.testing import FakeMoss
from tests.livekit.conftest import livekit_binary, livekit_server

__all__ = ["livekit_binary", "livekit_server"]


@pytest.fixture(scope="session")
def moss() -> Iterator[FakeMoss]:
    """The Moss API of all applications."""
    with FakeMoss() as moss:
        yield moss
