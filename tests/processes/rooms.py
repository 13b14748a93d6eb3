"""Programs that call LiveKit's server API across forks and event loops."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio

from moss_voice_server import MossVoiceServer, MossVoiceServerSync
from tests.processes.inside import create, end_child, say, start_child, wait_for_go
from tests.support.servers import Server


def names(server: Server) -> list[str]:
    """The rooms that exist."""
    if isinstance(server, MossVoiceServerSync):
        return [room.name for room in server.rooms.list()]
    return asyncio.run(_names(server))


async def _names(server: MossVoiceServer) -> list[str]:
    return [room.name for room in await server.rooms.list()]


def before_and_after_a_fork(server_class: str, how: str) -> None:
    """Calls, forks two children that call, after the keys were rotated too, and calls again."""
    server = create(server_class)
    rooms = server.rooms
    say(parent=names(server))
    wait_for_go()
    for _ in range(2):
        end_child(start_child(how, lambda: [names(server), rooms is not None]))
    say(parent=names(server))


def under(backend: str) -> None:
    """Every call once under asyncio or trio, one after another with one server, and a call that is cancelled."""
    server = asyncio.run(MossVoiceServer.from_env())

    async def work() -> list[Any]:
        with anyio.move_on_after(0):
            await server.rooms.list()
        dispatch = await server.rooms.ensure_agent("room-1", wait=10)
        found = [dispatch.status, len(await server.rooms.participants("room-1")), await _names(server)]
        await server.rooms.remove("room-1", "user-42")
        done = await server.rooms.end_older_than(0, "room-")
        return [*found, list(done), await _names(server)]

    say(found=anyio.run(work, backend=backend))
