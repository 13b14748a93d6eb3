"""Faults between threads, tasks and event loops: simultaneous callers, fetches that hang, closing."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import sys
import threading
import types
from base64 import urlsafe_b64decode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from moss_voice_server import MossVoiceServer, MossVoiceServerSync
from moss_voice_server._credentials.runtime import Runtime
from moss_voice_server.credentials import RefreshPolicy
from moss_voice_server.errors import CredentialsUnavailable
from moss_voice_server.testing import FakeMoss
from tests.support.errors import caught
from tests.support.fault_response import FaultResponse
from tests.support.servers import ASYNC, SYNC, ServerClass
from tests.support.simulation import ADA, Simulation, Source, cache, fields, good, mint, server
from tests.support.threads import Clock, ended, outcomes, refuse_threads, settled, together
from tests.support.tokens import claims

HOUR = 3600.0


@pytest.mark.parametrize(("status", "is_renewal", "requests"), [(200, False, 1), (503, False, 3), (503, True, 1)])
def test_refreshes_share_one_fetch(
    status: int, is_renewal: bool, requests: int, server_class: ServerClass, moss: FakeMoss
) -> None:
    """Twenty threads: one fetch with its attempts, or the one of a renewal that a mint has begun; an exception for each."""
    clock = Clock()
    made = server_class.new(moss.arguments, Runtime(clock, uniform=lambda _low, high: high / 5))
    if is_renewal:
        server_class.refresh(made)
        clock.ahead = HOUR
    before = moss.count
    moss.set_default(status)
    moss.queue(FaultResponse(status, hang=True))
    if is_renewal:
        mint(made)
    found, threads = outcomes(20, lambda: server_class.refresh(made))
    clock.wait_for(20)
    moss.wait_for(before + 1)
    moss.release()
    ended(threads)

    assert requests == moss.count - before
    if status == 200:
        assert [None] * 20 == found
    else:
        assert [CredentialsUnavailable] * 20 == [type(each) for each in found]
        assert (1, 20) == (len({str(each) for each in found}), len({id(each) for each in found}))


@pytest.mark.parametrize(("ahead", "is_served"), [(HOUR, True), (73 * HOUR, False), (None, False)])
def test_mints_share_one_fetch(ahead: float | None, is_served: bool, server_class: ServerClass, moss: FakeMoss) -> None:
    """Twenty mints of stale, expired or no credentials: one request, for which none waits; they serve, or raise at once."""
    clock = Clock()
    made = server_class.new(moss.arguments, Runtime(clock))
    if ahead is not None:
        server_class.refresh(made)
        clock.ahead = ahead
    old, before = moss.credentials["voice_agent_api_key"], moss.count
    new = moss.rotate()["voice_agent_api_key"]
    moss.queue(FaultResponse(hang=True))
    if ahead is None:
        made.refresh_in_background()
    found, threads = outcomes(20, lambda: mint(made))
    ended(threads)
    moss.wait_for(before + 1)

    assert 1 == moss.in_flight
    if is_served:
        assert [old] * 20 == found
    else:
        assert [(CredentialsUnavailable, 1.0)] * 20 == [(type(each), each.retry_after) for each in found]
    moss.release()
    settled()
    assert new == mint(made)
    assert before + 1 == moss.count


def test_never_a_mixed_generation() -> None:
    """Eight threads mint while the credentials change all the time: key and secret always belong together."""
    simulation = Simulation()
    source = Source(simulation)
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
            if hmac.digest(secret.encode(), signed.encode(), "sha256") != urlsafe_b64decode(signature + "="):
                wrong.append(token)
            if number % 100 == 0:
                known = cached.peek()
                generation = known.url.removeprefix("wss://livekit-")
                fingerprint = hashlib.sha256(f"key-{generation}".encode()).hexdigest()[:12]
                if (f"agent-{generation}", fingerprint) != (known.agent_name, known.fingerprint):
                    wrong.append(known.url)

    threads = together(8, work)
    while any(thread.is_alive() for thread in threads):
        source.otherwise = good(source.count + 1)
        made.refresh()
    ended(threads)

    assert [] == wrong
    assert source.count > 20
    assert len(seen) > 2


# --- event loops -----------------------------------------------------------------------------------


def test_fetch_outlives_its_loop(moss: FakeMoss, caplog: pytest.LogCaptureFixture) -> None:
    """A loop for each call. One ends before its fetch, or its renewal, does: that goes on, for the next loop."""
    clock = Clock()
    made = ASYNC.new(moss.arguments, Runtime(clock))
    assert isinstance(made, MossVoiceServer)

    async def leave(call: Callable[[], object]) -> None:
        moss.queue(FaultResponse(hang=True))
        before = moss.count
        call()
        await asyncio.to_thread(moss.wait_for, before + 1)

    # asyncio.run cancels the task before it closes the loop.
    asyncio.run(leave(lambda: asyncio.ensure_future(made.refresh())))
    moss.release()
    settled()
    assert "fresh" == made.status().state
    asyncio.run(made.refresh())
    clock.ahead = HOUR
    new = moss.rotate()["voice_agent_api_key"]
    asyncio.run(leave(lambda: mint(made)))
    moss.release()
    settled()
    assert (new, 3) == (mint(made), moss.count)
    assert "closed" not in caplog.text


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


def test_event_loop_of_an_async_transport(moss: FakeMoss, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not one of the application's policy, such as uvloop's, or one that must run on the main thread; one for each fetch."""

    def refuse() -> asyncio.AbstractEventLoop:
        raise RuntimeError("only on the main thread")

    async def story() -> None:
        monkeypatch.setattr(asyncio, "new_event_loop", refuse)
        server = MossVoiceServer(**moss.arguments, transport=httpx2.AsyncHTTPTransport())
        await server.refresh()
        await server.refresh()

    asyncio.run(story())
    assert 2 == moss.count


