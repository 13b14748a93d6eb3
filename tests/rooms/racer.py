"""One of the processes that race: prints `ready`, waits for a line, and calls `ensure_agent` many times at once.

Arguments: the LiveKit URL, the room, the agent, the number of calls. The keys come from the environment.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from moss_voice_server import MossVoiceServer, MossVoiceServerSync
from moss_voice_server._livekit_api import agents

# On a machine that is far too busy, a call may take longer than its usual budget: that is not what is looked at here.
agents.BUDGET = 120.0  # type: ignore[attr-defined]  # imported there


def main(url: str, room: str, agent: str, calls: int) -> list[str]:
    """The ID of the dispatch that each call returned; every other process uses the async class."""
    keys = (url, os.environ["API_KEY"], os.environ["API_SECRET"], agent)
    if os.getpid() % 2:
        server = MossVoiceServer.from_livekit(*keys)
        wait_for_start()
        return asyncio.run(all_at_once(server, room, calls))
    sync = MossVoiceServerSync.from_livekit(*keys)
    gate = threading.Barrier(calls)

    def call(_number: int) -> str:
        gate.wait()
        return sync.rooms.ensure_agent(room).id

    wait_for_start()
    with ThreadPoolExecutor(calls) as pool:
        return list(pool.map(call, range(calls)))


async def all_at_once(server: MossVoiceServer, room: str, calls: int) -> list[str]:
    """The same on one event loop."""
    return [each.id for each in await asyncio.gather(*(server.rooms.ensure_agent(room) for _ in range(calls)))]


def wait_for_start() -> None:
    """Wait for the test's line."""
    print("ready", flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    url, room, agent, calls = sys.argv[1:]
    print(*main(url, room, agent, int(calls)), flush=True)
