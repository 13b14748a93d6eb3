"""Refresher: runs one refresh at a time on another thread, and records its result; across threads, signals and forks."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Generic

from .._secret import Sealed
from ..credentials import CredentialsStatus, seconds
from . import forks
from .refresh import Refresh
from .runtime import background_threads_run
from .source import Result, Source, Value
from .state import NEVER, CacheState, Instant, after, after_failure, rejittered, retry_delay, state_at, status
from .wording import Reporter

_INLINE_BUDGET = 2.5  # seconds that a mint may take for a fetch where background threads do not run


class Refresher(Sealed, Generic[Value]):
    """Holds the state of the value, and replaces it after each refresh.

    There is no resident thread. A refresh runs on a thread that ends with it, or on the caller's where none can be started.

    Args:
        source: fetches the value; it also has the policy, the texts and the runtime.
        owner: the class that users see, for texts.
        on_change: called with the new status after each change that `wording` knows, on the thread that noticed it.
    """

    fast_path: tuple[float, float, Value | None]
    """Until when, on the wall and the monotonic clock, which value is fresh. A plain tuple, read by each mint."""

    def __init__(
        self,
        source: Source[Value],
        owner: str,
        on_change: Callable[[CredentialsStatus], object] | None = None,
    ) -> None:
        self.state = CacheState[Value]()
        self.source = source
        self._policy, self._runtime, self._texts = source.policy, source.runtime, source.texts
        self._owner = owner
        self._on_change = on_change
        self._is_closed = False
        self._rechecked_at = NEVER
        self._refresh: Refresh | None = None
        self._last_refresh: Refresh | None = None
        self._reporter = Reporter(source.texts)
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

    @property
    def is_refreshing(self) -> bool:
        """Whether a refresh is in progress."""
        return self._refresh is not None

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
                lost_after = seconds(self._policy.total_timeout) + seconds(self._policy.attempt_timeout)
                if now.since(self._refresh.started) < lost_after:
                    self._refresh.is_awaited |= not background
                    return self._refresh
                lost, started = self._texts.lost(), self._refresh.started
                self.state = after_failure(self.state, lost, self._policy, started, self._runtime.uniform)
                self._refresh = None
            if background and (self._is_closed or (not is_recheck and state_at(self.state, now) == "fresh")):
                return None
            if retry_delay(self.state, now, background=background) > 0:
                return None
            refresh = Refresh(now)
            refresh.is_awaited = not background
            self._refresh = refresh
            return refresh

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
        refresh.thread_ids.append(threading.get_native_id())  # first: after `take`, an interruption is found by it
        if not refresh.take():
            return
        result: Result[Value] = self._texts.interrupted()
        try:
            result = self.source.fetch(attempts, budget, self.state.etag)
        except Exception as error:  # noqa: BLE001  # a custom transport raises anything, with anything in its text
            result = self._texts.crashed(error)
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
            refresh.finish(self._texts.interrupted())

    def _report(self, *, is_raised: bool = False) -> None:
        """Logs what has changed, and calls `on_change`; the caller holds no lock."""
        now = self._now()
        with self._lock:
            entry, is_news = self._reporter.note(self.state, now, is_raised=is_raised)
            shown = status(self.state, now)
        if entry is None and not is_news:
            return
        import logging  # late: a token of static credentials does not need it

        logger = logging.getLogger("moss_voice_server")
        if entry is not None:
            extra = {"moss_event": entry.event, "moss_state": shown.state, "moss_key": shown.fingerprint}
            logger.log(entry.level, "%s", entry.text, extra=extra)
        if is_news and self._on_change is not None:
            try:
                self._on_change(shown)
            except Exception as error:  # noqa: BLE001  # the application's code must not stop a refresh
                logger.error("on_change raised %s: correct the callback", type(error).__name__)

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
