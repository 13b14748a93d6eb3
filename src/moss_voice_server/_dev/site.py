"""The local page, its configuration and its token endpoint as one ASGI application, for this machine only."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib import resources
from typing import Any

from moss_voice_server._endpoint.asgi import Receive, Scope, Send
from moss_voice_server._random import new_guest
from moss_voice_server.asgi import token_app
from moss_voice_server.endpoint import Admission, Server, TokenRequest
from moss_voice_server.grants import ParticipantInfo

from .browser_client import FILE, INTEGRITY, ClientBundle
from .page_config import PageConfig, content_security_policy

Answer = tuple[int, bytes | str, str]  # status, body, content type
Diagnose = Callable[[str], list[Mapping[str, Any]]]

TOKEN_PATH = "/voice/token"  # noqa: S105 - a path
AUTOMATIC = "dispatch=automatic"
"""The query of `TOKEN_PATH` for a token that names no agent: LiveKit then dispatches the unnamed workers."""

_DIAGNOSE_PATH = "/diagnose"
_TEXT = "text/plain; charset=utf-8"
_SCRIPT = "text/javascript; charset=utf-8"
_KINDS = {"html": "text/html; charset=utf-8", "css": "text/css; charset=utf-8", "svg": "image/svg+xml", "js": _SCRIPT}
_CLIENT_WAIT = 90.0  # seconds that a browser waits for the client; npm's own timeout is shorter
_MAX_ORIGINS = 16  # pages of other ports on this machine, whose token endpoints are kept
_MAX_BODY = 16_384  # bytes
# An Origin header of a page that this machine serves (RFC 6454, section 6.2: scheme, host, port).
_LOCAL_ORIGIN = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?")


class Site:
    """The application. `diagnose` finds out why the developer's own endpoint fails, given an Authorization header or "".

    Hosts other than ours are refused: the page of a stranger, whose name resolves to this machine (DNS rebinding), sends
    its own.
    """

    def __init__(
        self, server: Server, config: PageConfig, client: ClientBundle, port: int, *, diagnose: Diagnose | None = None
    ) -> None:
        self._config = config
        self._client = client
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self._url = f"http://127.0.0.1:{port}/"
        self._diagnose = diagnose
        # Resources, not paths: the package may be in a zip file.
        self._files: dict[str, tuple[bytes, str]] = {}
        for file in (resources.files(__package__) / "page").iterdir():
            kind = _KINDS.get(file.name.rpartition(".")[2])
            if kind is not None:
                self._files["/" if file.name == "index.html" else f"/{file.name}"] = (file.read_bytes(), kind)
        guests = _Guests(config.agent)
        # By origin: "" is our own page, and others are the developer's own, on other ports of this machine.
        self._token_app = lru_cache(_MAX_ORIGINS)(
            lambda origin: token_app(server, authorize=guests, allow_origins=[origin] if origin else [])
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        is_ours = headers.get(b"host", "").lower() in self._hosts
        if is_ours and scope["path"] == TOKEN_PATH:
            origin = headers.get(b"origin", "")
            await self._token_app(origin if _LOCAL_ORIGIN.fullmatch(origin) else "")(scope, receive, send)
            return
        if not is_ours:
            answer: Answer = (421, f"This page is for this machine only: open {self._url}\n", _TEXT)
        elif scope["path"] == _DIAGNOSE_PATH and scope["method"] == "POST" and self._diagnose is not None:
            answer = await self._diagnosis(self._diagnose, headers.get(b"origin", ""), receive)
        elif scope["method"] not in ("GET", "HEAD"):
            answer = (405, "Only GET and HEAD are allowed.\n", _TEXT)
        else:
            answer = await self._find(scope["path"])
        await self._send(send, *answer)

    async def _find(self, path: str) -> Answer:
        if path in self._files:
            return (200, *self._files[path])
        if path == "/config.json":
            client = {"src": self._client.source, "integrity": INTEGRITY}
            return 200, json.dumps({**self._config.as_dict(), "client": client}), "application/json"
        if path == f"/{FILE}":
            script = await self._script()
            if script is not None:
                return 200, script, _SCRIPT
        return 404, f"There is no {path} here: open {self._url}\n", _TEXT

    async def _script(self) -> bytes | None:
        """LiveKit's client; while npm fetches it, the browser waits."""
        # Shielded: a browser that disconnects must not cancel the fetch for the others.
        fetched = asyncio.shield(asyncio.wrap_future(self._client.file))
        try:
            return await asyncio.wait_for(fetched, _CLIENT_WAIT)
        except asyncio.TimeoutError:
            return None

    async def _diagnosis(self, diagnose: Diagnose, origin: str, receive: Receive) -> Answer:
        """Why the developer's endpoint fails; for our own page only, since it makes requests in the developer's name."""
        if origin not in {f"http://{host}" for host in self._hosts}:
            return 403, "Only the local page may send this request.\n", _TEXT
        body = b""
        while len(body) <= _MAX_BODY:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        try:
            authorization = str(json.loads(body[:_MAX_BODY])["authorization"])
        except (ValueError, TypeError, KeyError):
            return 400, 'The body must be {"authorization": "..."}.\n', _TEXT
        checks = await asyncio.get_running_loop().run_in_executor(None, diagnose, authorization)
        return 200, json.dumps(checks), "application/json"

    async def _send(self, send: Send, status: int, body: bytes | str, kind: str) -> None:
        content = body if isinstance(body, bytes) else body.encode()
        headers = [
            (b"content-type", kind.encode()),
            (b"content-length", str(len(content)).encode()),
            (b"cache-control", b"no-store"),
            (b"content-security-policy", content_security_policy(self._config, self._client).encode()),
            (b"permissions-policy", b"camera=(), geolocation=(), microphone=(self)"),
            (b"referrer-policy", b"no-referrer"),
            (b"x-content-type-options", b"nosniff"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"cross-origin-resource-policy", b"same-origin"),
            *([(b"allow", b"GET, HEAD")] if status == 405 else []),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})


class _Guests:
    """Every caller on this machine is a new guest in a new room, with the voice agent."""

    is_nonblocking = True

    def __init__(self, agent: str) -> None:
        self._agents = [agent] if agent else []

    def __call__(self, scope: Scope, token_request: TokenRequest) -> Admission:
        guest = ParticipantInfo(new_guest(), "Guest")
        agents = [] if scope["query_string"] == AUTOMATIC.encode() else self._agents
        return Admission(guest, agents=agents, allowed_agents=self._agents, client_may_set=("name",))
