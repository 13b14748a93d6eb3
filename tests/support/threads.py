"""Threads of refreshes: waits until all have ended, or lets none start."""

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
