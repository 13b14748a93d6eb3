"""Wording: the errors and the log records of a cache, and what they call its value and its source."""

from __future__ import annotations

from typing import Any, NamedTuple

from .._duration import format_duration
from .._http.model import Failure
from ..credentials import State
from ..errors import MossVoiceError
from .source import Cacheable
from .state import CacheState, Instant, is_served, state_at

DEBUG, INFO, WARNING, ERROR = 10, 20, 30, 40  # as in the logging module, which is not imported for four numbers


class Texts(NamedTuple):
    """The nouns and the error classes of one kind of value."""

    value: str
    """A plural, such as `LiveKit credentials`."""
    peer: str
    """Where it comes from, such as `the Moss API`."""
    suspended: str
    """What happens without it, such as `token creation is suspended`."""
    unavailable: type[MossVoiceError]
    rejected: type[MossVoiceError]
    not_loaded: type[MossVoiceError]
    first_steps: str
    """What to do before the first use; `{owner}` is the class that users see."""

    def before_first_refresh(self, owner: str) -> Failure:
        """Nothing was fetched yet; `owner` is the class that users see."""
        remedy = self.first_steps.format(owner=owner)
        return Failure(self.not_loaded, f"{owner} has not fetched its {self.value} yet", remedy)

    def closed(self, owner: str) -> Failure:
        """After `close()`."""
        return Failure(self.unavailable, f"this {owner} is closed", "create a new one")

    def interrupted(self) -> Failure:
        """An exception ended the refresh from outside."""
        return Failure(self.unavailable, f"the refresh of the {self.value} was interrupted")

    def crashed(self, error: Exception) -> Failure:
        """The transport raised an exception of a kind that is not its own; its text may contain anything."""
        remedy = "correct the custom transport, if one is used"
        return Failure(self.unavailable, f"the request to {self.peer} raised {type(error).__name__}", remedy)

    def lost(self) -> Failure:
        """The thread of the previous refresh was lost, frozen, or hangs where no timeout reaches."""
        return Failure(self.unavailable, f"the previous refresh of the {self.value} did not finish in time")

    def timed_out(self, after: float) -> Failure:
        """No timeout of the attempts took effect, so the system's resolver hangs, or several IP addresses do not respond."""
        message = f"the refresh of the {self.value} timed out after {format_duration(after)}"
        return Failure(self.unavailable, message, "check the machine's DNS and firewall")

    def rejected_repeatedly(self, cause: str) -> str:
        """The latest failure may be of another kind, whose text alone would promise that it passes."""
        return f"{self.peer} rejected the request repeatedly, so {self.suspended}: {cause}"

    def unusable(self, state: CacheState[Any], now: Instant) -> Failure:
        """Why there is no value to use in this state: expired, rejected or empty."""
        latest = state.failure or Failure(self.unavailable, "a refresh is in progress", "retry in 1 second")
        if state_at(state, now) == "rejected":
            return Failure(self.rejected, self.rejected_repeatedly(latest.message), latest.remedy)
        if state.value is None:
            return latest._replace(message=f"no {self.value} yet: {latest.message}")
        age = format_duration(state.expire_after)
        return latest._replace(message=f"the cached {self.value} expired (older than {age}): {latest.message}")


class Reported(NamedTuple):
    """What a receiver knows."""

    state: State = "empty"
    value: Cacheable | None = None
    failure: Failure | None = None

    @property
    def is_rejection(self) -> bool:
        """Whether the latest request was rejected."""
        return self.failure is not None and self.failure.is_rejection


class LogEvent(NamedTuple):
    """One log record; `event` is a stable name for programs."""

    level: int
    event: str
    text: str


class Reporter:
    """Remembers what the log and `on_change` know."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self._logged = self._notified = Reported()

    def note(self, state: CacheState[Any], now: Instant, *, is_raised: bool) -> tuple[LogEvent | None, bool]:
        """What to log, and whether to call `on_change`; the caller holds the cache's lock.

        A failure that callers get as an exception (`is_raised`) is not logged as well.
        """
        new = Reported(state_at(state, now), state.value, state.failure)
        is_news = log_event(self._notified, new, self._texts) is not None
        self._notified = new
        if is_raised and new.failure:
            return None, is_news
        entry = log_event(self._logged, new, self._texts)
        self._logged = new
        return entry, is_news


def log_event(old: Reported, new: Reported, texts: Texts) -> LogEvent | None:
    """The most serious difference between two moments, or `None`."""
    cause = new.failure.message if new.failure else "a refresh is due"
    remedy = f": {new.failure.remedy}" if new.failure and new.failure.remedy else ""
    if new.state == "rejected" and old.state != "rejected":
        return LogEvent(ERROR, "rejected", texts.rejected_repeatedly(cause) + remedy)
    if new.state == "expired" and old.state != "expired":
        return LogEvent(ERROR, "expired", f"the cached {texts.value} expired, so {texts.suspended}: {cause}{remedy}")
    consequence = f"the cached {texts.value} are still in use" if is_served(new.state) else texts.suspended
    if new.is_rejection and not old.is_rejection:
        return LogEvent(ERROR, "rejection", f"{cause}; {consequence}{remedy}")
    if new.failure and not old.failure:
        return LogEvent(WARNING, "outage", f"{cause}; {consequence}{remedy}")
    if new.value is None:
        return None
    key = new.value.fingerprint
    if old.value is None:
        return LogEvent(INFO, "fetched", f"{texts.value} fetched, key {key}")
    if new.value is not old.value and not new.value.same_as(old.value):
        return LogEvent(INFO, "rotated", f"{texts.value} rotated, key {old.value.fingerprint} to {key}")
    is_back = old.failure or old.state in ("expired", "rejected")
    if is_served(new.state) and not new.failure and is_back:
        return LogEvent(INFO, "recovered", f"{texts.peer} responds again, {texts.value} confirmed, key {key}")
    if old.state != new.state:
        return LogEvent(DEBUG, new.state, f"{texts.value} are {new.state}, key {key}")
    return None
