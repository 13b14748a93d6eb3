"""The herd: 200 threads and 200 tasks in 4 loops want credentials from a source that is down, all at once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from moss_voice_server import MossVoiceServer
from moss_voice_server._credentials.cache import World
from moss_voice_server.credentials import RefreshPolicy
from moss_voice_server.errors import CredentialsError, CredentialsRejected, CredentialsUnavailable
from moss_voice_server.testing import Answer, FakeMoss
from tests.faults.test_threads import Clock
from tests.support.faces import ASYNC, caught
from tests.support.world import ADA

THREADS, LOOPS, TASKS = 200, 4, 50


@pytest.fixture
def moss() -> Iterator[FakeMoss]:
    """A Moss API on a loopback port."""
    with FakeMoss() as fake:
        yield fake


class Herd:
    """200 threads and 200 tasks over one server. `run` sets them off together and gathers what each of them met."""

    def __init__(self, moss: FakeMoss, policy: RefreshPolicy | None = None) -> None:
        self.clock = Clock()
        self.moss = moss
        world = World(mono=self.clock, uniform=max)
        made = ASYNC.make(moss.arguments, world, refresh=policy or RefreshPolicy())
        assert isinstance(made, MossVoiceServer)
        self.server = made
        self.errors: list[Exception] = []
        self.longest = 0.0

    def run(self, call: Callable[[], object], task: Callable[[], object], during: Callable[[], object]) -> None:
        """`call` by each thread, `task` by each task, `during` on this thread, once they are off."""
        self.errors, self.longest = [], 0.0
        self.clock.forget()
        gate = threading.Barrier(THREADS + LOOPS)

        def met(error: Exception, started: float) -> None:
            self.errors.append(error)
            self.longest = max(self.longest, time.monotonic() - started)

        def thread() -> None:
            gate.wait(60)
            started = time.monotonic()
            met(caught(call), started)

        async def one() -> None:
            started = time.monotonic()
            try:
                result = task()
                if asyncio.iscoroutine(result):
                    await result
            except CredentialsError as error:
                met(error, started)

        async def many() -> None:
            gate.wait(60)
            await asyncio.gather(*(one() for _ in range(TASKS)))

        threads = [threading.Thread(target=thread, daemon=True) for _ in range(THREADS)]
        threads += [threading.Thread(target=lambda: asyncio.run(many()), daemon=True) for _ in range(LOOPS)]
        for each in threads:
            each.start()
        during()
        for each in threads:
            each.join(60)
            assert not each.is_alive()

    def all_have_joined(self) -> None:
        """Each thread has looked at the clock once, each loop once for each of its tasks."""
        self.clock.wait_for(THREADS + LOOPS)
        self.clock.wait_for(LOOPS, looks=TASKS)


def test_one_flight_for_all(moss: FakeMoss) -> None:
    """A cold start of all at once: at most three requests, one failure, an exception of its own for each of the 400."""
    herd = Herd(moss)
    moss.always(503)
    for window in range(1, 4):
        moss.script(Answer(503, hang=True))
        count = moss.count

        def release() -> None:
            herd.all_have_joined()
            moss.wait_for(count + 1)  # noqa: B023  # called before the next turn
            moss.release()

        herd.run(herd.server._keeper.renew, herd.server.refresh, release)

        assert [CredentialsUnavailable] * 400 == [type(each) for each in herd.errors]
        assert 1 == len({str(each) for each in herd.errors})
        assert 400 == len({id(each) for each in herd.errors})
        assert 3 * window == moss.count
        assert herd.longest < 8.5 + 5
        herd.clock.ahead += 30


def test_within_the_window_nobody_asks(moss: FakeMoss) -> None:
    """After the failure, all 400 get it again from memory, without a request."""
    herd = Herd(moss)
    moss.always(Answer.retry_after("3600"))
    caught(herd.server._keeper.renew)
    herd.run(herd.server._keeper.renew, herd.server.refresh, lambda: None)

    assert [CredentialsUnavailable] * 400 == [type(each) for each in herd.errors]
    assert 1 == moss.count


def test_nobody_waits_longer_than_one_budget(moss: FakeMoss) -> None:
    """A source that says nothing at all: everybody is let go after one budget, whenever he came."""
    policy = RefreshPolicy(attempt_timeout=0.5, total_timeout=1.0)
    herd = Herd(moss, policy)
    moss.always(Answer(hang=True))
    herd.run(herd.server._keeper.renew, herd.server.refresh, herd.all_have_joined)

    assert [CredentialsUnavailable] * 400 == [type(each) for each in herd.errors]
    assert moss.count <= 3
    assert herd.longest < 1.5 + 5


def test_at_the_hard_age_all_raise_at_once(moss: FakeMoss) -> None:
    """400 mints of credentials that are too old: none of them waits for the one request, which is still under way."""
    herd = Herd(moss)
    herd.server._keeper.renew()
    herd.clock.ahead = 73 * 3600
    moss.always(Answer(hang=True))

    def mint() -> str:
        return herd.server.create_participant_token(ADA, "room")

    herd.run(mint, mint, lambda: moss.wait_for(2, timeout=30))

    assert [CredentialsUnavailable] * 400 == [type(each) for each in herd.errors]
    assert all(isinstance(each, CredentialsError) and each.retry_after == 1.0 for each in herd.errors)
    # One request: the attempt that is made, or the next one if the machine took longer than its five seconds.
    assert (2, 1) == (moss.count, moss.in_flight)
    moss.normal()
    moss.release()


def test_denied_all_raise_without_a_request(moss: FakeMoss) -> None:
    """400 mints while the Moss API refuses: no request within the pause."""
    herd = Herd(moss, RefreshPolicy(max_rejections=1, rejection_window=0))
    herd.server._keeper.renew()
    moss.always(401)
    caught(herd.server._keeper.renew)

    def mint() -> str:
        return herd.server.create_participant_token(ADA, "room")

    herd.run(mint, mint, lambda: None)

    assert [CredentialsRejected] * 400 == [type(each) for each in herd.errors]
    assert 2 == moss.count


def test_recovery_of_all(moss: FakeMoss) -> None:
    """The source comes back: one request serves all 400, nobody meets an error."""
    herd = Herd(moss)
    moss.always(503)
    caught(herd.server._keeper.renew)
    moss.normal()
    herd.clock.ahead = 30
    moss.script(Answer(hang=True))
    count = moss.count

    def release() -> None:
        herd.all_have_joined()
        moss.wait_for(count + 1)
        moss.release()

    refused: list[Exception] = []

    def call() -> None:
        herd.server._keeper.renew()
        raise Arrived

    herd.run(call, herd.server.refresh, release)

    refused = [each for each in herd.errors if not isinstance(each, Arrived)]
    assert [] == refused
    assert THREADS == len(herd.errors)
    assert count + 1 == moss.count
    assert "fresh" == herd.server.status().state


class Arrived(Exception):  # no error: how a thread of a herd tells that nothing went wrong
    """Raised by a caller who got what he wanted."""
