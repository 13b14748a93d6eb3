"""Credentials cache: keeps one value fresh, with one fetch at a time, off the request path, across threads and forks."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, NoReturn

from .. import _clock
from .._secret import Sealed
from ..credentials import CredentialsStatus, RefreshPolicy, seconds
from . import forks
from .refresh import THREAD_EXIT_TIMEOUT, Refresh
from .report import Reporter
from .result import Failure, Result
from .runtime import Runtime, background_threads_run
from .source import Source
from .state import (
    NEVER,
    CacheState,
    Instant,
    Value,
    after,
    after_failure,
    is_served,
    rejittered,
    retry_delay,
    state_at,
    status,
)
from .wording import Wording

_WAIT_MARGIN = 0.5  # seconds that callers wait beyond the budget of the fetch: it ends by its own clock, and says why
RECHECK_INTERVAL = 5.0  # seconds between two refreshes that others start; LiveKit repeats a webhook for at least 7
KEEP_PREVIOUS = 3600.0  # seconds for which a value is of use after it was replaced
_INLINE_BUDGET = 2.5  # seconds that `get` may take for a fetch where background threads do not run
_MIN_RETRY_AFTER = 1.0  # seconds; a refresh may be in progress, and an earlier retry would meet it


class CredentialsCache(Sealed, Generic[Value]):
    """Keeps one value and refreshes it.

    What each caller gets, by state:

    | state    | `get()`                               | background refresh, started by `get()`        |
    | -------- | ------------------------------------- | --------------------------------------------- |
    | fresh    | the value, from `fast_path`           | no                                            |
    | stale    | the value                             | yes, unless `background_backoff` lasts        |
    | expired  | raises the latest failure             | yes, unless `foreground_backoff` lasts        |
    | rejected | raises `Wording.rejected`             | yes, unless `background_backoff` lasts        |
    | empty    | raises the latest failure; before the | yes, unless `foreground_backoff` lasts; never |
    |          | first refresh `Wording.not_loaded`    | before the first refresh                      |

    In every state:

    * `refresh()` joins the refresh that runs, or starts one and waits for it; while `foreground_backoff` lasts it raises the
      latest failure at once. The cached value stays in use, whatever the result is.
    * `peek()` returns the value whatever its age, and is `get()` where there is none.
    * After `close()` nothing starts: `refresh()` raises `Wording.unavailable`, and `get()` does so when the value expires.
    * A refresh that has not finished after the budgets of all its attempts and one more is given up, as failed. If it
      finishes later, its result is dropped.

    There is no resident thread. A refresh runs on a thread that ends with it, or on the caller's where none can be started.

    Args:
        source: fetches the value.
        policy: when values are stale and expired, and how often and how long a fetch may try.
        wording: the nouns and error classes for texts.
        on_change: called with the new status after each change that `events` knows, on the thread that noticed it.
        runtime: clock, random numbers and threads.
    """

    fast_path: tuple[float, float, Value | None]
    """Until when, on the wall clock and on the monotonic one, which value is fresh. A plain tuple: a mint reads it each time."""

    def __init__(
        self,
        source: Source[Value],
        policy: RefreshPolicy,
        wording: Wording,
        on_change: Callable[[CredentialsStatus], object] | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        self.state: CacheState[Value] = CacheState()
        self.source = source
        self._policy = policy
        self._wording = wording
        self._runtime = runtime or Runtime(_clock.current)
        self._is_closed = False
        self._rechecked_at = NEVER
        self._refresh: Refresh | None = None
        self._last_refresh: Refresh | None = None
        self._reporter: Reporter[Value] = Reporter(wording, on_change)
        # Reentrant, because a signal handler runs in the middle of anything, and may create a token.
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._fork_locks: dict[int, threading.RLock] = {}
        forks.registered.add(self)

    @property
    def state(self) -> CacheState[Value]:
        """All that is remembered."""
        return self._state

    @state.setter
    def state(self, state: CacheState[Value]) -> None:
        self._state = state
        self.fast_path = (*state.fresh_until, state.value)

    def get(self) -> Value:
        """The value, if it is fresh or stale. Starts a refresh where one is due, and does not wait for it.

        Raises:
            Exception: one of the error classes of the wording; see the table above.
        """
        self._reset_after_fork()
        now = self._now()
        # In this order: a refresh that finishes in between is seen by its result.
        refresh, state = self._refresh, self.state
        if refresh is None and state.value is None and state.failure is None:
            raise self._wording.nothing_loaded()
        if state_at(state, now) != "fresh":
            self._start_or_join(background=True)
            self._report()
            state, now = self.state, self._now()
        if state.value is not None and is_served(state_at(state, now)):
            return state.value
        if self._is_closed and not state.is_rejected:
            raise self._wording.closed()
        delay = max(_MIN_RETRY_AFTER, retry_delay(state, now, background=True))
        raise self._wording.no_value(state, now).error(delay)

    def peek(self) -> Value:
        """The value, whatever its age."""
        return self.state.value or self.get()

    def recent(self) -> list[Value]:
        """The value, and the one that it replaced in the last hour: what was signed with that may still arrive."""
        state = self.state
        values = [] if state.value is None else [state.value]
        if state.previous is not None and self._now().since(state.replaced_at) < KEEP_PREVIOUS:
            values.append(state.previous)
        return values

    def status(self) -> CredentialsStatus:
        """The state, for operators. Starts nothing."""
        return status(self.state, self._now())

    def close(self) -> None:
        """Starts no refresh from now on."""
        self._is_closed = True

    def refresh_in_background(self) -> None:
        """Starts a refresh, if one is due and none runs, and returns at once."""
        self._reset_after_fork()
        self._start_or_join(background=True)

    def recheck(self) -> None:
        """Starts a refresh although the value may be fresh, because another server rejected it; at most once in 5 seconds."""
        self._reset_after_fork()
        with self._lock:
            now = self._now()
            if now.since(self._rechecked_at) < RECHECK_INTERVAL:
                return
            self._rechecked_at = now
        self._start_or_join(background=True, is_recheck=True)

    @property
    def is_refreshing(self) -> bool:
        """Whether a refresh is in progress."""
        return self._refresh is not None

    def refresh(self) -> None:
        """Refreshes now, or waits for the refresh that runs.

        Raises:
            Exception: this refresh failed, or the last one did a moment ago; `unavailable` after `close()`.
        """
        refresh = self._join()
        refresh.wait(self._wait_limit())
        refresh.wait_for_thread_exit(_clock.elapsed() + THREAD_EXIT_TIMEOUT)
        self._raise_if_failed(refresh)

    async def refresh_async(self) -> None:
        """The same for a coroutine, under asyncio or trio."""
        from .._http.threads import asyncio_is_running, run_in_thread

        if not asyncio_is_running():
            await run_in_thread(self.refresh)
            return
        refresh = self._join()
        await refresh.wait_async(self._wait_limit())
        await refresh.wait_for_thread_exit_async(_clock.elapsed() + THREAD_EXIT_TIMEOUT)
        self._raise_if_failed(refresh)

    def _wait_limit(self) -> float:
        return seconds(self._policy.total_timeout) + _WAIT_MARGIN

    def _join(self) -> Refresh:
        self._reset_after_fork()
        if self._is_closed:
            raise self._wording.closed()
        refresh = self._start_or_join(background=False)
        if refresh is None:
            self._raise(self.state.failure or self._wording.lost())
        return refresh

    def _raise_if_failed(self, refresh: Refresh) -> None:
        if refresh.done.done():
            failure = refresh.done.result()
        elif self._refresh is refresh:
            failure = self._wording.timed_out(self._wait_limit())
        else:  # the result is recorded, and `on_change` takes its time
            failure = self.state.failure
        if failure is not None:
            self._raise(failure)

    def _raise(self, failure: Failure) -> NoReturn:
        # A new exception for each caller: a shared one would collect the frames of all.
        raise failure.error(retry_delay(self.state, self._now(), background=False))

    def _start_or_join(self, *, background: bool, is_recheck: bool = False) -> Refresh | None:
        """The refresh to share, started if none runs; `None` while a backoff lasts, or where none is due."""
        self.source.prepare()
        try:
            refresh = self._claim(background=background, is_recheck=is_recheck)
            # Also one that a signal handler finds claimed and not started, by the very code that it interrupts.
            if refresh is not None and refresh.claimed_by == threading.get_ident() and not refresh.is_started:
                self._start(refresh, background=background)
        except BaseException:
            # A signal handler may raise at any point. Without this, all would wait for a refresh that never starts.
            self._give_up_claim()
            raise
        return refresh

    def _claim(self, *, background: bool, is_recheck: bool = False) -> Refresh | None:
        with self._lock:
            now = self._now()
            if self._refresh is not None:
                if now.since(self._refresh.started) < self._lost_after():
                    self._refresh.is_awaited |= not background
                    return self._refresh
                self.state = after_failure(
                    self.state, self._wording.lost(), self._policy, self._refresh.started, self._runtime.uniform
                )
                self._refresh = None
            if background and (self._is_closed or (not is_recheck and state_at(self.state, now) == "fresh")):
                return None
            if retry_delay(self.state, now, background=background) > 0:
                return None
            refresh = Refresh(now)
            refresh.is_awaited = not background
            self._refresh = refresh
            return refresh

    def _lost_after(self) -> float:
        return seconds(self._policy.total_timeout) + seconds(self._policy.attempt_timeout)

    def _start(self, refresh: Refresh, *, background: bool) -> None:
        attempts, budget = self._policy.attempts, seconds(self._policy.total_timeout)
        inline_budget = budget
        threads_run = not background or background_threads_run()
        if background:
            attempts, budget = 1, seconds(self._policy.attempt_timeout) if threads_run else _INLINE_BUDGET
            inline_budget = min(budget, _INLINE_BUDGET)

        def work() -> None:
            # An interruption is recorded as a failure; the thread's traceback could show anything.
            with suppress(BaseException):
                self._run(refresh, attempts, budget)

        from .._http.forks import is_exiting

        try:
            if is_exiting():
                raise RuntimeError  # a thread that this process no longer waits for
            self._runtime.start_thread(work)
            refresh.is_started = True
        except (RuntimeError, MemoryError):  # no thread can be started: run on this one
            refresh.is_started = True
            self._run(refresh, attempts, inline_budget)
        if not threads_run:
            # The thread would stand still as soon as the request is answered: give it a moment now.
            refresh.wait(_INLINE_BUDGET)

    def _run(self, refresh: Refresh, attempts: int, budget: float) -> None:
        if not refresh.take():
            return
        refresh.thread_ids.append(threading.get_native_id())
        result: Result[Value] = self._wording.interrupted()
        try:
            result = self.source.fetch(attempts, budget, self.state.etag)
        except Exception as error:  # noqa: BLE001  # a custom transport raises anything, with anything in its text
            result = self._wording.crashed(error)
        finally:
            self._finish(refresh, result)

    def _finish(self, refresh: Refresh, result: Result[Value]) -> None:
        self._last_refresh = refresh
        with self._lock:
            # The result of a refresh that was given up must not replace a newer one.
            if self._refresh is refresh:
                self.state = after(self.state, result, self._policy, self._now(), self._runtime.uniform)
                self._refresh = None  # last: who sees no refresh also sees its result
            failure = self.state.failure
        try:
            self._report(is_raised=refresh.is_awaited)
        finally:
            refresh.finish(failure)

    def _give_up_claim(self) -> None:
        """Ends the refresh that this thread claimed, unless it runs on another thread."""
        refresh = self._refresh
        if refresh is None or refresh.claimed_by != threading.get_ident():
            return
        if refresh.take() or refresh.runs_here():
            with self._lock:
                if self._refresh is refresh:
                    self._refresh = None
            refresh.finish(self._wording.interrupted())

    def _report(self, *, is_raised: bool = False) -> None:
        now = self._now()
        with self._lock:
            change = self._reporter.note(self.state, now, is_raised=is_raised)
        self._reporter.emit(change)

    def _reset_after_fork(self) -> None:
        """A fork made outside of Python (uWSGI) runs no hooks: compares process IDs before the lock is used."""
        pid = os.getpid()
        if self._pid != pid:
            # Several threads may notice at once. This lock was created in this very process, by the first of them.
            with self._fork_locks.setdefault(pid, threading.RLock()):
                if self._pid != pid:
                    self.after_fork()

    def before_fork(self, deadline: float) -> None:
        """In the parent: lets the thread of a finished refresh leave the system first."""
        if self._last_refresh is not None:
            self._last_refresh.wait_for_thread_exit(deadline)
            self._last_refresh = None  # the system may reuse that thread's ID

    def after_fork(self) -> None:
        """In the child: the lock may be held and the refresh belongs to the parent; the value stays."""
        self._lock = threading.RLock()
        self._refresh = self._last_refresh = None
        self.state = rejittered(self.state, self._runtime.uniform)
        self._pid = os.getpid()  # last: other threads go on from here

    def _now(self) -> Instant:
        clock = self._runtime.clock
        return Instant(clock.time(), clock.monotonic())
