"""Functions: what kind of function the application has passed, and the errors for one of the wrong kind."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from .errors import InvalidArgument

_LATER = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR | inspect.CO_ITERABLE_COROUTINE


def is_nonblocking(function: Callable[..., Any]) -> bool:
    """Whether a function can be called on an event loop: it is async, or says that it does not block."""
    return is_async(function) or getattr(function, "is_nonblocking", False) is True


def is_async(function: Callable[..., Any]) -> bool:
    """Whether a function is async, or an object whose `__call__` is."""
    call = getattr(function, "__call__", None)  # noqa: B004  # we need the method itself, not a call
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


def is_generator(function: Callable[..., Any]) -> bool:
    """Whether calling a function returns a generator, plain or async."""
    while isinstance(function, partial):
        function = function.func
    calls = (function, getattr(function, "__call__", None))  # noqa: B004  # we need the method itself, not a call
    return any(inspect.isgeneratorfunction(call) or inspect.isasyncgenfunction(call) for call in calls)


def check_plain(name: str, function: Callable[..., Any]) -> None:
    """Rejects a function that returns its result later.

    Raises:
        InvalidArgument: it is async, or yields.
    """
    # First the flags of its code: an Admission is made for each request, and the careful answer takes 10 microseconds.
    code = getattr(function, "__code__", None) or getattr(type(function).__call__, "__code__", None)
    is_plain = code is not None and not code.co_flags & _LATER
    if not is_plain and (is_async(function) or is_generator(function)):
        raise InvalidArgument(
            f"the function passed as {name} is not a plain one", field=name, remedy="write it with def"
        )


def wrong_result(name: str, kind: str, value: object, remedy: str) -> InvalidArgument:
    """The error for a function that returned something else than `kind`."""
    found = repr(value) if isinstance(value, float) else type(value).__name__  # NaN is of the right type
    return InvalidArgument(f"the function passed as {name} must return {kind}, not {found}", field=name, remedy=remedy)
