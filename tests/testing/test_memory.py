"""FakeMoss in memory: its transport without a socket, for any number of clients, threads and event loops."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from moss_voice_server.testing import FakeMoss, MockResponse
from tests.testing.asking import ask, path_of


def test_memory_needs_no_socket(pool: ThreadPoolExecutor) -> None:
    """The transport works before start(), for any host; close() drops held responses, and later requests fail."""
    moss = FakeMoss(project_id="p", project_key="k", voice_agent_id="v")
    headers = {"X-Project-Id": "p", "X-Project-Key": "k"}
    with httpx2.Client(transport=moss.transport()) as client:
        url = f"https://service.example{path_of(moss)}"
        assert moss.credentials == client.get(url, headers=headers).json()
        moss.queue(MockResponse(hang=True))
        held = pool.submit(client.get, url)
        moss.wait_for(2)
        moss.close()
        with pytest.raises(httpx2.RemoteProtocolError):
            held.result(10)
        with pytest.raises(httpx2.ConnectError, match="closed"):
            client.get(url, headers=headers)


def test_memory_is_bound_to_no_loop(moss: FakeMoss, pool: ThreadPoolExecutor) -> None:
    """One transport serves four event loops and four plain threads at once, with held responses."""
    transport = moss.transport()
    moss.set_default(MockResponse(hang=True))
    asked = [pool.submit(ask, moss, way, transport=transport) for way in ("memory", "memory-async") * 4]
    moss.wait_for(8)
    moss.release()
    assert [200] * 8 == [future.result(10).status_code for future in asked]


def test_memory_waits_can_be_injected(moss: FakeMoss) -> None:
    """A given sleep function is called for each wait with its seconds, and there is no real wait."""
    slept: list[float] = []

    async def async_sleep(seconds: float) -> None:
        slept.append(seconds)
        moss.release()

    transport = moss.transport(sleep=slept.append, async_sleep=async_sleep, limit=1000)
    moss.queue(MockResponse(delay=300), MockResponse(delay=7), MockResponse(hang=True), MockResponse(hang=True))
    assert 200 == ask(moss, timeout=500, transport=transport).status_code
    assert 200 == ask(moss, "memory-async", transport=transport).status_code
    with pytest.raises(httpx2.ReadTimeout):
        ask(moss, timeout=500, transport=transport)
    # The injected sleep has released it.
    assert 200 == ask(moss, "memory-async", timeout=None, transport=transport).status_code
    assert [300, 7, 500, 1000] == slept


@pytest.mark.parametrize("way", ["memory", "memory-async"])
def test_memory_waits_are_bounded(moss: FakeMoss, way: str) -> None:
    """Without any timeout of the client, all waits together last no longer than the limit."""
    moss.queue(MockResponse(hang=True))
    with pytest.raises(httpx2.ReadTimeout):
        ask(moss, way, timeout=None, transport=moss.transport(limit=0.2))


def test_memory_cancelled_task_is_no_longer_held(moss: FakeMoss) -> None:
    """Cancelling the task that waits ends its exchange."""
    moss.queue(MockResponse(hang=True))

    async def cancel() -> None:
        async with httpx2.AsyncClient(transport=moss.transport()) as client:
            task = asyncio.create_task(client.get(moss.url))
            await asyncio.to_thread(moss.wait_for, 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(cancel())
    moss.wait_idle()
    assert 0 == moss.in_flight
