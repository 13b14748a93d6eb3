"""Calls: which functions an endpoint takes, and how they are called in a host without an event loop."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from .._admission import Admission, wrong_type
from .._functions import is_generator
from ..errors import InvalidArgument

NEVER_AWAITABLE = frozenset({Admission, int, float, type(None)})
"""Types of results that need no `isawaitable`, which is slow to return `False`."""


def check_functions(authorize: Any, rate_limiter: Any, on_token: Any, *, generators: bool) -> None:
    """Rejects what cannot be called; `generators` says whether the framework runs an `authorize` that yields.

    Raises:
        InvalidArgument: names the function.
    """
    for name, value in (("authorize", authorize), ("rate_limiter", rate_limiter), ("on_token", on_token)):
        if not callable(value) and (value is not None or name == "authorize"):
            raise wrong_type(name, "a function", value)
        if is_generator(value) and not (generators and name == "authorize"):
            raise InvalidArgument(f"{name} yields", field=name, remedy="return the result instead")


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
