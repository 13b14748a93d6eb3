"""Events: what the log says when the cache's state changes, one record for each change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, NamedTuple

from ..credentials import State
from .result import Failure
from .state import CacheState, Value, is_served
from .wording import Wording

DEBUG, INFO, WARNING, ERROR = 10, 20, 30, 40  # as in the logging module, which is not imported for four numbers


@dataclass(frozen=True)
class LoggedState(Generic[Value]):
    """What the log knows."""

    state: State = "empty"
    value: Value | None = None
    is_failing: bool = False
    is_rejection: bool = False


class LogEvent(NamedTuple):
    """One log record; `event` is a stable name for programs."""

    level: int
    event: str
    text: str


def snapshot(state: CacheState[Value], name: State) -> LoggedState[Value]:
    """What there is to log."""
    is_rejection = state.failure is not None and state.failure.is_rejection
    return LoggedState(name, state.value, state.failure is not None, is_rejection)


def log_event(
    old: LoggedState[Value], new: LoggedState[Value], failure: Failure | None, wording: Wording
) -> LogEvent | None:
    """The most serious difference between two moments, or `None`."""
    return _problem(old, new, failure, wording) or _progress(old, new, wording)


def _problem(
    old: LoggedState[Value], new: LoggedState[Value], failure: Failure | None, wording: Wording
) -> LogEvent | None:
    cause = failure.message if failure else "a refresh is due"
    remedy = f": {failure.remedy}" if failure and failure.remedy else ""
    if new.state == "rejected" and old.state != "rejected":
        text = f"{wording.source} rejected the request repeatedly, so {wording.suspended}: {cause}"
        return LogEvent(ERROR, "rejected", text + remedy)
    if new.state == "expired" and old.state != "expired":
        text = f"the cached {wording.value} expired, so {wording.suspended}: {cause}"
        return LogEvent(ERROR, "expired", text + remedy)
    consequence = f"the cached {wording.value} are still in use" if is_served(new.state) else wording.suspended
    if new.is_rejection and not old.is_rejection:
        return LogEvent(ERROR, "refused", f"{cause}; {consequence}{remedy}")
    if new.is_failing and not old.is_failing:
        return LogEvent(WARNING, "outage", f"{cause}; {consequence}{remedy}")
    return None


def _progress(old: LoggedState[Value], new: LoggedState[Value], wording: Wording) -> LogEvent | None:
    if new.value is None:
        return None
    key = new.value.fingerprint
    if old.value is None:
        return LogEvent(INFO, "fetched", f"{wording.value} fetched, key {key}")
    if new.value is not old.value and not new.value.same_as(old.value):
        return LogEvent(INFO, "rotated", f"{wording.value} rotated, key {old.value.fingerprint} to {key}")
    is_back = old.is_failing or old.state in ("expired", "rejected")
    if is_served(new.state) and not new.is_failing and is_back:
        return LogEvent(INFO, "recovered", f"{wording.source} responds again, {wording.value} confirmed, key {key}")
    if old.state != new.state:
        return LogEvent(DEBUG, new.state, f"{wording.value} are {new.state}, key {key}")
    return None
