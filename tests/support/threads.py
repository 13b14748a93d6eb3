"""Threads of refreshes, which end or are refused, and of callers that do the same at the same moment."""

from __future__ import annotations

import _thread
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from moss_voice_server._credentials import forks
from moss_voice_server._credentials.cache import CredentialsCache
from moss_voice_server._credentials.runtime import Runtime
from moss_voice_server.errors import CredentialsUnavailable


def settled(timeout: float = 30) -> None:
    """Waits until no refresh runs and no thread of one is left, with a bound."""
    deadline = time.monotonic() + timeout
    while running := [each for each in list(forks.registered) if isinstance(each, CredentialsCache) and _is_busy(each)]:
        assert time.monotonic() < deadline, running
        time.sleep(0.005)


def _is_busy(cache: CredentialsCache[Any]) -> bool:
    if cache._runtime.start_thread is not Runtime().start_thread:
        return False  # the test runs its threads itself
    refreshes = [each for each in (cache._refresh, cache._last_refresh) if each is not None]
    others = {thread for each in refreshes for thread in each.thread_ids} - {threading.get_native_id()}
    return cache._refresh is not None or any(os.path.exists(f"/proc/self/task/{thread}") for thread in others)


def refuse_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """No refresh gets a thread from the system; others still do."""
    start = _thread.start_new_thread

    def refuse(work: Callable[..., object], *arguments: Any) -> int:
        if work.__module__.startswith("moss_voice_server._credentials"):
            raise RuntimeError("can't start new thread")
        return start(work, *arguments)

    monkeypatch.setattr(_thread, "start_new_thread", refuse)


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


class Clock:
    """A clock that can be moved, and that knows which callers have read it: they share the fetch that runs."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self._readers: set[int] = set()
        self._changed = threading.Condition()

    def time(self) -> float:
        """Seconds since 1970; it cannot be moved."""
        return time.time()

    def monotonic(self) -> float:
        """The clock that can be moved."""
        with self._changed:
            # Not the thread that fetches.
            if threading.current_thread().name == "caller":
                self._readers.add(threading.get_ident())
                self._changed.notify_all()
        return time.monotonic() + self.ahead

    def wait_for(self, callers: int) -> None:
        """Until so many callers have read it."""
        with self._changed:
            assert self._changed.wait_for(lambda: callers == len(self._readers), timeout=30), self._readers


def outcomes(number: int, call: Callable[[], object]) -> tuple[list[Any], list[threading.Thread]]:
    """So many callers do this at the same moment; once they have ended, the list has the result or exception of each."""
    found: list[Any] = []

    def work() -> None:
        try:
            found.append(call())
        except CredentialsUnavailable as error:
            found.append(error)

    return found, together(number, work)
