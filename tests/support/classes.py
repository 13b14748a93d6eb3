"""The two classes behind one set of plain functions, so that a test asks both the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from moss_voice_server import MossVoiceServer, MossVoiceServerSync

Server = MossVoiceServer | MossVoiceServerSync
Result = TypeVar("Result")


class Class(NamedTuple):
    """One of the two classes; what it would wait for is waited for, each time on an event loop of its own."""

    kind: type[Server]

    def create(self, *args: Any, **keywords: Any) -> Server:
        """`create`."""
        return self._done(self.kind.create, *args, **keywords)

    def from_env(self, *args: Any, **keywords: Any) -> Server:
        """`from_env`."""
        return self._done(self.kind.from_env, *args, **keywords)

    def refresh(self, server: Server) -> None:
        """`refresh`."""
        assert self._done(server.refresh) is None

    def close(self, server: Server) -> None:
        """`close` or `aclose`."""
        assert self._done(server.close if isinstance(server, MossVoiceServerSync) else server.aclose) is None

    def within(self, server: Server, inside: Callable[[Server], Result]) -> Result:
        """What `inside` returns in a `with` or `async with` block over the server."""
        if isinstance(server, MossVoiceServerSync):
            with server as entered:
                return inside(entered)
        return asyncio.run(_within(server, inside))

    @staticmethod
    def _done(function: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
        async def wait() -> Any:
            return await function(*args, **keywords)

        return asyncio.run(wait()) if asyncio.iscoroutinefunction(function) else function(*args, **keywords)


async def _within(server: MossVoiceServer, inside: Callable[[Server], Result]) -> Result:
    async with server as entered:
        return inside(entered)


SYNC, ASYNC = Class(MossVoiceServerSync), Class(MossVoiceServer)
