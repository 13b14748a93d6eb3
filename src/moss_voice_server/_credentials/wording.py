"""Wording: the errors of a cache, and what they call its value and its source."""

from __future__ import annotations

from typing import Any, NamedTuple

from .._duration import format_duration
from .._http.model import Failure
from ..errors import MossVoiceError
from .state import CacheState, Instant, state_at


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
