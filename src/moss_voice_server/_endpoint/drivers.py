"""Drivers: how the handler's coroutine runs in a host without an event loop."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from .functions import NEVER_AWAITABLE


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that never suspends, because everything that it awaits is already done."""
    try:
        coroutine.send(None)
    except StopIteration as finished:
        return finished.value
    coroutine.close()
    raise RuntimeError("the request handler waited in a host without an event loop")


async def call_now(function: Callable[..., Any], nonblocking: bool, /, *arguments: Any) -> Any:
    """Calls a function and waits for it, blocking this thread; an async one runs on an event loop of its own."""
    result = function(*arguments)
    if type(result) in NEVER_AWAITABLE or not inspect.isawaitable(result):
        return result
    return _resolve_awaitable(result)


def _resolve_awaitable(result: Any) -> Any:
    import asyncio
    from concurrent.futures import ThreadPoolExecutor
    from contextvars import copy_context

    async def awaited() -> Any:
        return await result

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(awaited())
    # This thread has a running loop: a coroutine called a sync framework, or another greenlet of gevent's has it.
    settle = partial(copy_context().run, asyncio.run, awaited())
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("threading"):
        # Python's own threads are greenlets here, on this very thread; gevent's pool has real ones.
        return sys.modules["gevent"].get_hub().threadpool.apply(settle)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(settle).result()
