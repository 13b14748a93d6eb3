"""States of a cache, made by the pure rules: what happened, and when."""

from __future__ import annotations

from collections.abc import Callable

from moss_voice_server._credentials.fetch import parse
from moss_voice_server._credentials.model import Credentials
from moss_voice_server._credentials.source import Fetched, Result
from moss_voice_server._credentials.state import CacheState, Instant, after
from moss_voice_server._http.model import Failure
from moss_voice_server.credentials import RefreshPolicy
from moss_voice_server.errors import CredentialsRejected, CredentialsUnavailable
from tests.support.simulation import good

HOUR = 3600.0
POLICY = RefreshPolicy()
LEAST: Callable[[float, float], float] = min
MOST: Callable[[float, float], float] = max
OUTAGE = Failure(CredentialsUnavailable, "connection refused")
REJECTION = Failure(CredentialsRejected, "rejected", is_rejection=True)
EMPTY = CacheState[Credentials]()

Step = tuple[float, Result[Credentials] | None]
"""A moment, and the result of a fetch that ends then; `None`: time alone."""


def credentials(generation: int) -> Credentials:
    """Credentials of that generation."""
    made = parse(good(generation).body)
    assert isinstance(made, Credentials)
    return made


ONE, TWO = credentials(1), credentials(2)
FETCHED: Step = (0, Fetched(ONE, '"v1"'))


def at(wall: float, mono: float | None = None) -> Instant:
    """So many seconds after the start, on both clocks or on each."""
    return Instant(1_800_000_000.0 + wall, 5_000.0 + (wall if mono is None else mono))


def life(
    *steps: Step, policy: RefreshPolicy = POLICY, uniform: Callable[[float, float], float] = MOST
) -> CacheState[Credentials]:
    """The state after these steps."""
    state = EMPTY
    for moment, result in steps:
        if result is not None:
            state = after(state, result, policy, at(moment), uniform)
    return state


def failing(failure: Failure, *moments: float) -> list[Step]:
    """That failure at each of the moments."""
    return [(moment, failure) for moment in moments]
