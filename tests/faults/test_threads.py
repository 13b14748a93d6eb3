"""Faults between threads, tasks and event loops: simultaneous callers, hanging fetches, interruptions, closing."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import sys
import threading
import time
import types
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from moss_voice_server import MossVoiceServer, MossVoiceServerSync
from moss_voice_server._credentials.cache import CredentialsCache
from moss_voice_server._credentials.fetch import MossSource
from moss_voice_server._credentials.model import Credentials
from moss_voice_server._credentials.refresh import Refresh
from moss_voice_server._credentials.runtime import Runtime
from moss_voice_server._credentials.source import Result
from moss_voice_server._http.flow import Flow
from moss_voice_server.credentials import CredentialsStatus, RefreshPolicy
from moss_voice_server.errors import CredentialsUnavailable
from moss_voice_server.testing import FakeMoss
from tests.support.errors import caught
from tests.support.fault_response import FaultResponse
from tests.support.servers import ASYNC, SYNC, Server, ServerClass
from tests.support.simulation import ADA, CONFIG, DOWN, Simulation, Source, cache, fields, good, mint, server
from tests.support.threads import refuse_threads, settled
from tests.support.tokens import claims

HOUR = 3600.0


class Clock:
    """A clock that can be moved, and that knows which callers have read it: they share the fetch that runs."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self._reads: Counter[int] = Counter()
        self._changed = threading.Condition()

    def time(self) -> float:
        """Seconds since 1970; it cannot be moved."""
        return time.time()

    def monotonic(self) -> float:
        """The clock that can be moved."""
        with self._changed:
            # Not the thread that fetches.
            if threading.current_thread().name == "caller":
                self._reads[threading.get_ident()] += 1
                self._changed.notify_all()
        return time.monotonic() + self.ahead

    def wait_for(self, callers: int, reads: int = 1) -> None:
        """Until so many callers have read it so often each."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: callers == sum(count >= reads for count in self._reads.values()), timeout=30
            ), self._reads


def clocked(server_class: ServerClass, moss: FakeMoss, **options: Any) -> tuple[Clock, Server]:
    """A clock, and a server that has fetched by it."""
    clock = Clock()
    made = server_class.new(moss.arguments, Runtime(clock), **options)
    server_class.refresh(made)
    return clock, made


def together(number: int, call: Callable[[], object]) -> list[threading.Thread]:
    """So many callers that do this at the same moment."""
    gate = threading.Barrier(number)

    def run() -> None:
        gate.wait(30)
        call()

    threads = [threading.Thread(target=run, name="caller", daemon=True) for _ in range(number)]
    for thread in threads:
        thread.start()
    return threads


def ended(threads: list[threading.Thread]) -> None:
    """Waits until all have ended, with a bound."""
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


# --- all at once -----------------------------------------------------------------------------------


def test_cold_start(server_class: ServerClass, moss: FakeMoss) -> None:
    """Twenty threads fetch the first credentials: one request, and all have them."""
    clock = Clock()
    made = server_class.new(moss.arguments, Runtime(clock))
    moss.queue(FaultResponse(hang=True))
    threads = together(20, lambda: server_class.refresh(made))
    clock.wait_for(20)
    moss.wait_for(1)
    moss.release()
    ended(threads)

    assert 1 == moss.count
    assert "fresh" == made.status().state


def test_cold_start_of_a_source_that_is_down(server_class: ServerClass, moss: FakeMoss) -> None:
    """Twenty threads, one fetch of three requests, one failure, and an exception for each."""
    clock = Clock()
    made = server_class.new(moss.arguments, Runtime(clock, uniform=lambda _low, high: high / 5))
    moss.set_default(503)
    moss.queue(FaultResponse(503, hang=True))
    errors: list[Exception] = []
    threads = together(20, lambda: errors.append(caught(lambda: server_class.refresh(made))))
    clock.wait_for(20)
    moss.wait_for(1)
    moss.release()
    ended(threads)

    assert 3 == moss.count
    assert [CredentialsUnavailable] * 20 == [type(each) for each in errors]
    assert 1 == len({str(each) for each in errors})
    assert 20 == len({id(each) for each in errors})


def test_expired(server_class: ServerClass, moss: FakeMoss) -> None:
    """Twenty mints of credentials that are too old: one request, and all raise while it is in progress."""
    clock, made = clocked(server_class, moss)
    clock.ahead = 73 * HOUR
    moss.set_default(FaultResponse(hang=True))
    errors: list[Exception] = []
    ended(together(20, lambda: errors.append(caught(lambda: mint(made)))))
    moss.wait_for(2)

    assert [CredentialsUnavailable] * 20 == [type(each) for each in errors]
    assert (2, 1) == (moss.count, moss.in_flight)
    moss.reset()
    moss.release()


def test_stale(server_class: ServerClass, moss: FakeMoss) -> None:
    """Twenty threads that mint while a renewal is due: one request, and no thread waits for it."""
    clock, made = clocked(server_class, moss)
    key = moss.credentials["voice_agent_api_key"]
    new = moss.rotate()["voice_agent_api_key"]
    moss.queue(FaultResponse(hang=True))
    clock.ahead = HOUR
    minted: list[str] = []
    ended(together(20, lambda: minted.append(mint(made))))
    moss.wait_for(2)

    assert [key] * 20 == minted
    assert (2, 1) == (moss.count, moss.in_flight)
    moss.release()
    settled()
    assert new == mint(made)
    assert 2 == moss.count


# --- one generation --------------------------------------------------------------------------------


class Rotating:
    """A source whose every fetch brings the next generation."""

    def __init__(self, simulation: Simulation) -> None:
        self.generation = 0
        self._simulation = simulation

    def run(self, flow: Flow[Result[Credentials]]) -> Result[Credentials]:
        """As `Source.run`."""
        self.generation += 1
        source = Source(self._simulation)
        source.otherwise = good(self.generation)
        return source.run(flow)


def test_never_a_mixed_generation() -> None:
    """Eight threads mint while the credentials change all the time: key and secret always belong together."""
    simulation = Simulation()
    source = Rotating(simulation)
    cached = cache(simulation, source)
    made = server(cached)
    made.refresh()
    wrong: list[str] = []
    seen: set[str] = set()

    def work() -> None:
        for number in range(1000):
            token = made.create_participant_token(ADA, "room")
            signed, _, signature = token.rpartition(".")
            key = str(claims(token)["iss"])
            seen.add(key)
            secret = fields(int(key.removeprefix("key-")))["voice_agent_api_secret"]
            expected = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()
            if expected != urlsafe_b64decode(signature + "="):
                wrong.append(token)
            if number % 100 == 0:
                known = cached.peek()
                generation = known.url.removeprefix("wss://livekit-")
                fingerprint = hashlib.sha256(f"key-{generation}".encode()).hexdigest()[:12]
                if (f"agent-{generation}", fingerprint) != (known.agent_name, known.fingerprint):
                    wrong.append(known.url)

    threads = together(8, work)
    while any(thread.is_alive() for thread in threads):
        made.refresh()
    ended(threads)

    assert [] == wrong
    assert source.generation > 20
    assert len(seen) > 2


# --- event loops -----------------------------------------------------------------------------------


def test_loops_in_turn(moss: FakeMoss) -> None:
    """`asyncio.run` with one server three times: each loop is closed before the next; a renewal outlives its loop."""
    clock = Clock()
    made = ASYNC.new(moss.arguments, Runtime(clock))
    assert isinstance(made, MossVoiceServer)
    for number in range(1, 4):
        asyncio.run(made.refresh())
        assert number == moss.count

    async def mint_once() -> str:
        return mint(made)

    new = moss.rotate()["voice_agent_api_key"]
    moss.queue(FaultResponse(hang=True))
    clock.ahead = HOUR
    assert new != asyncio.run(mint_once())
    moss.wait_for(4)
    moss.release()
    settled()
    assert new == mint(made)


def test_four_loops_in_four_threads(moss: FakeMoss) -> None:
    """Five tasks each in four loops: one request, and all have its result."""
    clock = Clock()
    made = ASYNC.new(moss.arguments, Runtime(clock))
    moss.queue(FaultResponse(hang=True))
    results: list[object] = []

    async def five() -> None:
        assert isinstance(made, MossVoiceServer)
        results.extend(await asyncio.gather(*(made.refresh() for _ in range(5))))

    threads = together(4, lambda: asyncio.run(five()))
    clock.wait_for(4, reads=5)
    moss.wait_for(1)
    moss.release()
    ended(threads)

    assert 1 == moss.count
    assert [None] * 20 == results


def test_leader_is_cancelled(moss: FakeMoss) -> None:
    """The task that began the fetch is cancelled: the others get its result."""

    async def story() -> None:
        made = MossVoiceServer(**moss.arguments)
        moss.queue(FaultResponse(hang=True))
        leader = asyncio.ensure_future(made.refresh())
        await asyncio.to_thread(moss.wait_for, 1)
        others = [asyncio.ensure_future(made.refresh()) for _ in range(5)]
        await asyncio.sleep(0)
        leader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leader
        moss.release()
        assert [None] * 5 == await asyncio.gather(*others)
        assert "fresh" == made.status().state

    asyncio.run(story())
    assert 1 == moss.count


def test_loop_is_closed_in_the_middle(moss: FakeMoss, caplog: pytest.LogCaptureFixture) -> None:
    """The loop of the caller ends before the fetch: the fetch goes on, for the next loop."""
    made = MossVoiceServer(**moss.arguments)
    moss.queue(FaultResponse(hang=True))

    async def leave() -> asyncio.Future[None]:
        task = asyncio.ensure_future(made.refresh())
        await asyncio.to_thread(moss.wait_for, 1)
        return task  # which asyncio.run cancels before it closes the loop

    assert asyncio.run(leave()).cancelled()
    moss.release()
    settled()
    assert "fresh" == made.status().state
    asyncio.run(made.refresh())
    assert 2 == moss.count
    assert "closed" not in caplog.text


def test_event_loop_policy_of_the_application(moss: FakeMoss, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fetch does not run on what that makes: uvloop, or a loop that must run on the main thread."""

    def refuse() -> asyncio.AbstractEventLoop:
        raise RuntimeError("only on the main thread")

    async def story() -> None:
        monkeypatch.setattr(asyncio, "new_event_loop", refuse)
        await MossVoiceServer(**moss.arguments).refresh()

    asyncio.run(story())
    assert 1 == moss.count


