"""Time limit: how long a request's body may take, below asyncio and trio."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AbstractContextManager
from types import TracebackType

import anyio


def time_limit(seconds: float) -> AbstractContextManager[object]:
    """A block that ends silently when its time is up."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # trio
        return anyio.move_on_after(seconds)
    return _AsyncioTimeLimit(loop, seconds)


class _AsyncioTimeLimit:
    """anyio's scope, and asyncio's own from 3.11 on, would cost a third of what a whole request costs."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._task = asyncio.current_task()
        self._timer = loop.call_later(seconds, self._end)
        self._is_up = False

    def _end(self) -> None:
        self._is_up = True
        if self._task is not None:
            self._task.cancel()

    def __enter__(self) -> None:
        """Nothing more: the clock is running."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        self._timer.cancel()
        if not self._is_up or self._task is None:
            return False
        left = 0
        if sys.version_info >= (3, 11):
            left = self._task.uncancel()  # this cancellation is not meant for the task's own scopes
        return kind is asyncio.CancelledError and left == 0  # unless the task was cancelled by others as well
