"""Signals, callbacks, threads that never run and the end of the process, in the middle of a refresh."""

from __future__ import annotations

import _thread
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from linecache import getline
from types import FrameType
from typing import Any

import pytest

from moss_voice_server import MossVoiceServerSync
from moss_voice_server._credentials import cache as cache_module
from moss_voice_server._credentials import refresh as refresh_module
from moss_voice_server._credentials import refresher as refresher_module
from moss_voice_server._credentials.cache import CredentialsCache
from moss_voice_server._credentials.fetch import MossSource
from moss_voice_server._credentials.model import Credentials
from moss_voice_server._credentials.refresh import Refresh
from moss_voice_server.credentials import CredentialsStatus, RefreshPolicy
from moss_voice_server.testing import FakeLiveKit, FakeMoss, FrozenClock
from tests.support.errors import caught
from tests.support.servers import ServerClass
from tests.support.simulation import ADA, CONFIG, DOWN, Simulation, Source, cache, good, mint, server
from tests.support.threads import ended, outcomes, together

HOUR = 3600.0
OURS = {cache_module.__file__, refresh_module.__file__, refresher_module.__file__}


class Signal(BaseException):
    """What a signal handler raises."""


class Interrupter:
    """Raises `Signal` at the n-th line that the cache's code runs on this thread, as a signal handler can."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __enter__(self) -> Interrupter:
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_exc: object) -> None:
        sys.settrace(None)

    def _trace(self, frame: FrameType, event: str, _argument: object) -> Any:
        if frame.f_code.co_filename not in OURS or frame.f_code.co_name == "_give_up_claim":
            return None
        # Not at `with`, whose end is such a line too: there a handler never runs before the lock is released.
        if event == "line" and not getline(frame.f_code.co_filename, frame.f_lineno).lstrip().startswith("with "):
            self.left -= 1
            if self.left == 0:
                sys.settrace(None)
                raise Signal
        return self._trace


def refuse(_work: Callable[[], None]) -> None:
    """As `Runtime.start_thread`, where no thread can be started."""
    raise RuntimeError("can't start new thread")


@pytest.mark.parametrize("inline", [False, True], ids=["on a thread", "in line"])
@pytest.mark.parametrize("call", ["refresh", "mint"])
def test_signal_handler_that_raises_anywhere(call: str, inline: bool) -> None:
    """Wherever the exception comes, the next refresh starts at once: no claim is left that nothing fulfils."""
    lines = 1
    while True:
        simulation = Simulation()
        source = Source(simulation)
        made = server(cache(simulation, source))
        made.refresh()
        simulation.advance(HOUR)
        # A thread that is started runs when the interrupted call is over.
        simulation.hold = True
        if inline:
            made._cache._runtime = simulation.runtime._replace(start_thread=refuse)  # type: ignore[union-attr]
        interrupter = Interrupter(lines)
        finished = False
        try:
            with interrupter:
                if call == "mint":
                    mint(made)
                elif inline:
                    made.refresh()
                else:
                    made._cache.refresh_in_background()
            finished = interrupter.left > 0
        except Signal:
            pass
        while simulation.held:
            simulation.run()
        simulation.hold = False
        simulation.advance(5)  # beyond the pause after a failure, and before a fetch counts as lost
        source.otherwise = good(2)
        before = source.count
        # On another thread: this one would start what it has claimed itself.
        found, threads = outcomes(1, made.refresh)
        ended(threads)
        assert [None] == found
        assert before < source.count, f"line {lines} of the cache leaves a claim"
        assert "key-2" == mint(made)
        if finished:
            break
        lines += 1
    assert lines > 20


def test_thread_that_dies_before_it_runs(moss: FakeMoss, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mint does not wait for the thread to start: for lack of memory it may never do so."""
    with FrozenClock() as clock:
        made = MossVoiceServerSync.create(**moss.arguments)
    monkeypatch.setattr(_thread, "start_new_thread", lambda _work, _arguments: 0)
    clock.advance(HOUR)
    assert made.create_participant_token(ADA, "room")
    assert ("stale", 1) == (made.status().state, moss.count)
    monkeypatch.undo()
    clock.advance(HOUR)
    made.refresh()
    assert ("fresh", 2) == (made.status().state, moss.count)


def test_callback_may_call_back(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """`on_change` may mint, read the status and even refresh, and so may a log handler: nothing is locked meanwhile."""
    caplog.set_level(logging.INFO, "moss_voice_server")
    simulation = Simulation()
    source = Source(simulation)
    results: list[object] = []

    def curious(reported: CredentialsStatus) -> None:
        results.append(reported.state)
        if len(results) == 1:
            results.append(made.status().state)
            results.append(mint(made))
            made.refresh()

    made = server(cache(simulation, source, on_change=curious))
    source.answers.append(good(1))
    source.otherwise = good(2)
    made.refresh()

    assert ["fresh", "fresh", "key-1", "fresh"] == results
    assert "key-2" == mint(made)
    monkeypatch.setattr(caplog.handler, "emit", lambda _record: results.append(made.status().state + mint(made)))
    source.otherwise = good(3)
    made.refresh()
    assert ["freshkey-3", "fresh"] == results[-2:]


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
                    error = caught(cached._raise_if_failed, refresh)
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


_AT_EXIT = """
import asyncio, atexit, json, sys
from datetime import datetime, timezone
from moss_voice_server import MossVoiceServer, MossVoiceServerSync

kind, arguments = json.loads(sys.argv[1])

def at_exit():
    if kind == "MossVoiceServer":
        asyncio.run(used())
    else:
        server.refresh()
        list(server.session_reports(datetime.now(timezone.utc)))
        server.rooms.list()
    print(server.status().state)

async def used():
    await server.refresh()
    [report async for report in server.session_reports(datetime.now(timezone.utc))]
    await server.rooms.list()

atexit.register(at_exit)  # before the first fetch, so it runs after our own handlers
if kind == "MossVoiceServer":
    server = asyncio.run(MossVoiceServer.create(**arguments))
else:
    server = MossVoiceServerSync.create(**arguments)
"""


def test_refresh_at_exit(server_class: ServerClass) -> None:
    """`refresh()`, reports and rooms work in an atexit handler, wherever it was registered."""
    with (
        FakeLiveKit() as livekit,
        FakeMoss(url=livekit.url, api_key=livekit.api_key, api_secret=livekit.api_secret) as moss,
    ):
        arguments = json.dumps([server_class.kind.__name__, moss.arguments])
        command = [sys.executable, "-W", "error", "-c", _AT_EXIT, arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert ("fresh\n", "", 0) == (done.stdout, done.stderr, done.returncode)
        assert [3, 1] == [moss.count, len(livekit.requests)]
