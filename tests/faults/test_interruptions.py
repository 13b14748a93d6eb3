"""Exceptions from outside, threads that never run and the end of the process: the claim of a refresh always ends."""

from __future__ import annotations

import _thread
import json
import subprocess
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from moss_voice_server import MossVoiceServerSync
from moss_voice_server._credentials import cache as cache_module
from moss_voice_server._credentials import refresh as refresh_module
from moss_voice_server._credentials import refresher as refresher_module
from moss_voice_server.testing import FakeLiveKit, FakeMoss, FrozenClock
from tests.support.errors import caught
from tests.support.secret_scan import spilled
from tests.support.servers import ServerClass
from tests.support.simulation import ADA, Simulation, Source, cache, good, mint, server

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
        if event == "line":
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
        simulation.advance(60)
        source.otherwise = good(2)
        before = source.count
        made.refresh()
        assert before < source.count, f"line {lines} of the cache leaves a claim"
        assert "key-2" == mint(made)
        if finished:
            break
        lines += 1
    assert lines > 20


def test_signal_between_claim_and_start() -> None:
    """A handler that raises in `start_thread` ends the claim: others do not wait for it."""
    simulation = Simulation()
    cached = cache(simulation, Source(simulation))

    def interrupted(_work: Callable[[], None]) -> None:
        raise Signal

    cached._runtime = simulation.runtime._replace(start_thread=interrupted)
    with pytest.raises(Signal):
        cached.refresh()
    cached._runtime = simulation.runtime
    cached.refresh()
    assert "fresh" == cached.status().state


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


KEY = "sk-hunter2-sk-hunter2"


def test_swapped_arguments_are_in_no_frame(server_class: ServerClass, moss: FakeMoss) -> None:
    """ID and key in the wrong order: the rejection shows neither, in no variable."""
    moss.set_default(401)
    api_url = moss.arguments["api_url"]
    for arguments in ((KEY, "project", "agent"), ("project", "agent", KEY), (KEY, KEY, KEY)):
        error = caught(lambda arguments=arguments: server_class.create(*arguments, api_url))  # type: ignore[misc]
        assert [] == [place for place in spilled(error, [KEY]) if "get-voice-agent?voice_agent_id=" not in place]


def test_static_arguments_are_in_no_frame(server_class: ServerClass) -> None:
    """A password in the LiveKit URL, and values in the wrong place, are refused without a trace of them."""
    good = ["wss://host.example", "key", "secret", ""]
    wrong = [[*good[:place], f" {KEY}", *good[place + 1 :]] for place in range(4)]
    for arguments in [[f"wss://user:{KEY}@host.example", *good[1:]], [KEY, "wss://host.example", *good[2:]], *wrong]:
        error = caught(lambda arguments=arguments: server_class.kind.from_livekit(*arguments))  # type: ignore[misc]
        assert [] == spilled(error, [KEY])