def test_waiting_does_not_block_the_loop(moss: FakeMoss) -> None:
    """While a fetch is in progress the loop's other tasks run."""

    async def story() -> int:
        made = MossVoiceServer(**moss.arguments)
        moss.queue(FaultResponse(hang=True))
        waiting = asyncio.ensure_future(made.refresh())
        turns = 0
        while not moss.in_flight or turns < 100:
            turns += 1
            await asyncio.sleep(0)
        moss.release()
        await waiting
        return turns

    assert 100 <= asyncio.run(story())


def test_transport_in_memory(server_class: ServerClass) -> None:
    """A custom transport serves any number of fetches, threads and loops."""
    with FakeMoss() as moss:
        made = server_class.new(moss.arguments, transport=moss.transport())
        for _ in range(3):
            server_class.refresh(made)
        ended(together(8, lambda: server_class.refresh(made)))
        assert "fresh" == made.status().state


# --- a thread that hangs where no timeout reaches -------------------------------------------------


class Stuck(httpx2.BaseTransport):
    """Holds its first request until the event; the fake Moss API answers the others."""

    def __init__(self, moss: FakeMoss) -> None:
        self.first_may_go = threading.Event()
        self.requests = 0
        self._through = moss.transport()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """As any transport."""
        self.requests += 1
        if self.requests == 1:
            assert self.first_may_go.wait(60)
        return self._through.handle_request(request)


