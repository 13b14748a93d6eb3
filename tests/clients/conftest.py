"""Fixtures of the clients' tests: the endpoint on real servers, and LiveKit's client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients import endpoints
from tests.clients.token_source import TokenSource
from tests.livekit.conftest import livekit_binary

__all__ = ["livekit_binary"]


@pytest.fixture(scope="session", params=[endpoints.asgi, endpoints.flask], ids=["asgi", "flask"])
def endpoint(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of the token endpoint of the vectors, on each of two servers."""
    with request.param() as url:
        yield url


@pytest.fixture(scope="session")
def token_source() -> Iterator[TokenSource]:
    """LiveKit's client for JavaScript."""
    source = TokenSource()
    yield source
    source.close()
