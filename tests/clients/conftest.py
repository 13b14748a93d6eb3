"""Fixtures of the clients' tests: the endpoint on a real server, and LiveKit's client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients import endpoints
from tests.clients.token_source import TokenSource
from tests.livekit.conftest import livekit_binary

__all__ = ["livekit_binary"]


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    """The URL of the token endpoint of the vectors."""
    with endpoints.asgi() as url:
        yield url


@pytest.fixture(scope="session")
def token_source() -> Iterator[TokenSource]:
    """LiveKit's client for JavaScript."""
    source = TokenSource()
    yield source
    source.close()