# --- a thread that hangs where no timeout reaches, and no thread at all ---------------------------


def test_hangs_without_end(moss: FakeMoss) -> None:
    """Callers wait for the budget only; the next fetch does not wait for the lost one, whose result is then dropped."""
    is_first, first_may_go, through = iter([True]), threading.Event(), moss.transport()

    def stuck(request: httpx2.Request) -> httpx2.Response:
        assert not next(is_first, False) or first_may_go.wait(20)
        return through.handle_request(request)

    clock = Clock()
    policy = RefreshPolicy(attempt_timeout=0.2, total_timeout=0.3)
    made = SYNC.new(moss.arguments, Runtime(clock), refresh=policy, transport=httpx2.MockTransport(stuck))
    try:
        error = caught(SYNC.refresh, made)
        assert isinstance(error, CredentialsUnavailable)
        assert "transport" not in str(error)
        clock.ahead = 1.0
        SYNC.refresh(made)
        assert "fresh" == made.status().state
        key = moss.credentials["voice_agent_api_key"]
        moss.rotate()
    finally:
        first_may_go.set()
    settled()
    assert key == mint(made)


def test_no_thread_and_a_running_loop(moss: FakeMoss, monkeypatch: pytest.MonkeyPatch) -> None:
    """A coroutine then fetches on its loop's thread; a custom async transport needs another, and the error says so."""
    refuse_threads(monkeypatch)

    async def story() -> None:
        made = MossVoiceServer(**moss.arguments)
        await made.refresh()
        assert mint(made)
        own = MossVoiceServer(**moss.arguments, transport=moss.transport())
        with pytest.raises(CredentialsUnavailable, match="no thread can be started"):
            await own.refresh()

    asyncio.run(story())
    assert 1 == moss.count


@pytest.mark.parametrize(
    ("variable", "has_threads"),
    [("AWS_LAMBDA_FUNCTION_NAME", 1), ("K_SERVICE", 1), ("FUNCTIONS_WORKER_RUNTIME", 1), ("", 0), ("", 1)],
)
def test_threads_stand_still(variable: str, has_threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where they do between requests, in functions and in uWSGI, a mint waits for its renewal: one attempt of 2.5 s."""
    if variable:
        monkeypatch.setenv(variable, "something")
    monkeypatch.setitem(sys.modules, "uwsgi", types.SimpleNamespace(has_threads=has_threads))
    waits = bool(variable) or not has_threads
    simulation = Simulation()
    source = Source(simulation)
    cached = cache(simulation, source, RefreshPolicy(attempt_timeout=6, total_timeout=60))
    made = server(cached)
    made.refresh()
    source.otherwise = good(2)
    with ThreadPoolExecutor(1) as threads:
        may_run = threading.Event()

        def start_thread(work: Callable[[], None]) -> None:
            if waits:
                may_run.set()
            threads.submit(may_run.wait, 30).add_done_callback(lambda _: work())

        cached._runtime = simulation.runtime._replace(start_thread=start_thread)
        simulation.advance(HOUR)
        assert ("key-2" if waits else "key-1") == mint(made)
        may_run.set()
    assert (2, 2.5 if waits else 6.0) == (source.count, source.attempts[-1].timeout)


# --- closing ---------------------------------------------------------------------------------------


def test_closed() -> None:
    """After `close` the credentials mint until they expire; no request is sent."""
    simulation = Simulation()
    source = Source(simulation)
    made = server(cache(simulation, source))
    made.refresh()
    made.close()
    simulation.advance(71 * HOUR)
    assert mint(made)
    simulation.advance(2 * HOUR)
    error = caught(mint, made)

    assert (CredentialsUnavailable, None, 1) == (type(error), error.retry_after, source.count)
    assert "is closed" in str(error)


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
