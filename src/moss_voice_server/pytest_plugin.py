"""pytest plugin: `fake_moss`, `moss_server` and `frozen_clock`, found by pytest by itself once the package is installed."""

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
def frozen_clock() -> Iterator[FrozenClock]:
    """Time that stands still, for the servers that are made after it."""
    from .testing import FrozenClock

    with FrozenClock() as clock:
        yield clock
