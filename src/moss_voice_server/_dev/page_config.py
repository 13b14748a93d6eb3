"""What the local page needs to know, and its Content Security Policy: what it may load, and where it may connect."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from moss_voice_server._urls import LOOPBACK

from .browser_client import CDN, FILE, ClientBundle

Mode = Literal["local", "moss", "endpoint"]
# LiveKit Cloud sends a client on to the server of its region.
_CLOUDS = ("livekit.cloud", "livekit.run")
# The developer's endpoint names the LiveKit server, so it is not known before the page is loaded.
_ANY_LIVEKIT = "wss: https: ws://127.0.0.1:* http://127.0.0.1:* ws://localhost:* http://localhost:*"


@dataclass(frozen=True)
class PageConfig:
    """The configuration of one run; `config.json` on the wire. A remedy may contain commands in backticks."""

    mode: Mode
    """`local`: everything runs here. `moss`: the real voice agent. `endpoint`: the developer's own token endpoint."""
    token_url: str  # the token endpoint: a path of this page, or a URL with `endpoint`
    livekit: str  # URL of the LiveKit server; "" where there is none, or where only the developer's endpoint knows it
    moss: str  # URL of the Moss API
    agent: str  # the name of the voice agent; "" where the page does not know it
    has_echo: bool = False  # whether the echo agent runs
    livekit_remedy: str = ""  # how to get a LiveKit server, where there is none
    agent_remedy: str = ""  # how to get the echo agent, where it does not run
    doctor: str = "moss-voice-server doctor"  # the command that finds out why the agent does not join

    @property
    def can_join(self) -> bool:
        """Whether the page can join a room, rather than only create tokens."""
        return bool(self.livekit) or self.mode == "endpoint"

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "can_join": self.can_join}


def content_security_policy(config: PageConfig, client: ClientBundle) -> str:
    """The header's value (W3C, level 3)."""
    # While npm fetches the client, the page may still have to use the CDN.
    is_served_here = client.file.done() and client.source == FILE
    script = "'self'" if is_served_here else f"'self' {CDN}"
    connect = "'self'"
    if config.mode == "endpoint":
        connect += " {0.scheme}://{0.netloc} {1}".format(urlsplit(config.token_url), _ANY_LIVEKIT)
    elif config.livekit:
        connect += f" {_livekit_sources(config.livekit)}"
    return (
        f"default-src 'none'; script-src {script}; style-src 'self'; img-src 'self'; connect-src {connect}; "
        "media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _livekit_sources(url: str) -> str:
    """The sources through which LiveKit's client reaches the server at `url`."""
    parts = urlsplit(url)
    is_plain = parts.scheme in ("ws", "http")
    names = [parts.netloc]
    host = parts.hostname or ""
    if host not in LOOPBACK:
        names += [f"*.{cloud}" for cloud in _CLOUDS if host.endswith(f".{cloud}")]
    schemes = ("ws", "http") if is_plain else ("wss", "https")
    return " ".join(f"{scheme}://{name}" for name in names for scheme in schemes)
