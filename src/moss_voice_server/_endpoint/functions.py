"""Functions of the application: what kind each is, and so how it may be called."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any


def is_nonblocking(function: Callable[..., Any]) -> bool:
    """Whether a function can be called on an event loop: it is async, or says that it does not block."""
    call = getattr(function, "__call__", None)  # noqa: B004  # an object whose __call__ is async
    asynchronous = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)
    return asynchronous or getattr(function, "is_nonblocking", False) is True


def is_generator(function: Callable[..., Any]) -> bool:
    """Whether calling a function returns a generator, plain or async."""
    while isinstance(function, partial):
        function = function.func
    calls = (function, getattr(function, "__call__", None))  # noqa: B004  # an object whose __call__ yields
    return any(inspect.isgeneratorfunction(call) or inspect.isasyncgenfunction(call) for call in calls)
