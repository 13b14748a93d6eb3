"""Events: what the log says when the cache's state changes, one record for each change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..credentials import State
from .model import Credentials
from .result import Failure
from .state import CacheState, is_served
from .wording import SUSPENDED

DEBUG, INFO, WARNING, ERROR = 10, 20, 30, 40  # as in the logging module, which is not imported for four numbers


@dataclass(frozen=True)
class LoggedState:
    """What the log knows."""

    state: State = "empty"
    credentials: Credentials | None = None
    is_failing: bool = False
    is_rejection: bool = False


class LogEvent(NamedTuple):
    """One log record; `event` is a stable name for programs."""

    level: int
    event: str
    text: str


def snapshot(state: CacheState, name: State) -> LoggedState:
    """What there is to log."""
    is_rejection = state.failure is not None and state.failure.is_rejection
    return LoggedState(name, state.credentials, state.failure is not None, is_rejection)


def log_event(old: LoggedState, new: LoggedState, failure: Failure | None) -> LogEvent | None:
    """The most serious difference between two moments, or `None`."""
    return _problem(old, new, failure) or _progress(old, new)


def _problem(old: LoggedState, new: LoggedState, failure: Failure | None) -> LogEvent | None:
    cause = failure.message if failure else "a refresh is due"
    remedy = f": {failure.remedy}" if failure and failure.remedy else ""
    if new.state == "rejected" and old.state != "rejected":
        text = f"the Moss API rejected the request repeatedly, so {SUSPENDED}: {cause}"
        return LogEvent(ERROR, "rejected", text + remedy)
    if new.state == "expired" and old.state != "expired":
        text = f"the cached LiveKit credentials expired, so {SUSPENDED}: {cause}"
        return LogEvent(ERROR, "expired", text + remedy)
    consequence = "the cached LiveKit credentials are still in use" if is_served(new.state) else SUSPENDED
    if new.is_rejection and not old.is_rejection:
        return LogEvent(ERROR, "refused", f"{cause}; {consequence}{remedy}")
    if new.is_failing and not old.is_failing:
        return LogEvent(WARNING, "outage", f"{cause}; {consequence}{remedy}")
    return None


def _progress(old: LoggedState, new: LoggedState) -> LogEvent | None:
    if new.credentials is None:
        return None
    key = new.credentials.fingerprint
    if old.credentials is None:
        return LogEvent(INFO, "fetched", f"LiveKit credentials fetched, key {key}")
    if new.credentials is not old.credentials and not new.credentials.same_as(old.credentials):
        return LogEvent(INFO, "rotated", f"LiveKit credentials rotated, key {old.credentials.fingerprint} to {key}")
    is_back = old.is_failing or old.state in ("expired", "rejected")
    if is_served(new.state) and not new.is_failing and is_back:
        return LogEvent(INFO, "recovered", f"the Moss API responds again, LiveKit credentials confirmed, key {key}")
    if old.state != new.state:
        return LogEvent(DEBUG, new.state, f"LiveKit credentials are {new.state}, key {key}")
    return None
