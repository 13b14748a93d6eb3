"""Report: tells the log and `on_change` about changes of a cache, each change once."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..credentials import CredentialsStatus
from .events import LogEvent, LoggedState, log_event, snapshot
from .state import CacheState, Instant, state_at, status


class Change(NamedTuple):
    """What is new."""

    status: CredentialsStatus
    entry: LogEvent | None
    """What to log, if anything."""
    is_news: bool
    """Whether `on_change` is called."""


class Reporter:
    """Remembers what was logged and what `on_change` was called with."""

    def __init__(self, on_change: Callable[[CredentialsStatus], object] | None) -> None:
        self._on_change = on_change
        self._logged: LoggedState = LoggedState()
        self._notified: LoggedState = LoggedState()

    def note(self, state: CacheState, now: Instant, *, is_raised: bool) -> Change:
        """What has changed since the last call; the caller holds the cache's lock.

        A failure that callers get as an exception (`is_raised`) is not logged as well.
        """
        new = snapshot(state, state_at(state, now))
        is_news = log_event(self._notified, new, state.failure) is not None
        self._notified = new
        entry = None
        if not (is_raised and new.is_failing):
            entry = log_event(self._logged, new, state.failure)
            self._logged = new
        return Change(status(state, now), entry, is_news)

    def emit(self, change: Change) -> None:
        """Logs and calls `on_change`; the caller holds no lock."""
        if change.entry is None and not change.is_news:
            return
        import logging  # late: a token of static credentials does not need it

        logger = logging.getLogger("moss_voice_server")
        if change.entry is not None:
            shown = change.status
            extra = {"moss_event": change.entry.event, "moss_state": shown.state, "moss_key": shown.fingerprint}
            logger.log(change.entry.level, "%s", change.entry.text, extra=extra)
        if change.is_news and self._on_change is not None:
            try:
                self._on_change(change.status)
            except Exception as error:  # noqa: BLE001  # the application's code must not stop a refresh
                logger.error("on_change raised %s: correct the callback", type(error).__name__)
