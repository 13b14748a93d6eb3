"""Tools that freeze the time in tests: tokens show the frozen time, and nothing waits for a clock that stands still."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import freezegun
import httpx2
import pytest

from moss_voice_server import MossVoiceServer, MossVoiceServerSync
from moss_voice_server._secret import Secret
from moss_voice_server.credentials import RefreshPolicy
from moss_voice_server.testing import FakeLiveKit, FakeMoss, MockResponse
from moss_voice_server.testing._guarded import GuardedProcess
from tests.support.fault_response import FaultResponse
from tests.support.servers import ASYNC, SYNC, ServerClass
from tests.support.simulation import ADA
from tests.support.tokens import claims


def trio_run(coroutine: Any) -> Any:
    """Runs a coroutine under trio."""
    trio = pytest.importorskip("trio")

    async def awaited() -> Any:
        return await coroutine

    return trio.run(awaited)


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
def test_frozen_time_is_looked_up(freeze: Freeze, moss: FakeMoss) -> None:
    """At each call, also by a server that was created before: its tokens are of 2031, its credentials expired."""
    by_hand = MossVoiceServerSync.from_livekit("wss://host.example", "key", "s" * 32)
    fetched = MossVoiceServerSync.create(**moss.arguments)
    with freeze():
        assert int(THEN.timestamp()) == claims(by_hand.create_participant_token(ADA, "room"))["nbf"]
        assert "expired" == fetched.status().state
    assert int(THEN.timestamp()) != claims(by_hand.create_participant_token(ADA, "room"))["nbf"]


TRANSPORTS: dict[str, tuple[ServerClass, Callable[[], Any]]] = {
    "sync": (SYNC, lambda: None),
    "sync, transport": (SYNC, httpx2.HTTPTransport),
    "async": (ASYNC, lambda: None),
    "async, transport": (ASYNC, httpx2.AsyncHTTPTransport),
}


@freezes
@pytest.mark.parametrize("way", TRANSPORTS)
def test_refresh_with_a_retry_ends(freeze: Freeze, way: str, moss: FakeMoss) -> None:
    """Pauses, and the deadline of every single read, do not follow the frozen clock, nor does an async transport's loop."""
    server_class, transport = TRANSPORTS[way]
    policy = RefreshPolicy(attempts=2, attempt_timeout=0.5, total_timeout=30)
    moss.queue(FaultResponse(trickle=0.05))
    with freeze():
        server = server_class.create(**moss.arguments, refresh=policy, transport=transport())
        assert "fresh" == server.status().state
    assert 2 == moss.count


@freezes
@pytest.mark.parametrize("run", [None, asyncio.run, trio_run], ids=["sync", "asyncio", "trio"])
def test_rooms_with_a_retry_end(freeze: Freeze, run: Any) -> None:
    """Pauses between the attempts of a call to LiveKit's server API, and the fake's clock, as for the credentials."""
    with FakeLiveKit() as livekit, freeze():
        kind = MossVoiceServerSync if run is None else MossVoiceServer
        rooms = kind.from_livekit(livekit.url, livekit.api_key, livekit.api_secret).rooms
        livekit.queue(FaultResponse(503))
        listed = rooms.list() if run is None else run(rooms.list())
        assert ((), 2) == (listed, len(livekit.requests))


@freezes
@pytest.mark.parametrize("run", [asyncio.run, trio_run], ids=["asyncio", "trio"])
def test_fakes_pause_in_frozen_time(freeze: Freeze, run: Callable[[Any], Any]) -> None:
    """The fake's own pauses, over a socket and in memory, end by a real clock."""

    async def asked(client: httpx2.AsyncClient, url: str) -> int:
        async with client:
            return (await client.get(url)).status_code

    with freeze(), FakeMoss() as moss:
        moss.queue(*[MockResponse(status=418, delay=0.05)] * 3)
        assert 418 == httpx2.get(moss.url).status_code
        assert 418 == httpx2.Client(transport=moss.transport()).get(moss.url).status_code
        assert 418 == run(asked(httpx2.AsyncClient(transport=moss.transport()), moss.url))


def test_children_end_in_frozen_time(tmp_path: Path) -> None:
    """A process that ignores SIGTERM gets it again, and SIGKILL at last, also while the time stands still."""
    script = "trap 'echo again' TERM; echo ready; while :; do sleep 0.05; done"
    log = tmp_path / "log"
    with freezegun_freeze(), log.open("ab") as file:
        child = GuardedProcess(["/bin/sh", "-c", script], tmp_path, Secret({}), file)
        while "ready" not in log.read_text():
            assert child.process.poll() is None
        child.end(1.5)
    assert child.process.poll() is not None
    assert log.read_text().count("again") > 1
