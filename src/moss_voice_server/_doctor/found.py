"""What the checks have found so far: each adds its part, and later ones build on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .check import Ended, Status, need, skip

if TYPE_CHECKING:
    from .._credentials.config import Config
    from .._livekit_credentials import LiveKitCredentials
    from .clock_offset import ClockOffset
    from .dispatch import Outcome
    from .endpoint.client import Client, IssuedToken, Reply
    from .options import Options
    from .target import Target


@dataclass
class Found:
    options: Options
    statuses: dict[str, Status] = field(default_factory=dict)  # of the checks so far
    targets: dict[str, Target | str] = field(default_factory=dict)
    """The servers, by their links; or the reason why there is nothing to reach."""
    config: Config | None = None  # the settings of the Moss API
    unchecked: LiveKitCredentials | None = None  # LiveKit credentials of any form
    setting: str = ""  # where their URL is set, for remedies
    credentials: LiveKitCredentials | None = None  # the same, where tokens can be created with them
    server: Target | None = None  # the LiveKit server, if it answers
    offsets: list[ClockOffset] = field(default_factory=list)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    """What happened in the rooms of the named and the unnamed agent."""
    client: Client | None = None  # calls the token endpoint
    reply: Reply | None = None  # the endpoint's first 2xx response
    second: IssuedToken | None = None  # the token of the endpoint's second session

    def target(self, link: str) -> Target:
        """The server of a link; without it the check ends."""
        target = self.targets.get(link)
        if isinstance(target, str):
            raise Ended(skip(target))
        return need(target)

    def status(self, name: str) -> Status:
        return self.statuses[name]

    def is_reached(self, link: str) -> bool:
        """Whether a request to the server of this link makes sense."""
        return "fail" not in (self.status(f"{link}.dns"), self.status(f"{link}.tls"))

    def session(self) -> tuple[Client, IssuedToken]:
        """The endpoint's client and the token of its first session; without a readable one the check ends."""
        issued = need(need(self.reply).issued)
        if not issued.claims:
            raise Ended
        return need(self.client), issued
