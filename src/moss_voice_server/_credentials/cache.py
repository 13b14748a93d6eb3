"""Credentials cache: what each caller gets, by the state of the credentials."""

from __future__ import annotations

from typing import NoReturn

from .. import _clock
from ..credentials import CredentialsStatus, seconds
from . import wording
from .model import Credentials
from .refresh import THREAD_EXIT_TIMEOUT, Refresh
from .refresher import Refresher
from .result import Failure
from .state import is_served, retry_delay, state_at, status

_WAIT_MARGIN = 0.5  # seconds that callers wait beyond the budget of the fetch: it ends by its own clock, and says why
RECHECK_INTERVAL = 5.0  # seconds between two refreshes that others start; LiveKit repeats a webhook for at least 7
KEEP_PREVIOUS = 3600.0  # seconds for which credentials are of use after they were replaced
_MIN_RETRY_AFTER = 1.0  # seconds; a refresh may be in progress, and an earlier retry would meet it


class CredentialsCache(Refresher):
    """Keeps a voice agent's credentials fresh, off the request path.

    What each caller gets, by state:

    | state    | `get()`                               | background refresh, started by `get()`        |
    | -------- | ------------------------------------- | --------------------------------------------- |
    | fresh    | the credentials, from `fast_path`     | no                                            |
    | stale    | the credentials                       | yes, unless `background_backoff` lasts        |
    | expired  | raises the latest failure             | yes, unless `foreground_backoff` lasts        |
    | rejected | raises `CredentialsRejected`          | yes, unless `background_backoff` lasts        |
    | empty    | raises the latest failure; before the | yes, unless `foreground_backoff` lasts; never |
    |          | first refresh `CredentialsNotLoaded`  | before the first refresh                      |

    In every state:

    * `refresh()` joins the refresh that runs, or starts one and waits for it; while `foreground_backoff` lasts it raises the
      latest failure at once. The cached credentials stay in use, whatever the result is.
    * `peek()` returns the credentials whatever their age, and is `get()` where there are none.
    * After `close()` nothing starts: `refresh()` raises `CredentialsUnavailable`, and so does `get()` once they expire.
    * A refresh that has not finished after the budgets of all its attempts and one more is given up, as failed. If it
      finishes later, its result is dropped.
    """

    def get(self) -> Credentials:
        """The credentials, if they are fresh or stale. Starts a refresh where one is due, and does not wait for it.

        Raises:
            CredentialsError: see the table above.
        """
        self._reset_after_fork()
        now = self._now()
        # In this order: a refresh that finishes in between is seen by its result.
        refresh, state = self._refresh, self.state
        if refresh is None and state.credentials is None and state.failure is None:
            raise wording.not_loaded(self._owner)
        if state_at(state, now) != "fresh":
            self._start_or_join(background=True)
            self._report()
            state, now = self.state, self._now()
        if state.credentials is not None and is_served(state_at(state, now)):
            return state.credentials
        if self._is_closed and not state.is_rejected:
            raise wording.closed(self._owner)
        delay = max(_MIN_RETRY_AFTER, retry_delay(state, now, background=True))
        raise wording.unusable(state, now).error(delay)

    def peek(self) -> Credentials:
        """The credentials, whatever their age."""
        return self.state.credentials or self.get()

    def recent(self) -> list[Credentials]:
        """The credentials, and those replaced in the last hour: what was signed with them may still arrive."""
        state = self.state
        found = [] if state.credentials is None else [state.credentials]
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
        """Starts a refresh, if one is due and none runs, and returns at once."""
        self._reset_after_fork()
        self._start_or_join(background=True)

    def recheck(self) -> None:
        """Starts a refresh although the credentials may be fresh, because a peer rejected them; at most once in 5 seconds."""
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
            CredentialsError: this refresh failed, the last one did a moment ago, or `close()` was called.
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
            raise wording.closed(self._owner)
        refresh = self._start_or_join(background=False)
        if refresh is None:
            self._raise(self.state.failure or wording.lost())
        return refresh

    def _raise_if_failed(self, refresh: Refresh) -> None:
        if refresh.done.done():
            failure = refresh.done.result()
        elif self._refresh is refresh:
            failure = wording.timed_out(self._wait_limit())
        else:  # the result is recorded, and `on_change` takes its time
            failure = self.state.failure
        if failure is not None:
            self._raise(failure)

    def _raise(self, failure: Failure) -> NoReturn:
        # A new exception for each caller: a shared one would collect the frames of all.
        raise failure.error(retry_delay(self.state, self._now(), background=False))
