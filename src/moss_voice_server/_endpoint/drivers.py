"""Drivers: how the handler's coroutine runs in a host without an event loop."""

from __future__ import annotations

import inspect
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
    """Calls a function and waits for it, blocking this thread; an async one runs on a separate event loop."""
    result = function(*arguments)
    if type(result) in NEVER_AWAITABLE or not inspect.isawaitable(result):
        return result
    return _resolve_awaitable(result)


def _resolve_awaitable(result: Any) -> Any:
    import asyncio
    from contextvars import copy_context

    from .._http.threads import run_on_native_thread

    async def awaited() -> Any:
        return await result

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(awaited())
    # This thread has a running loop: a coroutine called a sync framework, or another green thread has it.
    return run_on_native_thread(partial(copy_context().run, asyncio.run, awaited()))
