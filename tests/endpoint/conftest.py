"""Fixtures: the fake Moss APIs and one program per adapter, for the whole session."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from moss_voice_server.testing import FakeMoss, MockResponse
from tests.endpoint.frameworks import AllFrameworks
from tests.endpoint.programs import all_running, environ
from tests.support.tokens import API_KEY, API_SECRET, URL


class Fakes(NamedTuple):
    """The Moss APIs that the programs fetch from."""

    healthy: FakeMoss
    down: FakeMoss
    refuses: FakeMoss
    odd: FakeMoss


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests that share the programs run one after another, so that not every process of a parallel run starts them."""
    items.sort(key=lambda item: "all_frameworks" not in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def fakes() -> Iterator[Fakes]:
    """One that works, one that is down, one that rejects, one that returns nonsense."""
    with _fake() as healthy, _fake() as down, _fake() as refuses, _fake() as odd:
        down.set_default(503)
        refuses.set_default(401)
        odd.set_default(MockResponse(json={"voice_agent_url": 7}))
        yield Fakes(healthy, down, refuses, odd)


@pytest.fixture(scope="session")
def all_frameworks(fakes: Fakes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AllFrameworks]:
    """Every adapter's application, running."""
    with all_running(tmp_path_factory.mktemp("endpoint"), environ(*fakes)) as programs:
        yield AllFrameworks(programs)


def _fake() -> FakeMoss:
    return FakeMoss(url=URL, api_key=API_KEY, api_secret=API_SECRET)
