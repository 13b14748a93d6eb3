"""Wording: the texts and error classes with which a cache speaks about what it keeps."""

from __future__ import annotations

from typing import NamedTuple

from .._duration import format_duration
from .result import ErrorType, Failure
from .state import CacheState, Instant, Value, state_at


class Wording(NamedTuple):
    """The nouns and error classes of one kind of value. Every text of a cache is built here or in `events`."""

    owner: str
    """The class that users see: "MossVoiceServer"."""
    value: str
    """What is cached, in the plural: "LiveKit credentials"."""
    source: str
    """Who is asked for it: "the Moss API"."""
    suspended: str
    """What follows from having no value: "token creation is suspended"."""
    not_loaded: ErrorType
    not_loaded_remedy: str
    unavailable: ErrorType
    rejected: ErrorType

    def nothing_loaded(self) -> Exception:
        """Before the first refresh."""
        message = f"{self.owner} has not fetched its {self.value} yet"
        return self.not_loaded(message, remedy=self.not_loaded_remedy, retry_after=None)

    def closed(self) -> Exception:
        """After `close()`."""
        return self.unavailable(f"this {self.owner} is closed", remedy="create a new one", retry_after=None)

    def interrupted(self) -> Failure:
        """An exception ended the refresh from outside."""
        return Failure(self.unavailable, f"the refresh of the {self.value} was interrupted")

    def crashed(self, error: Exception) -> Failure:
        """The source raised an exception of a kind that is not its own; its text may contain anything."""
        remedy = "correct the custom transport, if one is used"
        return Failure(self.unavailable, f"the request to {self.source} raised {type(error).__name__}", remedy)

    def lost(self) -> Failure:
        """The thread of the previous refresh was lost, frozen, or hangs where no timeout reaches."""
        return Failure(self.unavailable, f"the previous refresh of the {self.value} did not finish in time")

    def timed_out(self, after: float) -> Failure:
        """No timeout of the attempts took effect, so the system's resolver hangs, or several IP addresses do not respond."""
        message = f"the refresh of the {self.value} timed out after {format_duration(after)}"
        return Failure(self.unavailable, message, "check the machine's DNS and firewall")

    def no_value(self, state: CacheState[Value], now: Instant) -> Failure:
        """Why there is no value to use in this state: expired, rejected or empty."""
        failure = state.failure
        cause, remedy = (
            (failure.message, failure.remedy) if failure else ("a refresh is in progress", "retry in 1 second")
        )
        if state_at(state, now) == "rejected":
            # The latest failure may be of another kind, whose text alone would promise that it passes.
            return Failure(
                self.rejected, f"{self.source} rejected the request repeatedly, so {self.suspended}: {cause}", remedy
            )
        error_type = failure.error_type if failure else self.unavailable
        if state.value is None:
            return Failure(error_type, f"no {self.value} yet: {cause}", remedy)
        age = format_duration(state.expire_after)
        return Failure(error_type, f"the cached {self.value} expired (older than {age}): {cause}", remedy)
