"""The two server classes behind one set of plain functions, so that a test runs the same with both."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import jwt

from moss_voice_server import MossVoiceServer, MossVoiceServerSync, ParticipantInfo
from moss_voice_server._credentials.runtime import Runtime
from moss_voice_server._secret import Secret
from moss_voice_server._server.arguments import new_cache
from moss_voice_server.credentials import RefreshPolicy
from moss_voice_server.transcripts import SessionReport
from tests.support import tokens

Server = MossVoiceServer | MossVoiceServerSync
Result = TypeVar("Result")
_POSITIONAL = ("project_id", "project_key", "voice_agent_id", "api_url")


class ServerClass(NamedTuple):
    """One of the two classes. Coroutines are awaited, each on its own event loop."""

    kind: type[Server]

    def new(self, arguments: Mapping[str, Any], runtime: Runtime | None = None, **options: Any) -> Server:
        """A server that has fetched nothing yet; with the clock, random numbers and threads of `runtime`."""
        server = self.kind(**arguments, **options)
        if runtime is not None:
            hidden = [Secret(arguments[name]) for name in _POSITIONAL]
            policy = options.get("refresh") or RefreshPolicy()
            transport, on_change = options.get("transport"), options.get("on_change")
            server._use(new_cache(server, hidden, policy, transport, on_change, runtime), runtime.clock)
        return server

    def create(self, *args: Any, **options: Any) -> Server:
        """`create`."""
        return self.run(self.kind.create, *args, **options)

    def from_env(self, *args: Any, **options: Any) -> Server:
        """`from_env`."""
        return self.run(self.kind.from_env, *args, **options)

    def by_hand(self, **changes: Any) -> Server:
        """`from_livekit`: a server that needs no API."""
        return self.kind.from_livekit(
            **{"url": tokens.URL, "api_key": tokens.API_KEY, "api_secret": tokens.API_SECRET, **changes}
        )

    def refresh(self, server: Server) -> None:
        """`refresh`."""
        assert self.run(server.refresh) is None

    def close(self, server: Server) -> None:
        """`close` or `aclose`."""
        assert self.run(server.close if isinstance(server, MossVoiceServerSync) else server.aclose) is None

    def within(self, server: Server, inside: Callable[[Server], Result]) -> Result:
        """What `inside` returns in a `with` or `async with` block over the server."""
        if isinstance(server, MossVoiceServerSync):
            with server as entered:
                return inside(entered)
        return asyncio.run(_within(server, inside))

    @staticmethod
    def reports(server: Server, *args: Any) -> list[SessionReport]:
        """All of `session_reports`."""
        if isinstance(server, MossVoiceServerSync):
            return list(server.session_reports(*args))

        async def collect() -> list[SessionReport]:
            return [each async for each in server.session_reports(*args)]

        return asyncio.run(collect())

    @staticmethod
    def run(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """The result of a function or a coroutine function."""

        async def wait() -> Any:
            return await function(*args, **options)

        return asyncio.run(wait()) if inspect.iscoroutinefunction(function) else function(*args, **options)


async def _within(server: MossVoiceServer, inside: Callable[[Server], Result]) -> Result:
    async with server as entered:
        return inside(entered)


def signed_by(server: Server, credentials: Mapping[str, str]) -> bool:
    """Whether the server mints with these credentials."""
    secret, issuer = credentials["voice_agent_api_secret"], credentials["voice_agent_api_key"]
    token = server.create_participant_token(ParticipantInfo("user-42"), "lobby")
    try:
        jwt.decode(token, secret, algorithms=["HS256"], issuer=issuer, options={"require": ["exp", "nbf", "sub"]})
    except jwt.InvalidTokenError:
        return False
    return True


SYNC, ASYNC = ServerClass(MossVoiceServerSync), ServerClass(MossVoiceServer)
