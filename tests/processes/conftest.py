"""Fixtures: the Moss API as each of the two voice agents of `app.py` sees it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from moss_voice_server.testing import FakeMoss


@pytest.fixture
def steady() -> Iterator[FakeMoss]:
    """The Moss API, as the voice agent sees it whose credentials stay fresh (`app.py`)."""
    with FakeMoss() as moss:
        yield moss


@pytest.fixture
def quick() -> Iterator[FakeMoss]:
    """The Moss API, as the voice agent sees it whose credentials are due every second."""
    with FakeMoss() as moss:
        yield moss
