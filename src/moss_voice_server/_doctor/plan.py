"""Plan: what the doctor is asked to look at, and by which clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .._secret import Secret


@dataclass(frozen=True)
class Given:
    """LiveKit credentials that were handed in instead of the environment's; nothing is checked yet."""

    url: str
    api_key: Secret[str]
    """Wrapped, since it may be the secret: the two are easily swapped."""
    api_secret: Secret[str]


@dataclass(frozen=True)
class Plan:
    """What to look at. Times are in seconds."""

    environ: Secret[Mapping[str, str]]
    """The environment that names the credentials."""
    given: Given | None = None
    agent_name: str | None = None
    """The agent that must come; `None`: the one that Moss names."""
    agents: bool = True
    """Whether agents are sent for; without, none is started."""
    agent_timeout: float = 15.0
    endpoint: str = ""
    """The user's own token endpoint, if it is to be looked at."""
    headers: Secret[dict[str, str]] = field(default_factory=lambda: Secret({}))
    """What the endpoint wants for authentication."""
    origin: str = ""
    """The origin of the page that asks the endpoint."""
    timeout: float = 5.0
    """For each request."""
    now: Callable[[], float] = time.time
    """Seconds since 1970, for tokens and for the difference of clocks."""
    mono: Callable[[], float] = time.monotonic
