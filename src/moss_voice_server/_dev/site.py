"""Site: the local page, its configuration and the token endpoint, as one ASGI application for this machine only."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from moss_voice_server._urls import LOOPBACK
from moss_voice_server.asgi import token_app
from moss_voice_server.endpoint import Admission, TokenRequest
from moss_voice_server.grants import ParticipantInfo

from .client import CDN, FILE, INTEGRITY

if TYPE_CHECKING:
    from moss_voice_server.endpoint import Server

    from .client import BrowserClient

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

TOKEN_PATH = "/voice/token"  # noqa: S105 - a path

_PAGE = Path(__file__).parent / "page"
_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/endpoint.js": ("endpoint.js", "text/javascript; charset=utf-8"),
    "/room.js": ("room.js", "text/javascript; charset=utf-8"),
    "/levels.js": ("levels.js", "text/javascript; charset=utf-8"),
    "/token.js": ("token.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_CLIENT_WAIT = 90.0  # seconds that a browser is kept waiting for the client; npm's own time is shorter
_ORIGINS = 16  # pages of other ports on this machine that are remembered
# LiveKit Cloud sends a client on to the server of its region.
_CLOUDS = ("livekit.cloud", "livekit.run")

Config = Mapping[str, Any]


class Site:
    """The application.

    Args:
        server: mints the tokens.
        agents: the names of agents that a guest may ask for, and what the page calls them; "" stands for nobody by name.
        config: the rest of the page's configuration; see `page.js`.
        client: LiveKit's client.
        port: ours; other Host headers are refused. A page of a stranger whose name leads here (DNS rebinding) would send its own.
    """

    def __init__(
        self, server: Server, agents: Mapping[str, str], config: Config, client: BrowserClient, port: int
    ) -> None:
        self._server = server
        self._agents = agents
        self._config = config
        self._client = client
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self._url = f"http://127.0.0.1:{port}/"
        self._files = {path: ((_PAGE / name).read_bytes(), kind) for path, (name, kind) in _FILES.items()}
        self._tokens: dict[str, App] = {}
        self._livekit = tuple(_connectable(server.get_server_url()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = {name: value.decode("latin-1") for name, value in scope["headers"] if name in (b"host", b"origin")}
        if headers.get(b"host", "").lower() not in self._hosts:
            await self._send(send, 421, f"This page is for this machine only: open {self._url}\n")
        elif scope["path"] == TOKEN_PATH:
            await self._token_endpoint(headers.get(b"origin", ""))(scope, receive, send)
        elif scope["method"] not in ("GET", "HEAD"):
            await self._send(send, 405, "Only GET and HEAD are answered here.\n", extra=[(b"allow", b"GET, HEAD")])
        else:
            status, body, kind = await self._found(scope["path"])
            await self._send(send, status, body, kind, is_head=scope["method"] == "HEAD")

    async def _found(self, path: str) -> tuple[int, bytes | str, str]:
        """What is there to be got: status, body and content type."""
        if path in self._files:
            return (200, *self._files[path])
        if path == "/config.json":
            return 200, json.dumps(self._whole_config()), "application/json"
        if path == f"/{FILE}":
            script = await self._script()
            if script is not None:
                return 200, script, "text/javascript; charset=utf-8"
        return 404, f"There is no {path} here: open {self._url}\n", "text/plain; charset=utf-8"

    async def _script(self) -> bytes | None:
        """LiveKit's client; while npm is still bringing it, the browser waits."""
        # Shielded: a browser that goes away must not end the fetch for the others.
        fetched = asyncio.shield(asyncio.wrap_future(self._client.file))
        try:
            return await asyncio.wait_for(fetched, _CLIENT_WAIT)
        except asyncio.TimeoutError:
            return None

    def _whole_config(self) -> dict[str, Any]:
        return {
            **self._config,
            "token_path": TOKEN_PATH,
            "agents": [{"name": name, "label": label} for name, label in self._agents.items()],
            "client": {"src": self._client.source, "integrity": INTEGRITY},
        }

    def _token_endpoint(self, origin: str) -> App:
        """The endpoint for pages of ours, or for one on another port of this machine: a developer's own."""
        allow_origins = [origin] if _is_local(origin) else []
        app = self._tokens.get(origin if allow_origins else "")
        if app is None:
            app = token_app(self._server, authorize=_Guests(self._agents), allow_origins=allow_origins)
            if len(self._tokens) < _ORIGINS:
                self._tokens[origin if allow_origins else ""] = app
        return app

    async def _send(
        self,
        send: Send,
        status: int,
        body: bytes | str,
        kind: str = "text/plain; charset=utf-8",
        *,
        is_head: bool = False,
        extra: list[tuple[bytes, bytes]] | None = None,
    ) -> None:
        content = body if isinstance(body, bytes) else body.encode()
        headers = [
            (b"content-type", kind.encode()),
            (b"content-length", str(len(content)).encode()),
            (b"cache-control", b"no-store"),
            (b"content-security-policy", self._policy().encode()),
            (b"permissions-policy", b"camera=(), geolocation=(), microphone=(self)"),
            (b"referrer-policy", b"no-referrer"),
            (b"x-content-type-options", b"nosniff"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"cross-origin-resource-policy", b"same-origin"),
            *(extra or []),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if is_head else content})

    def _policy(self) -> str:
        """What the page may load and whom it may speak to (W3C, Content Security Policy level 3): nobody but those named."""
        # Until the client is here, the page may still have to turn to the CDN.
        is_here = self._client.file.done() and self._client.source == FILE
        sources = {
            "default-src": ("'none'",),
            "script-src": ("'self'",) if is_here else ("'self'", CDN),
            "style-src": ("'self'",),
            "img-src": ("'self'",),
            "connect-src": ("'self'", *self._livekit),
            "media-src": ("blob:",),
            "base-uri": ("'none'",),
            "form-action": ("'none'",),
            "frame-ancestors": ("'none'",),
        }
        return "; ".join(f"{name} {' '.join(allowed)}" for name, allowed in sources.items())


class _Guests:
    """Who asks on this machine is a guest of its own, in a room of its own, and may ask for our agents."""

    is_nonblocking = True

    def __init__(self, agents: Iterable[str]) -> None:
        self._agents = [name for name in agents if name]

    def __call__(self, scope: Scope, token_request: TokenRequest) -> Admission:
        guest = ParticipantInfo(f"guest-{os.urandom(8).hex()}", "Guest")
        return Admission(guest, allowed_agents=self._agents, client_may_set=("name",))


def _is_local(origin: str) -> bool:
    """Whether an Origin header names a page that this machine serves (RFC 6454, section 6.2: scheme, host, port)."""
    match = re.fullmatch(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?", origin)
    return match is not None


def _connectable(url: str) -> list[str]:
    """The sources of a Content Security Policy through which LiveKit's client speaks to the server at `url`."""
    parts = urlsplit(url)
    is_plain = parts.scheme in ("ws", "http")
    names = [parts.netloc]
    host = parts.hostname or ""
    if host not in LOOPBACK:
        names += [f"*.{cloud}" for cloud in _CLOUDS if host.endswith(f".{cloud}")]
    return [f"{scheme}://{name}" for name in names for scheme in (("ws", "http") if is_plain else ("wss", "https"))]