def test_hangs_without_end(moss: FakeMoss) -> None:
    """Callers wait for the budget only; the next fetch does not wait for the lost one, whose result is then dropped."""
    clock = Clock()
    transport = Stuck(moss)
    policy = RefreshPolicy(attempt_timeout=0.2, total_timeout=0.3)
    made = SYNC.new(moss.arguments, Runtime(clock), refresh=policy, transport=transport)
    try:
        error = caught(lambda: SYNC.refresh(made))
        assert isinstance(error, CredentialsUnavailable)
        assert not transport.first_may_go.is_set()
        clock.ahead = 1.0
        SYNC.refresh(made)
        assert "fresh" == made.status().state
        key = moss.credentials["voice_agent_api_key"]
        moss.rotate()
    finally:
        transport.first_may_go.set()
    settled()
    assert key == mint(made)


# --- no threads, interruptions, the end of the process ---------------------------------------------


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system gives us no thread; the fake Moss API still has its own."""
    refuse_threads(monkeypatch)


@pytest.mark.usefixtures("no_threads")
def test_no_thread_can_be_started(server_class: ServerClass, moss: FakeMoss) -> None:
    """The caller then fetches itself: at the start, and at the renewal."""
    simulation = Simulation()
    moss.queue(503)
    made = server_class.new(moss.arguments, Runtime(simulation, min))
    server_class.refresh(made)
    assert 2 == moss.count

    new = moss.rotate()["voice_agent_api_key"]
    simulation.advance(HOUR)
    assert new == mint(made)
    assert 3 == moss.count

    moss.set_default(503)
    simulation.advance(HOUR)
    for _ in range(100):
        assert new == mint(made)
    assert 4 == moss.count


@pytest.mark.usefixtures("no_threads")
def test_no_thread_and_a_running_loop(moss: FakeMoss) -> None:
    """On an event loop as well; a custom async transport needs a thread, and the error says so."""

    async def story() -> None:
        made = MossVoiceServer(**moss.arguments)
        await made.refresh()
        assert mint(made)
        own = MossVoiceServer(**moss.arguments, transport=moss.transport())
        with pytest.raises(CredentialsUnavailable, match="no thread can be started"):
            await own.refresh()

    asyncio.run(story())
    assert 1 == moss.count


FROZEN = ("AWS_LAMBDA_FUNCTION_NAME", "K_SERVICE", "FUNCTIONS_WORKER_RUNTIME")


@pytest.mark.parametrize("variable", FROZEN)
def test_threads_stand_still(moss: FakeMoss, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a process is frozen between requests, a mint renews in line: one attempt for each window."""
    monkeypatch.setenv(variable, "something")
    clock, made = clocked(SYNC, moss)
    old, new = moss.credentials["voice_agent_api_key"], moss.rotate()["voice_agent_api_key"]
    clock.ahead = HOUR
    moss.set_default(503)
    for _ in range(100):
        assert old == mint(made)
    assert 2 == moss.count
    moss.reset()
    clock.ahead += 30
    assert new == mint(made)
    assert 3 == moss.count


