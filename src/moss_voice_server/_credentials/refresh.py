"""Refresh: one fetch that all callers share, and how they wait for it."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

from .. import _clock

if TYPE_CHECKING:
    from concurrent.futures import Future

    from .._http.model import Failure
    from .state import Instant

THREAD_EXIT_TIMEOUT = 0.2  # seconds that callers, and a fork, allow a finished thread to leave the system
POLL_INTERVAL = 0.0005  # seconds between two checks whether it has: there is no event for it


class Refresh:
    """One refresh, shared by all callers that wait for it (single flight)."""

    def __init__(self, started: Instant) -> None:
        from concurrent.futures import (
            Future,  # late: a server that is only constructed needs no logging, which it imports
        )

        self.started = started
        self.done: Future[Failure | None] = Future()
        """Finished when the result is recorded; holds the failure, if it was one."""
        self.thread_ids: list[int] = []
        """The system's ID of the thread that fetches, once it runs."""
        self.is_awaited = False
        """Whether a caller waits for it, who gets the failure as an exception."""
        self.claimed_by = threading.get_ident()
        self.is_started = False
        self._tickets = [True]

    def take(self) -> bool:
        """Whether the caller may run this refresh, or give it up: true exactly once."""
        try:
            return self._tickets.pop()  # atomic, also for a signal handler
        except IndexError:
            return False

    def finish(self, failure: Failure | None) -> None:
        """Wakes all callers that wait."""
        if not self.done.done():
            self.done.set_result(failure)

    def runs_here(self) -> bool:
        """Whether the calling thread is the one that fetches."""
        return threading.get_native_id() in self.thread_ids

    def wait(self, timeout: float) -> None:
        """Waits on this thread; raises nothing, whatever the result."""
        from concurrent.futures import wait

        wait([self.done], timeout)

    def wait_for_thread_exit(self, deadline: float) -> None:
        """Waits until the thread has left the system, at most until `deadline` on the `elapsed` clock; see `_is_exiting`."""
        while self._is_exiting() and _clock.elapsed() < deadline:
            time.sleep(POLL_INTERVAL)

    async def wait_for_thread_exit_async(self, deadline: float) -> None:
        """The same on asyncio's event loop."""
        import asyncio

        while self._is_exiting() and _clock.elapsed() < deadline:  # noqa: ASYNC110  # there is no event to wait for
            await asyncio.sleep(0)  # not longer: where a test freezes the time, a pause on the loop never ends

    def _is_exiting(self) -> bool:
        """Whether the thread of a finished refresh is still known to the system, where /proc tells.

        A thread that exits holds a lock of OpenSSL's for a moment, and possibly the interpreter's. A child forked in that
        moment would wait for that lock without end, and application servers fork right after loading the application.
        `Thread.join` returns too early: before Python 3.13 it only covers Python's own part of the exit.
        """
        if not self.done.done():
            return False
        others = [thread for thread in self.thread_ids if thread != threading.get_native_id()]
        return any(os.path.exists(f"/proc/self/task/{thread}") for thread in others)
