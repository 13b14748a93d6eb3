"""Fixtures of the clients' tests: the endpoint on real servers, LiveKit's client, the example applications."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from moss_voice_server.testing import FakeMoss
from tests.clients import endpoints
from tests.clients.token_source import TokenSource
from tests.examples.apps import APPS, ONE_OF_EACH, Running, started

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session", params=[endpoints.asgi, endpoints.flask], ids=["asgi", "flask"])
def endpoint(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of the token endpoint of the vectors, on each of two servers."""
    with request.param() as url:
        yield url


@pytest.fixture(scope="session")
def token_source() -> TokenSource:
    """LiveKit's own client for JavaScript."""
    return TokenSource()


@pytest.fixture(scope="session")
def moss() -> Iterator[FakeMoss]:
    """The Moss API that the example applications ask."""
    with FakeMoss() as moss:
        yield moss


@pytest.fixture(scope="session", params=ONE_OF_EACH)
def app(request: pytest.FixtureRequest, moss: FakeMoss, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One example application of each framework."""
    with started(APPS[request.param], moss, tmp_path_factory.mktemp("client")) as running:
        yield running
