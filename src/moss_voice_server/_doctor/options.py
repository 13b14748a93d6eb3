"""What the doctor checks, and what it must not show."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .._inspect.egress import MASK
from .._livekit_credentials import LiveKitCredentials
from .._secret import Sealed
from .check import Check

_TOKEN = re.compile(r"\beyJ[\w-]+(?:\.[\w-]*){1,2}")
_SHORTEST = 8  # characters; a shorter secret can be part of a word


class Redactor(Sealed):
    """Knows every secret that the doctor has come across."""

    __slots__ = ("_secrets",)

    def __init__(self) -> None:
        self._secrets: set[str] = set()

    def learn(self, *secrets: str) -> None:
        """Mask these from now on."""
        self._secrets.update(secret for secret in secrets if len(secret) >= _SHORTEST)

    def clean(self, check: Check) -> Check:
        """The same check without any secret or token."""
        return check._replace(detail=self._masked(check.detail), remedy=self._masked(check.remedy))

    def _masked(self, text: str) -> str:
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, MASK)
        return _TOKEN.sub(MASK, text)


@dataclass(frozen=True)
class Options:
    """What to check. Times are in seconds."""

    environ: Mapping[str, str] = field(repr=False)  # the environment that contains the credentials
    credentials: LiveKitCredentials | None = None  # credentials to use instead of the environment's
    agent_name: str | None = None  # the agent that must join; `None`: the one that Moss names; "": an unnamed worker
    agents: bool = True  # whether to dispatch agents
    agent_timeout: float = 15.0
    endpoint: str = ""  # URL of a token endpoint to check; "" for none
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Request headers that authenticate at the endpoint."""
    origin: str = ""  # the origin of the page that calls the endpoint
    timeout: float = 5.0  # for each request
    now: Callable[[], float] = time.time  # seconds since 1970, for tokens and clock offsets
    redactor: Redactor = field(default_factory=Redactor)  # masks every secret that the checks come across
