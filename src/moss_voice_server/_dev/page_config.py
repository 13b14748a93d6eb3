"""What the local page needs to know: its mode, its servers, its agents, and the remedies that it shows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Mode = Literal["local", "moss", "endpoint"]


@dataclass(frozen=True)
class PageConfig:
    """The configuration of one run; `config.json` on the wire. A remedy may contain commands in backticks."""

    mode: Mode
    """`local`: everything runs here. `moss`: the real voice agent. `endpoint`: the developer's own token endpoint."""
    token_url: str
    """The token endpoint: a path of this page, or a URL with `endpoint`."""
    livekit: str
    """URL of the LiveKit server; "" where there is none, or where only the developer's endpoint knows it."""
    moss: str
    """URL of the Moss API."""
    agent: str
    """The name of the voice agent; "" where the page does not know it."""
    has_echo: bool = False
    """Whether the echo agent runs."""
    livekit_remedy: str = ""
    """How to get a LiveKit server, where there is none."""
    agent_remedy: str = ""
    """How to get the echo agent, where it does not run."""
    doctor: str = "moss-voice-server doctor"
    """The command that finds out why the agent does not join."""

    @property
    def can_join(self) -> bool:
        """Whether the page can join a room, rather than only create tokens."""
        return bool(self.livekit) or self.mode == "endpoint"

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {**asdict(self), "can_join": self.can_join}
