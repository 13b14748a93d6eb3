"""Threads: call what blocks on a daemon thread, so that it delays neither a loop's end nor the end of the process."""

from __future__ import annotations

import _thread
import asyncio
import importlib
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

import anyio.to_thread

from .forks import is_exiting

Result = TypeVar("Result")


class DaemonExecutor(ThreadPoolExecutor):
    """An executor with a daemon thread for each call, which nothing joins. An event loop accepts only this base class."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Calls the function on a thread; on this one if no thread can be started."""
        future: Future[Any] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001  # as every executor does
                future.set_exception(error)
            else:
                future.set_result(result)

        try:
            # Not `threading.Thread`: its `start` waits without a timeout for a thread that died at once, for lack of memory.
            _thread.start_new_thread(work, ())
        except (RuntimeError, MemoryError):
            work()
        return future


def run_on_native_thread(function: Callable[[], Result]) -> Result:
    """Calls a function on a thread of the system, and waits for it.

    Where gevent or eventlet has replaced Python's threads, those are green: all share one thread, and so its event loop.
    """
    pool = native_pool()
    if pool is not None:
        return pool(function)
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(function).result()


def native_pool() -> Callable[[Callable[[], Result]], Result] | None:
    """Where Python's threads are green: what calls a function on a thread of the system, and lets the other ones go on."""
    gevent: Any = sys.modules.get("gevent.monkey")
    eventlet: Any = sys.modules.get("eventlet.patcher")
    if gevent is not None and gevent.is_module_patched("threading"):
        hub: Any = sys.modules["gevent"]
        return hub.get_hub().threadpool.apply  # type: ignore[no-any-return]
    if eventlet is not None and eventlet.is_monkey_patched("thread"):
        tpool: Any = importlib.import_module("eventlet.tpool")
        return tpool.execute  # type: ignore[no-any-return]
    return None


def asyncio_is_running() -> bool:
    """Whether an asyncio event loop runs on this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def run_in_thread(function: Callable[[], Result]) -> Result:
    """Awaits a blocking call, on asyncio or trio. If it is cancelled, the call goes on in its thread."""
    if is_exiting():  # no other thread makes an HTTP client any more
        return function()
    if asyncio_is_running():
        future: Future[Result] = DaemonExecutor().submit(function)
        try:
            await wait_on_loop(future)
        finally:
            future.cancel()
        return future.result()
    return await anyio.to_thread.run_sync(function, abandon_on_cancel=True)


async def wait_on_loop(future: Future[Any], timeout: float | None = None) -> None:  # noqa: ASYNC109  # no exception
    """Waits on asyncio's event loop until another thread has finished a future; raises nothing, whatever its result.

    `asyncio.wrap_future` does not wake the loop on Python 3.14 where gevent runs that thread's code on the loop's own thread.
    """
    loop = asyncio.get_running_loop()
    woken = loop.create_future()

    def wake() -> None:
        if not woken.done():
            woken.set_result(None)

    def on_done(_future: object) -> None:
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(wake)

    future.add_done_callback(on_done)
    await asyncio.wait([woken], timeout=timeout)
