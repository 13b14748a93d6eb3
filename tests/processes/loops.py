"""Programs in which event loops come and go while one server is used."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import suppress

from moss_voice_server import MossVoiceServer
from tests.processes.inside import ALWAYS_DUE, construct, mint, say, wait_for_go


def one_after_another() -> None:
    """Three loops use one server; each is closed before the next is made."""
    server = asyncio.run(MossVoiceServer.from_env())
    say(key=mint(server))
    for _ in range(2):
        asyncio.run(server.refresh())
        say(key=mint(server))


def closed_in_mid_fetch() -> None:
    """A loop ends while a fetch that it has asked for is under way; the next loop waits for the same fetch."""
    server = _constructed()

    async def leave_soon() -> None:
        task = asyncio.ensure_future(server.refresh())
        await asyncio.to_thread(wait_for_go)
        assert not task.done()

    asyncio.run(leave_soon())
    say(closed=1)
    asyncio.run(_refresh_and_say(server))


def closed_for_good_in_mid_fetch() -> None:
    """The same, and the answer comes when no loop is there at all."""
    server = _constructed()

    async def leave_soon() -> None:
        task = asyncio.ensure_future(server.refresh())
        await asyncio.to_thread(wait_for_go)
        assert not task.done()

    asyncio.run(leave_soon())
    say(closed=1)
    while server.status().state == "empty":
        time.sleep(0.01)
    say(key=mint(server))


def four_at_once() -> None:
    """Four loops in four threads, five tasks in each, all wait for the first fetch."""
    server = _constructed()
    waiting = threading.Barrier(5)
    keys: list[str] = []

    async def five_tasks() -> None:
        tasks = [asyncio.ensure_future(server.refresh()) for _ in range(5)]
        await asyncio.sleep(0)  # each task runs up to where it waits
        await asyncio.to_thread(waiting.wait)
        await asyncio.gather(*tasks)
        keys.extend(mint(server) for _ in tasks)

    threads = [threading.Thread(target=asyncio.run, args=(five_tasks(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    waiting.wait()
    say(waiting=20)
    for thread in threads:
        thread.join()
    say(keys=keys)


def leader_cancelled() -> None:
    """The task that has started the fetch is cancelled; another one waits for it."""
    server = _constructed()

    async def cancel_the_first() -> None:
        first = asyncio.ensure_future(server.refresh())
        await asyncio.sleep(0)
        second = asyncio.ensure_future(server.refresh())
        await asyncio.sleep(0)
        first.cancel()
        with suppress(asyncio.CancelledError):
            await first
        say(cancelled=first.cancelled())
        await second
        say(key=mint(server))

    asyncio.run(cancel_the_first())


def leader_timed_out() -> None:
    """The caller's own timeout ends the wait for `create`; the next `create` is not hindered."""

    async def hurried() -> None:
        try:
            await asyncio.wait_for(MossVoiceServer.from_env(), 0.2)
        except asyncio.TimeoutError:
            say(timed_out=True)
        server = await MossVoiceServer.from_env()
        say(key=mint(server))

    asyncio.run(hurried())


def renewal_outlives_its_loop() -> None:
    """A mint on a loop starts a renewal; the loop is closed before the answer comes; the renewal counts all the same."""
    server = asyncio.run(MossVoiceServer.from_env(refresh=ALWAYS_DUE))
    wait_for_go()

    async def mint_once() -> str:
        return mint(server)

    old = asyncio.run(mint_once())
    say(closed=old)
    wait_for_go()
    while mint(server) == old:
        time.sleep(0.01)
    say(key=mint(server))


async def _refresh_and_say(server: MossVoiceServer) -> None:
    task = asyncio.ensure_future(server.refresh())
    await asyncio.sleep(0)  # it runs up to where it waits
    say(waiting=1)
    await task
    say(key=mint(server))


def _constructed() -> MossVoiceServer:
    server = construct("async")
    assert isinstance(server, MossVoiceServer)
    return server
