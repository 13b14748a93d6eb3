"""Fixtures: a fake Moss, and every example application, each started once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from moss_voice_server.testing import FakeMoss
from tests.examples.apps import APPS, Running, started
from tests.livekit.conftest import livekit_binary, livekit_server

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["livekit_binary", "livekit_server"]


@pytest.fixture(scope="session")
def moss() -> Iterator[FakeMoss]:
    """The Moss API of all applications."""
    with FakeMoss() as moss:
        yield moss


@pytest.fixture(scope="session", params=APPS)
def app(request: pytest.FixtureRequest, moss: FakeMoss, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Each example application, in its own process."""
    with started(APPS[request.param], moss, tmp_path_factory.mktemp("example")) as running:
        yield running
