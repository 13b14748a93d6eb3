"""Wording: what the cache's errors say, and their classes. The log's texts are in `events`."""

from __future__ import annotations

from .._duration import format_duration
from ..errors import CredentialsNotLoaded, CredentialsRejected, CredentialsUnavailable
from .result import Failure
from .state import CacheState, Instant, state_at

SUSPENDED = "token creation is suspended"


def not_loaded(owner: str) -> CredentialsNotLoaded:
    """Before the first refresh; `owner` is the class that users see."""
    return CredentialsNotLoaded(
        f"{owner} has not fetched its LiveKit credentials yet",
        remedy=f"create it with {owner}.create() or {owner}.from_env(), or call refresh() first",
    )


def closed(owner: str) -> CredentialsUnavailable:
    """After `close()`."""
    return CredentialsUnavailable(f"this {owner} is closed", remedy="create a new one")


def interrupted() -> Failure:
    """An exception ended the refresh from outside."""
    return Failure(CredentialsUnavailable, "the refresh of the LiveKit credentials was interrupted")


def crashed(error: Exception) -> Failure:
    """The transport raised an exception of a kind that is not its own; its text may contain anything."""
    remedy = "correct the custom transport, if one is used"
    return Failure(CredentialsUnavailable, f"the request to the Moss API raised {type(error).__name__}", remedy)


def lost() -> Failure:
    """The thread of the previous refresh was lost, frozen, or hangs where no timeout reaches."""
    return Failure(CredentialsUnavailable, "the previous refresh of the LiveKit credentials did not finish in time")


def timed_out(after: float) -> Failure:
    """No timeout of the attempts took effect, so the system's resolver hangs, or several IP addresses do not respond."""
    message = f"the refresh of the LiveKit credentials timed out after {format_duration(after)}"
    return Failure(CredentialsUnavailable, message, "check the machine's DNS and firewall")


def unusable(state: CacheState, now: Instant) -> Failure:
    """Why there are no credentials to use in this state: expired, rejected or empty."""
    latest = state.failure or Failure(CredentialsUnavailable, "a refresh is in progress", "retry in 1 second")
    cause, remedy = latest.message, latest.remedy
    if state_at(state, now) == "rejected":
        # The latest failure may be of another kind, whose text alone would promise that it passes.
        message = f"the Moss API rejected the request repeatedly, so {SUSPENDED}: {cause}"
        return Failure(CredentialsRejected, message, remedy)
    if state.credentials is None:
        return Failure(latest.error_type, f"no LiveKit credentials yet: {cause}", remedy)
    age = format_duration(state.expire_after)
    return Failure(latest.error_type, f"the cached LiveKit credentials expired (older than {age}): {cause}", remedy)
