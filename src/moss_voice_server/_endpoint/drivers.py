"""Drivers: how the handler's coroutine runs in a host with an event loop (asyncio or trio), and in one without."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from types import CoroutineType
from typing import Any

from ..endpoint import Admission

# `isawaitable` is slow to say no: these types need no question.
_NEVER_AWAITABLE = frozenset({Admission, int, float, type(None)})


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
    if type(result) in _NEVER_AWAITABLE or not inspect.isawaitable(result):
        return result
    return _resolve_awaitable(result)


def call_on_loop_with(in_thread: Callable[..., Awaitable[Any]]) -> Callable[..., Coroutine[Any, Any, Any]]:
    """A function that calls others on the running event loop, and those that may block with `in_thread`."""

    async def call_on_loop(function: Callable[..., Any], nonblocking: bool, /, *arguments: Any) -> Any:
        result = function(*arguments) if nonblocking else await in_thread(partial(function, *arguments))
        kind = type(result)
        if kind is CoroutineType or (kind not in _NEVER_AWAITABLE and inspect.isawaitable(result)):
            result = await result
        return result

    return call_on_loop


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
