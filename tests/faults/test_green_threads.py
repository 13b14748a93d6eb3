"""Green threads, gevent's and eventlet's: whatever reaches the network works on them, in both classes."""

from __future__ import annotations

import pytest

from tests.support.green import GREEN, run_green

PROGRAM = """
import asyncio, datetime, httpx2
from moss_voice_server import MossVoiceServer, MossVoiceServerSync
from moss_voice_server.testing import FakeLiveKit, FakeMoss

SINCE = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
livekit = FakeLiveKit().start()
moss = FakeMoss(url=livekit.url, api_key=livekit.api_key, api_secret=livekit.api_secret).start()
shared = MossVoiceServerSync(**moss.arguments)

def sync(_number):
    shared.refresh()
    return shared.status().state, shared.rooms.list(), list(shared.session_reports(SINCE))

async def coroutine(transport):
    async with MossVoiceServer(**moss.arguments, transport=transport) as server:
        await server.refresh()
        return server.status().state, await server.rooms.list(), [each async for each in server.session_reports(SINCE)]

expected = ("fresh", (), [])
assert [expected] * 3 == list(run(sync, range(3)))
assert expected == asyncio.run(coroutine(None))
assert expected == asyncio.run(coroutine(httpx2.AsyncHTTPTransport()))
livekit.close()
moss.close()
"""


@pytest.mark.parametrize("package", GREEN)
def test_everything_that_reaches_the_network(package: str) -> None:
    """Refresh, rooms and session reports: plain, from a coroutine, and through an async transport."""
    run_green(package, PROGRAM)