def test_in_line_is_bounded(moss: FakeMoss, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that hangs delays that one mint by two and a half seconds, and the next ones not at all."""
    monkeypatch.setenv("K_SERVICE", "something")
    clock, made = clocked(SYNC, moss, refresh=RefreshPolicy(attempt_timeout=60, total_timeout=60))
    clock.ahead = HOUR
    moss.set_default(FaultResponse(trickle=0.2))
    started = time.monotonic()
    assert mint(made)
    assert 2.0 < time.monotonic() - started < 2.5 + 5
    sent = moss.bytes_sent
    for _ in range(100):
        assert mint(made)
    assert 2 == moss.count
    assert sent < 600  # the first answer whole, and a few bytes of the second


@pytest.mark.parametrize(("has_threads", "expected"), [(0, "key-2"), (1, "key-1")])
def test_uwsgi(has_threads: int, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where uWSGI runs no threads, a mint waits for its renewal. (`tests/processes` has the real one.)"""
    monkeypatch.setitem(sys.modules, "uwsgi", types.SimpleNamespace(has_threads=has_threads))
    simulation = Simulation()
    source = Source(simulation)
    cached = cache(simulation, source)
    made = server(cached)
    made.refresh()
    source.otherwise = good(2)
    with ThreadPoolExecutor(1) as threads:
        may_run = threading.Event()

        def start_thread(work: Callable[[], None]) -> None:
            if not has_threads:
                may_run.set()
            threads.submit(may_run.wait, 30).add_done_callback(lambda _: work())

        cached._runtime = simulation.runtime._replace(start_thread=start_thread)
        simulation.advance(HOUR)
        assert expected == mint(made)
        may_run.set()


class Interrupting(httpx2.BaseTransport, httpx2.AsyncBaseTransport):
    """Raises that in the middle of a request."""

    def __init__(self, kind: type[BaseException]) -> None:
        self.kind: type[BaseException] | None = kind
        self._through = FakeMoss().transport()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """As any transport."""
        if self.kind:
            raise self.kind("a secret in the text")
        return self._through.handle_request(request)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """As any transport."""
        return self.handle_request(request)


INSTANT = Runtime(uniform=lambda _low, _high: 0.0)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError, ValueError])
def test_interrupted_fetch(
    server_class: ServerClass, kind: type[BaseException], moss: FakeMoss, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever ends a fetch, its callers get an error of ours, and the next fetch may begin."""
    seen: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda what: seen.append(what.exc_type))
    made = server_class.new(moss.arguments, INSTANT, transport=Interrupting(kind))
    started = time.monotonic()
    for _ in range(2):
        error = caught(lambda: server_class.refresh(made))
        assert isinstance(error, CredentialsUnavailable)
        assert "a secret in the text" not in str(error)
    assert time.monotonic() - started < 8
    assert set(seen) <= {kind}


@pytest.mark.usefixtures("no_threads")
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_interrupted_in_line(kind: type[BaseException], moss: FakeMoss) -> None:
    """In line, Ctrl-C reaches the caller, and the next call fetches."""
    transport = Interrupting(kind)
    transport._through = moss.transport()
    made = SYNC.new(moss.arguments, INSTANT, transport=transport)
    with pytest.raises(kind):
        SYNC.refresh(made)
    assert ("empty", "CredentialsUnavailable") == (made.status().state, made.status().last_error)
    transport.kind = None
    SYNC.refresh(made)
    assert mint(made)


# --- callbacks, closing, and what else may happen in the middle --------------------------------------------


def test_callback_that_raises() -> None:
    """The renewal counts; `test_secrets.py` has the log."""
    simulation = Simulation()

    def broken(_status: CredentialsStatus) -> None:
        raise ValueError

    made = server(cache(simulation, Source(simulation), on_change=broken))
    made.refresh()
    assert "fresh" == made.status().state


def test_callback_may_call_back() -> None:
    """`on_change` may mint, read the status and even refresh: nothing is locked while it runs."""
    simulation = Simulation()
    source = Source(simulation)
    results: list[object] = []

    def curious(reported: CredentialsStatus) -> None:
        results.append(reported.state)
        if len(results) == 1:
            results.append(made.status().state)
            results.append(mint(made))
            made.refresh()

    cached = cache(simulation, source, on_change=curious)
    made = server(cached)
    source.answers.append(good(1))
    source.otherwise = good(2)
    made.refresh()

    assert ["fresh", "fresh", "key-1", "fresh"] == results
    assert "key-2" == mint(made)


def test_callback_that_takes_its_time() -> None:
    """A caller whose wait ends while `on_change` is still busy gets the result of the fetch, and not a timeout."""
    simulation = Simulation()
    source = Source(simulation)
    reported, may_return = threading.Event(), threading.Event()

    def slow(_status: CredentialsStatus) -> None:
        reported.set()
        may_return.wait(30)

    cached = cache(simulation, source, on_change=slow)
    for answer in (good(), DOWN):
        source.otherwise = answer
        refresh = cached._claim(background=False)
        assert refresh is not None
        reported.clear()
        may_return.clear()
        with ThreadPoolExecutor(1) as threads:
            threads.submit(cached._run, refresh, 1, 5.0)
            try:
                assert reported.wait(30)
                assert not refresh.done.done()
                if answer is DOWN:
                    error = caught(lambda refresh=refresh: cached._raise_if_failed(refresh))  # type: ignore[misc]
                    assert "connection refused" in str(error)
                else:
                    cached._raise_if_failed(refresh)
            finally:
                may_return.set()


@pytest.mark.parametrize("inside", ["mint", "refresh"])
def test_signal_in_the_middle(inside: str) -> None:
    """A signal's handler runs in the middle of anything, on the very thread that it interrupts: it may mint there.

    The clock is read wherever that thread holds something, so the handler is called from there.
    """
    simulation = Simulation()
    source = Source(simulation)
    cached = cache(simulation, source)
    made = server(cached)
    made.refresh()
    simulation.advance(HOUR)
    source.otherwise = good(2)
    begun: list[int] = []
    handled: list[str] = []

    def interrupted() -> float:
        if len(begun) < 50:
            begun.append(1)
            handled.append(mint(made))
        return simulation.mono

    simulation.monotonic = interrupted  # type: ignore[method-assign]
    ended(together(1, lambda: mint(made) if inside == "mint" else made.refresh()))

    assert 50 == len(handled)
    assert {"key-1", "key-2"} >= set(handled)
    assert "key-2" == mint(made)


def test_mint_while_the_first_fetch_ends() -> None:
    """The first fetch ends between two reads of a mint: it does not report missing credentials."""
    simulation = Simulation()
    simulation.hold = True
    source = Source(simulation)

    class Finishing(CredentialsCache[Credentials]):
        """Lets the refresh finish while `get` looks for it."""

        @property
        def _refresh(self) -> Refresh | None:
            before = self.__dict__["refresh_now"]
            if before is not None and simulation.held and sys._getframe(1).f_code.co_name == "get":
                simulation.run()
            return self.__dict__["refresh_now"]

        @_refresh.setter
        def _refresh(self, refresh: Refresh | None) -> None:
            self.__dict__["refresh_now"] = refresh

    cached = Finishing(MossSource(CONFIG, RefreshPolicy(), source.run, simulation.runtime), "MossVoiceServerSync")
    made = server(cached)
    cached.refresh_in_background()

    assert "key-1" == mint(made)


def test_log_handler_may_call_back(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A log handler runs at the same place, and may do the same."""
    caplog.set_level(logging.INFO, "moss_voice_server")
    simulation = Simulation()
    made = server(cache(simulation, Source(simulation)))
    states: list[str] = []
    monkeypatch.setattr(caplog.handler, "emit", lambda _record: states.append(made.status().state + mint(made)))
    made.refresh()
    assert ["freshkey-1"] == states


def test_closed(server_class: ServerClass, moss: FakeMoss) -> None:
    """After `close` the credentials mint until they expire; no request is sent."""
    clock, made = clocked(server_class, moss)
    for _ in range(2):
        server_class.close(made)

    assert isinstance(caught(lambda: server_class.refresh(made)), CredentialsUnavailable)
    clock.ahead = 71 * HOUR
    assert mint(made)
    clock.ahead = 73 * HOUR
    error = caught(lambda: mint(made))
    assert (CredentialsUnavailable, None) == (type(error), getattr(error, "retry_after", 0.0))
    assert "is closed" in str(error)
    settled()
    assert 1 == moss.count


def test_closed_during_a_fetch(moss: FakeMoss) -> None:
    """A caller that waits at that time still gets the result."""
    made = MossVoiceServerSync(**moss.arguments)
    moss.queue(FaultResponse(hang=True))
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(made.refresh)
        moss.wait_for(1)
        made.close()
        moss.release()
        waiting.result(30)
    assert "fresh" == made.status().state


def test_mint_while_the_first_fetch_is_in_progress(server_class: ServerClass, moss: FakeMoss) -> None:
    """It raises at once, says when to retry, and starts no second fetch."""
    made = server_class.new(moss.arguments)
    moss.queue(FaultResponse(hang=True))
    made.refresh_in_background()
    moss.wait_for(1)
    error = caught(lambda: mint(made))

    assert isinstance(error, CredentialsUnavailable)
    assert 1.0 == error.retry_after
    assert 1 == moss.in_flight
    moss.release()
    settled()
    assert "fresh" == made.status().state
    assert 1 == moss.count


def test_refresh_joins_a_renewal_that_is_in_progress(server_class: ServerClass, moss: FakeMoss) -> None:
    """`refresh()` shares the background's fetch, and its failure."""
    clock, made = clocked(server_class, moss)
    clock.ahead = HOUR
    moss.queue(FaultResponse(503, hang=True))
    mint(made)
    moss.wait_for(2)
    errors: list[Exception] = []
    threads = together(1, lambda: errors.append(caught(lambda: server_class.refresh(made))))
    clock.wait_for(1)
    moss.release()
    ended(threads)

    assert [CredentialsUnavailable] == [type(each) for each in errors]
    assert 2 == moss.count
