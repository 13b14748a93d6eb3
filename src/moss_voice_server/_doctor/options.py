"""What the doctor checks, and by which clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .._livekit_credentials import LiveKitCredentials
from .redactor import Redactor


@dataclass(frozen=True)
class Options:
    """What to check. Times are in seconds."""

    environ: Mapping[str, str] = field(repr=False)
    """The environment that contains the credentials."""
    credentials: LiveKitCredentials | None = None
    """Credentials to use instead of the environment's."""
    agent_name: str | None = None
    """The agent that must join; `None`: the one that Moss names; "": an unnamed worker."""
    agents: bool = True
    """Whether to dispatch agents."""
    agent_timeout: float = 15.0
    endpoint: str = ""
    """URL of a token endpoint to check; "" for none."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Request headers that authenticate at the endpoint."""
    origin: str = ""
    """The origin of the page that calls the endpoint."""
    timeout: float = 5.0
    """For each request."""
    now: Callable[[], float] = time.time
    """Seconds since 1970, for tokens and clock offsets."""
    redactor: Redactor = field(default_factory=Redactor)
    """Masks every secret that the checks come across."""
