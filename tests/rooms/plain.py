"""The rooms of either class as plain functions: each coroutine runs on a new event loop."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

from moss_voice_server import MossVoiceServer, MossVoiceServerSync

Server = MossVoiceServer | MossVoiceServerSync
AGENT = "support-agent"


class PlainRooms:
    """`server.rooms`, whose coroutines are run."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.server.rooms, name)

        def call(*args: Any, **keywords: Any) -> Any:
            if not inspect.iscoroutinefunction(method):
                return method(*args, **keywords)

            async def wait() -> Any:
                return await method(*args, **keywords)

            return asyncio.run(wait())

        return call
