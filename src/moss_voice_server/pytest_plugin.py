"""pytest plugin: fixtures that pytest finds by itself once the package is installed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ._server import MossVoiceServerSync
    from .testing import FakeMoss, FrozenClock


@pytest.fixture
def fake_moss() -> Iterator[FakeMoss]:
    """A Moss API of the test's own, on a loopback socket."""
    from .testing import FakeMoss

    with FakeMoss() as moss:
        yield moss


@pytest.fixture
def moss_server(fake_moss: FakeMoss) -> Iterator[MossVoiceServerSync]:
    """A server with credentials from `fake_moss`, which an endpoint of either kind takes."""
    from ._server import MossVoiceServerSync

    with MossVoiceServerSync.create(**fake_moss.arguments) as server:
        yield server


@pytest.fixture
def in_memory_moss() -> FakeMoss:
    """A Moss API without a socket, for `pytest --disable-socket`: pass `transport=in_memory_moss.transport()`."""
    from .testing import FakeMoss

    return FakeMoss()


@pytest.fixture
def in_memory_server(in_memory_moss: FakeMoss) -> Iterator[MossVoiceServerSync]:
    """A server with credentials from `in_memory_moss`."""
    from ._server import MossVoiceServerSync

    with MossVoiceServerSync.create(**in_memory_moss.arguments, transport=in_memory_moss.transport()) as server:
        yield server


@pytest.fixture
def frozen_clock() -> Iterator[FrozenClock]:
    """Time that stands still, for the servers that are made after it."""
    from .testing import FrozenClock

    with FrozenClock() as clock:
        yield clock
