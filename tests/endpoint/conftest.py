"""Fixtures: the fake Moss APIs and one program per adapter, for the whole session."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from moss_voice_server.testing import FakeMoss, MockResponse
from tests.endpoint.frameworks import AllFrameworks
from tests.endpoint.programs import Fakes, all_running
from tests.support.tokens import API_KEY, API_SECRET, URL


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests that share the programs run one after another, so that not every process of a parallel run starts them."""
    items.sort(key=lambda item: "all_frameworks" not in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def fakes() -> Iterator[Fakes]:
    """Moss APIs: one works, one is down, one rejects, one returns nonsense."""
    names = ("MOSS", "MOSS_DOWN", "MOSS_REFUSES", "MOSS_IS_ODD")
    with ExitStack() as stack:
        found = {name: stack.enter_context(FakeMoss(url=URL, api_key=API_KEY, api_secret=API_SECRET)) for name in names}
        found["MOSS_DOWN"].set_default(503)
        found["MOSS_REFUSES"].set_default(401)
        found["MOSS_IS_ODD"].set_default(MockResponse(json={"voice_agent_url": 7}))
        yield found


@pytest.fixture(scope="session")
def all_frameworks(fakes: Fakes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AllFrameworks]:
    """Every adapter's application, running."""
    with all_running(tmp_path_factory.mktemp("endpoint"), fakes) as programs:
        yield AllFrameworks(programs)
