"""Credentials cache: what each caller gets, by the state of what is cached."""

from __future__ import annotations

from typing import NoReturn

from .. import _clock
from .._http.model import Failure
from ..credentials import CredentialsStatus, seconds
from .refresh import THREAD_EXIT_TIMEOUT, Refresh
from .refresher import Refresher
from .source import Value
from .state import is_served, retry_delay, state_at, status

_WAIT_MARGIN = 0.5  # seconds that callers wait beyond the budget of the fetch: it ends by its own clock, and says why
RECHECK_INTERVAL = 5.0  # seconds between two refreshes that others start; LiveKit repeats a webhook for at least 7
KEEP_PREVIOUS = 3600.0  # seconds for which a value is of use after it was replaced
_MIN_RETRY_AFTER = 1.0  # seconds; a refresh may be in progress, and an earlier retry would meet it


class CredentialsCache(Refresher[Value]):
    """Keeps what a source fetches fresh, off the request path: a voice agent's credentials, or any other `Cacheable` value.

    What each caller gets, by state:

    | state    | `get()`                               | background refresh, started by `get()`        |
    | -------- | ------------------------------------- | --------------------------------------------- |
    | fresh    | the value, from `fast_path`           | no                                            |
    | stale    | the value                             | yes, unless `background_backoff` lasts        |
    | expired  | raises the latest failure             | yes, unless `foreground_backoff` lasts        |
    | rejected | raises `texts.rejected`               | yes, unless `background_backoff` lasts        |
    | empty    | raises the latest failure; before the | yes, unless `foreground_backoff` lasts; never |
    |          | first refresh `texts.not_loaded`      | before the first refresh                      |

    In every state:

    * `refresh()` joins the refresh that runs, or starts one and waits for it; while `foreground_backoff` lasts it raises the
      latest failure at once. The cached value stays in use, whatever the result is.
    * `peek()` returns the value whatever its age, and is `get()` where there are none.
    * After `close()` nothing starts: `refresh()` raises `texts.unavailable`, and so does `get()` once the value expires.
    * A refresh that has not finished after the budgets of all its attempts and one more is given up, as failed. If it
      finishes later, its result is dropped.
    """

    def get(self) -> Value:
        """The value, if it is fresh or stale. Starts a refresh where one is due, and does not wait for it.

        Except where threads do not run between requests: there it waits up to 2.5 seconds.

        Raises:
            MossVoiceError: see the table above.
        """
        self._reset_after_fork()
        now = self._now()
        # In this order: a refresh that finishes in between is seen by its result.
        refresh, state = self._refresh, self.state
        if refresh is None and state.value is None and state.failure is None:
            raise self._texts.before_first_refresh(self._owner).error()
        if state_at(state, now) != "fresh":
            self._start_or_join(background=True)
            self._report()
            state, now = self.state, self._now()
        if state.value is not None and is_served(state_at(state, now)):
            return state.value
        if self._is_closed and not state.is_rejected:
            raise self._texts.closed(self._owner).error()
        delay = max(_MIN_RETRY_AFTER, retry_delay(state, now, background=True))
        raise self._texts.unusable(state, now).error(delay)

    def peek(self) -> Value:
        """The value, whatever its age."""
        value = self.state.value
        return self.get() if value is None else value

    def recent(self) -> list[Value]:
        """The value, and one replaced in the last hour: what was signed with it may still arrive."""
        state = self.state
        found = [] if state.value is None else [state.value]
        if state.previous is not None and self._now().since(state.replaced_at) < KEEP_PREVIOUS:
            found.append(state.previous)
        return found

    def status(self) -> CredentialsStatus:
        """The state, for operators. Starts nothing."""
        return status(self.state, self._now())

    def close(self) -> None:
        """Starts no refresh from now on."""
        self._is_closed = True

    def refresh_in_background(self) -> None:
        """Starts a refresh, if one is due and none runs; waits for it only where `get` does."""
        self._reset_after_fork()
        self._start_or_join(background=True)

    def recheck(self) -> None:
        """Starts a refresh although the value may be fresh, because a peer rejected it; at most once in 5 seconds."""
        self._reset_after_fork()
        with self._lock:
            now = self._now()
            if now.since(self._rechecked_at) < RECHECK_INTERVAL:
                return
            self._rechecked_at = now
        self._start_or_join(background=True, is_recheck=True)

    def refresh(self) -> None:
        """Refreshes now, or waits for the refresh that runs.

        Raises:
            MossVoiceError: this refresh failed, the last one did a moment ago, or `close()` was called.
        """
        refresh = self._join()
        refresh.wait(self._wait_limit())
        refresh.wait_for_thread_exit(_clock.elapsed() + THREAD_EXIT_TIMEOUT)
        self._raise_if_failed(refresh)

    async def refresh_async(self) -> None:
        """The same for a coroutine, under asyncio or trio."""
        from .._http.threads import asyncio_is_running, run_in_thread, wait_on_loop

        if not asyncio_is_running():
            await run_in_thread(self.refresh)
            return
        refresh = self._join()
        await wait_on_loop(refresh.done, self._wait_limit())
        await refresh.wait_for_thread_exit_async(_clock.elapsed() + THREAD_EXIT_TIMEOUT)
        self._raise_if_failed(refresh)

    def _wait_limit(self) -> float:
        return seconds(self._policy.total_timeout) + _WAIT_MARGIN

    def _join(self) -> Refresh:
        self._reset_after_fork()
        if self._is_closed:
            raise self._texts.closed(self._owner).error()
        refresh = self._start_or_join(background=False)
        if refresh is None:
            self._raise(self.state.failure or self._texts.lost())
        return refresh

    def _raise_if_failed(self, refresh: Refresh) -> None:
        if refresh.done.done():
            failure = refresh.done.result()
        elif self._refresh is refresh:
            failure = self._texts.timed_out(self._wait_limit())
        else:  # the result is recorded, and `on_change` takes its time
            failure = self.state.failure
        if failure is not None:
            self._raise(failure)

    def _raise(self, failure: Failure) -> NoReturn:
        # A new exception for each caller: a shared one would collect the frames of all.
        raise failure.error(retry_delay(self.state, self._now(), background=False))
