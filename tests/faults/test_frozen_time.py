"""Tools that freeze the time in tests: tokens show the frozen time, and nothing waits for a clock that stands still."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import freezegun
import httpx2
import pytest

from moss_voice_server import MossVoiceServer, MossVoiceServerSync
from moss_voice_server.credentials import RefreshPolicy
from moss_voice_server.testing import FakeMoss
from tests.support.servers import ServerClass
from tests.support.simulation import ADA
from tests.support.tokens import claims

THEN = datetime.datetime(2031, 5, 6, 7, 8, 9, tzinfo=datetime.timezone.utc)


@contextmanager
def freezegun_freeze() -> Iterator[None]:
    """freezegun replaces attributes of modules."""
    with freezegun.freeze_time(THEN):
        yield


@contextmanager
def time_machine_freeze() -> Iterator[None]:
    """time-machine replaces the functions' code."""
    time_machine = pytest.importorskip("time_machine", reason="time-machine is for CPython only")
    with time_machine.travel(THEN, tick=False):
        yield


Freeze = Callable[[], AbstractContextManager[None]]
freezes = pytest.mark.parametrize("freeze", [freezegun_freeze, time_machine_freeze], ids=["freezegun", "time-machine"])


@freezes
def test_token_has_the_frozen_time(freeze: Freeze) -> None:
    """The clock is looked up at each call, also by a server that was created before."""
    server = MossVoiceServerSync.from_livekit("wss://host.example", "key", "s" * 32)
    with freeze():
        token = claims(server.create_participant_token(ADA, "room"))
    assert int(THEN.timestamp()) == token["nbf"]
    assert int(claims(server.create_participant_token(ADA, "room"))["nbf"]) != token["nbf"]


@freezes
def test_age_follows_the_frozen_time(freeze: Freeze, moss: FakeMoss) -> None:
    """Credentials that were fetched today are expired in a frozen 2031."""
    server = MossVoiceServerSync.create(**moss.arguments)
    with freeze():
        assert "expired" == server.status().state


@freezes
def test_refresh_with_a_retry_ends(freeze: Freeze, server_class: ServerClass, moss: FakeMoss) -> None:
    """Pauses and deadlines do not follow the frozen clock."""
    moss.queue(503)
    with freeze():
        server = server_class.create(**moss.arguments)
        assert "fresh" == server.status().state
    assert 2 == moss.count


@freezes
def test_refresh_through_an_async_transport_ends(freeze: Freeze, moss: FakeMoss) -> None:
    """The same on the event loop that a custom async transport runs on."""
    moss.queue(503)
    with freeze():
        asyncio.run(MossVoiceServer.create(**moss.arguments, transport=httpx2.AsyncHTTPTransport()))
    assert 2 == moss.count


@freezes
def test_wait_for_a_hanging_api_ends(freeze: Freeze, moss: FakeMoss) -> None:
    """The deadline of an attempt is one of real time."""
    moss.set_default(503)
    policy = RefreshPolicy(attempts=2, attempt_timeout=0.5, total_timeout=1)
    with freeze(), pytest.raises(RuntimeError):
        MossVoiceServerSync.create(**moss.arguments, refresh=policy)
